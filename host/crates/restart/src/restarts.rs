//! Restarts of one server: one at a time, each told in the history.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mortise_store::inside::{ErrorInside as _, Later, blocking};
use mortise_store::{Clock, Error, ErrorKind, Operation, Result, SystemClock};
use tokio::sync::{RwLock, RwLockReadGuard, SetOnce, watch};
use tokio::task::AbortHandle;

use crate::event::{Outcome, Phase, Request, Restart};
use crate::history::History;
use crate::loop_guard::LoopGuard;

/// How a server hands itself over: by a new process, or in place.
pub(crate) trait ProcessHandover: Send + Sync + 'static {
    /// Leads through all phases, and tells each as it begins. Where it fails, this process serves as before once
    /// it comes back.
    fn hand_over<'a>(&'a self, progress: &'a mut Progress) -> Later<'a, Result<()>>;

    /// The restart was broken off, because the server stops: calls that wait run here.
    fn abandoned(&self) -> Result<()>;

    /// The outcome is in the history: whoever serves now can be told.
    fn ended<'a>(&'a self, progress: &'a Progress) -> Later<'a, ()>;
}

/// Restarts the server. Cheap to clone; all clones restart the same one.
#[derive(Clone)]
pub(crate) struct Restarts(Arc<Inner>);

struct Inner {
    handover: Box<dyn ProcessHandover>,
    /// Once the restart before is told in it.
    history: SetOnce<Arc<History>>,
    guard: LoopGuard,
    /// The one that goes on.
    current: Mutex<Option<Current>>,
    /// Shared by all that the process must not end in the middle of: a restart, and telling of it.
    busy: RwLock<()>,
}

struct Current {
    told: watch::Receiver<Restart>,
    /// None until it is begun.
    task: Option<AbortHandle>,
}

/// Tells how a restart goes on.
pub(crate) struct Progress {
    history: Arc<History>,
    restart: Restart,
    told: watch::Sender<Restart>,
}

impl Restarts {
    pub(crate) fn new(handover: impl ProcessHandover, guard: LoopGuard) -> Self {
        Self(Arc::new(Inner {
            handover: Box::new(handover),
            history: SetOnce::new(),
            guard,
            current: Mutex::default(),
            busy: RwLock::default(),
        }))
    }

    /// From now on there may be restarts: those before are told in this history.
    pub(crate) fn open(&self, history: History) {
        // It is said once, by who serves.
        let _ = self.0.history.set(Arc::new(history));
    }

    /// Waits until there may be restarts.
    pub(crate) async fn opened(&self) {
        self.0.history.wait().await;
    }

    /// Begins a restart, which goes on by itself; what comes back tells of it until it has an outcome.
    ///
    /// # Errors
    ///
    /// `Unavailable` where one goes on already, or there were too many; `Io` where the history cannot be written.
    /// The server serves as before.
    pub(crate) async fn begin(&self, request: Request) -> Result<watch::Receiver<Restart>> {
        let this = self.clone();
        let begun = blocking(move || this.begin_blocking(request)).await;
        let (progress, told) = begun.inspect_err(|error| {
            tracing::warn!(reason = error.with_causes(), "a restart is refused");
        })?;
        let restart = &progress.restart;
        tracing::info!(
            restart = restart.number,
            by = restart.request.by,
            reason = restart.request.reason,
            "restarts"
        );
        let inner = Arc::clone(&self.0);
        let task = tokio::spawn(async move { inner.carry_out(progress).await });
        if let Some(current) = self.0.current().as_mut() {
            current.task = Some(task.abort_handle());
        }
        Ok(told)
    }

    fn begin_blocking(&self, request: Request) -> Result<(Progress, watch::Receiver<Restart>)> {
        let refused =
            |what: String| Err(Error::new(ErrorKind::Unavailable, Operation::Restart, what));
        let inner = &self.0;
        let Some(history) = inner.history.get() else {
            return refused("the restart before is not over yet: try again".to_owned());
        };
        // Held until this one is the one that goes on.
        let mut current = inner.current();
        if let Some(restart) = current
            .as_ref()
            .map(|current| current.told.borrow().clone())
        {
            let number = restart.number;
            match restart.outcome {
                None => {
                    let phase = restart.phase().map_or("begin", Phase::as_str);
                    return refused(format!("restart {number} goes on (phase {phase})"));
                }
                Some(Outcome::Done) => {
                    return refused(format!("restart {number} is done, another process serves"));
                }
                Some(_) => {}
            }
        }
        let now = SystemClock.now();
        if request.trigger.is_automatic() {
            let earlier = history.restarts();
            let earlier = earlier.iter().filter(|restart| counts(restart));
            let times = earlier.map(|restart| restart.at);
            if let Err(looping) = inner.guard.admit(times, now) {
                let why = looping.to_string();
                let process = std::process::id();
                let mut restart = history.begin(request, process, now)?;
                let outcome = Outcome::Refused(why.clone());
                history.end(&mut restart, outcome, now)?;
                return refused(why);
            }
        }
        let restart = history.begin(request, std::process::id(), now)?;
        let (tell, told) = watch::channel(restart.clone());
        *current = Some(Current {
            told: told.clone(),
            task: None,
        });
        let progress = Progress {
            history: Arc::clone(history),
            restart,
            told: tell,
        };
        Ok((progress, told))
    }

    /// Keeps the process from ending, by [`over`](Self::over), as long as it lives.
    pub(crate) async fn busy(&self) -> RwLockReadGuard<'_, ()> {
        self.0.busy.read().await
    }

    /// Waits until the restart that goes on is over, and everybody is told who waits for it.
    pub(crate) async fn over(&self) {
        drop(self.0.busy.write().await);
    }

    /// Breaks off the restart that goes on, because the server stops. That it was, the next start notes in the history.
    pub(crate) fn abandon(&self) {
        let current = self.0.current();
        let Some(current) = current.as_ref() else {
            return;
        };
        if current.told.borrow().outcome.is_some() {
            return;
        }
        if let Some(task) = &current.task {
            task.abort();
        }
        tracing::warn!("the server stops in the middle of a restart");
        if let Err(error) = self.0.handover.abandoned() {
            tracing::error!(?error, "the restart is not broken off well");
        }
    }

    /// The restart that goes on.
    pub(crate) fn current(&self) -> Option<Restart> {
        let current = self.0.current();
        let restart = current.as_ref()?.told.borrow().clone();
        restart.outcome.is_none().then_some(restart)
    }

    /// All that are known, oldest first.
    pub(crate) fn history(&self) -> Vec<Restart> {
        let history = self.0.history.get();
        history.map_or_else(Vec::new, |history| history.restarts())
    }
}

/// Whether a restart counts towards the loop guard: one that was refused did nothing.
fn counts(restart: &Restart) -> bool {
    let refused = matches!(restart.outcome, Some(Outcome::Refused(_)));
    restart.request.trigger.is_automatic() && !refused
}

impl Inner {
    async fn carry_out(&self, mut progress: Progress) {
        let _busy = self.busy.read().await;
        let handed_over = self.handover.hand_over(&mut progress).await;
        let outcome = match handed_over {
            Ok(()) => Outcome::Done,
            Err(error) => Outcome::GivenUp(error.with_causes()),
        };
        progress.end(outcome).await;
        self.handover.ended(&progress).await;
    }

    fn current(&self) -> MutexGuard<'_, Option<Current>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Progress {
    /// The restart, as far as it is.
    pub(crate) fn restart(&self) -> &Restart {
        &self.restart
    }

    /// Notes the process that is to serve.
    pub(crate) fn started(&mut self, process: u32) {
        self.restart.to = Some(process);
        self.told.send_replace(self.restart.clone());
    }

    /// Ends the phase before, and begins this one.
    pub(crate) async fn enter(&mut self, phase: Phase) -> Result<()> {
        let (history, mut restart) = (Arc::clone(&self.history), self.restart.clone());
        let now = SystemClock.now();
        let entering = move || {
            history.enter(&mut restart, phase, now)?;
            Ok(restart)
        };
        self.restart = blocking(entering).await?;
        tracing::info!(restart = self.restart.number, %phase, "restarts");
        self.told.send_replace(self.restart.clone());
        Ok(())
    }

    async fn end(&mut self, outcome: Outcome) {
        let number = self.restart.number;
        match &outcome {
            Outcome::Done => tracing::info!(restart = number, "the new process serves"),
            outcome => tracing::error!(restart = number, %outcome, "this process serves on"),
        }
        let now = SystemClock.now();
        // Told also where it cannot be written.
        self.restart.end(outcome.clone(), now);
        let (history, mut restart) = (Arc::clone(&self.history), self.restart.clone());
        let written = blocking(move || history.end(&mut restart, outcome, now)).await;
        if let Err(error) = written {
            tracing::error!(restart = number, ?error, "its end is not in the history");
        }
        self.told.send_replace(self.restart.clone());
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::sync::Notify;

    use super::super::event::Trigger;
    use super::*;

    /// Goes through its phases, waits to be told to go on, and fails if it is to.
    struct Scripted {
        go_on: Arc<Notify>,
        fails: bool,
    }

    impl ProcessHandover for Scripted {
        fn hand_over<'a>(&'a self, progress: &'a mut Progress) -> Later<'a, Result<()>> {
            Box::pin(async move {
                progress.enter(Phase::Start).await?;
                progress.started(4711);
                progress.enter(Phase::Drain).await?;
                self.go_on.notified().await;
                match self.fails {
                    true => Err(Error::config("the new binary is none")),
                    false => Ok(()),
                }
            })
        }

        fn abandoned(&self) -> Result<()> {
            Ok(())
        }

        fn ended<'a>(&'a self, _: &'a Progress) -> Later<'a, ()> {
            Box::pin(async {})
        }
    }

    fn restarts(fails: bool, max: u32) -> (tempfile::TempDir, Restarts, Arc<Notify>) {
        let folder = tempfile::tempdir().unwrap();
        let history = History::open(folder.path().join("restarts.jsonl")).unwrap();
        let go_on = Arc::new(Notify::new());
        let scripted = Scripted {
            go_on: Arc::clone(&go_on),
            fails,
        };
        let window = Duration::from_secs(60);
        let restarts = Restarts::new(scripted, LoopGuard { max, window });
        restarts.open(history);
        (folder, restarts, go_on)
    }

    /// A restart, to its end.
    async fn restart(restarts: &Restarts, trigger: Trigger) -> Result<Restart> {
        let mut told = restarts.begin(by(trigger)).await?;
        let ended = told.wait_for(|restart| restart.outcome.is_some()).await;
        Ok(ended.unwrap().clone())
    }

    fn by(trigger: Trigger) -> Request {
        Request::of(trigger, "ann")
    }

    #[tokio::test]
    async fn one_goes_on_at_a_time_and_is_told_while_it_does() {
        let (_folder, restarts, go_on) = restarts(false, 5);
        let mut told = restarts.begin(by(Trigger::Command)).await.unwrap();
        let in_drain = |restart: &Restart| restart.phase() == Some(Phase::Drain);
        told.wait_for(in_drain).await.unwrap();
        assert_eq!(restarts.current().unwrap().to, Some(4711));
        let refused = restart(&restarts, Trigger::Command).await.unwrap_err();
        let expected = "restart: restart 1 goes on (phase drain)";
        assert_eq!(refused.to_string(), expected);
        go_on.notify_one();
        let ended = told.wait_for(|restart| restart.outcome.is_some()).await;
        assert_eq!(ended.unwrap().outcome, Some(Outcome::Done));
        assert_eq!(restarts.current(), None);
        assert_eq!(restarts.history().len(), 1);
        // From then on, the new process is the one to ask.
        let refused = restart(&restarts, Trigger::Command).await.unwrap_err();
        let expected = "restart: restart 1 is done, another process serves";
        assert_eq!(refused.to_string(), expected);
    }

    #[tokio::test]
    async fn one_that_fails_says_why() {
        let (_folder, restarts, go_on) = restarts(true, 5);
        go_on.notify_one();
        let told = restart(&restarts, Trigger::Command).await.unwrap();
        let why = "given up: configure: the new binary is none";
        assert_eq!(told.outcome.unwrap().to_string(), why);
        assert_eq!(told.phases.last().unwrap().phase, Phase::Drain);
        go_on.notify_one();
        let next = restart(&restarts, Trigger::Command).await.unwrap();
        assert_eq!(next.number, 2);
    }

    #[tokio::test]
    async fn a_loop_is_stopped_and_a_person_is_not() {
        let (_folder, restarts, go_on) = restarts(true, 2);
        for _ in 0..2 {
            go_on.notify_one();
            restart(&restarts, Trigger::Signal).await.unwrap();
        }
        for trigger in [
            Trigger::Signal,
            Trigger::Tool,
            Trigger::Change,
            Trigger::Migration,
        ] {
            let refused = restart(&restarts, trigger).await.unwrap_err().to_string();
            assert!(
                refused.contains("more than 2 restarts within 60s"),
                "{refused}"
            );
        }
        go_on.notify_one();
        restart(&restarts, Trigger::Command).await.unwrap();
        let outcomes = restarts
            .history()
            .into_iter()
            .map(|restart| restart.outcome);
        let refused = outcomes.filter(|outcome| matches!(outcome, Some(Outcome::Refused(_))));
        assert_eq!(refused.count(), 4);
    }
}

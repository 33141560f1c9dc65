//! Many callers at once: each write is one step, whoever else writes and on whichever instance.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;

use super::clause::{Clause, Finding, Outcome, brief, clause, ensure};
use super::history::{self, Action, Answer, Event};
use super::world::Subject;
use mortise_store::{
    Draft, Error, ErrorKind, Key, Query, Result, Revision, Stamp, Store, Stored, Write,
};

pub(crate) const CLAUSES: &[Clause] = &[
    clause!(
        subject,
        "concurrency/one-creator",
        "of many who create one key at once, one succeeds, and all others are answered already-exists",
        one_creator
    ),
    clause!(
        subject,
        "concurrency/compare-and-set",
        "many who increment one record by compare-and-set come to the exact total",
        compare_and_set
    ),
    clause!(
        subject,
        "concurrency/whole-batches",
        "no reader sees half a batch, neither by load-many nor by find",
        whole_batches
    ),
    clause!(
        subject,
        "concurrency/linearizable",
        "creates, updates, deletes and loads by many callers have one order that explains every answer",
        linearizable
    ),
];

/// Callers at once.
const CALLERS: u32 = 16;
/// How long a call of a capability waits for those of the other callers.
const MEETING: Duration = Duration::from_millis(100);
const COLLECTION: &str = "concurrency";

fn key(id: &str) -> Key {
    Key::new(COLLECTION, id)
}

/// Opens the store. Of a pooled backend, several instances are at work together once this has ended.
async fn open(subject: &Subject) -> Result<Store, Finding> {
    let store = subject.open().await?;
    if subject.is_pooled() {
        let meeting = subject.faults().meet(2, Duration::from_secs(5));
        let calls = (0..2).map(|_| {
            let store = store.clone();
            async move { Ok(store.load(&key("nobody")).await.map(drop)?) }
        });
        together(calls).await?;
        drop(meeting);
        let instances = store.idle_instances();
        ensure!(
            instances >= 2,
            "the backend is pooled, but for two calls at once {instances} instance was started"
        );
    }
    Ok(store)
}

/// Runs these as tasks of their own; what each found, in no order.
async fn together<T: Send + 'static>(
    callers: impl Iterator<Item = impl Future<Output = Result<T, Finding>> + Send + 'static>,
) -> Result<Vec<T>, Finding> {
    let callers: JoinSet<_> = callers.collect();
    callers.join_all().await.into_iter().collect()
}

async fn one_creator(subject: Subject) -> Outcome {
    const ROUNDS: u32 = 5;
    let store = open(&subject).await?;
    for round in 0..ROUNDS {
        let id = format!("round {round}");
        let creators = (0..CALLERS).map(|caller| {
            let by = caller.to_string();
            let draft = Draft::new(key(&id), by.as_str()).attribute("by", &by);
            let store = store.clone();
            async move {
                match store.create(draft).await {
                    Ok(_) => Ok(Some(by)),
                    Err(error) if error.is_already_exists() => Ok(None),
                    Err(error) => Err(Finding::from(error)),
                }
            }
        });
        // Who looks before it writes looks at the same time as all others.
        let meeting = subject.faults().meet(CALLERS as usize, MEETING);
        let winners: Vec<String> = together(creators).await?.into_iter().flatten().collect();
        drop(meeting);
        let [winner] = winners.as_slice() else {
            return Err(Finding::broken(format!(
                "of {CALLERS} creators of one key, {} were told that they succeeded",
                winners.len()
            )));
        };
        let there = store.load(&key(&id)).await?;
        ensure!(
            there
                .as_ref()
                .is_some_and(|record| record.draft.body == winner.as_bytes()),
            "creator {winner} succeeded, but load answered {}",
            brief(&there)
        );
        for caller in 0..CALLERS {
            let by = caller.to_string();
            let found = store.find(Query::new(COLLECTION).with("by", &by)).await?;
            let mine = found.records.iter().filter(|record| record.key().id == id);
            let (mine, expected) = (mine.count(), usize::from(by == *winner));
            ensure!(
                mine == expected,
                "creator {winner} succeeded, but by the attributes of creator {by} the record is \
                 found {mine} times"
            );
        }
    }
    Ok(())
}

async fn compare_and_set(subject: Subject) -> Outcome {
    const INCREMENTS: u32 = 8;
    const ROUNDS: u32 = 5;
    let store = open(&subject).await?;
    store.create(Draft::new(key("counter"), "0")).await?;
    for round in 0..ROUNDS {
        let (_, revision) = count(&store).await?;
        let updates = (0..2).map(|_| {
            let (store, draft) = (store.clone(), Draft::new(key("counter"), "0"));
            async move { updated(store.update(draft, Some(revision)).await) }
        });
        let meeting = subject.faults().meet(2, MEETING);
        let succeeded = together(updates).await?;
        drop(meeting);
        let succeeded = succeeded.into_iter().filter(|succeeded| *succeeded).count();
        ensure!(
            succeeded == 1,
            "of two updates at once that expect the same revision, {succeeded} succeeded (round {round})"
        );
    }
    let callers = (0..CALLERS).map(|_| {
        let store = store.clone();
        async move {
            let mut tries = 0;
            for _ in 0..INCREMENTS {
                while !increment(&store).await? {
                    tries += 1;
                    // Each try that loses means that another one won.
                    ensure!(
                        tries < CALLERS * INCREMENTS,
                        "an increment is refused with conflict although nobody came in between"
                    );
                }
            }
            Ok(())
        }
    });
    together(callers).await?;
    let (total, _) = count(&store).await?;
    let expected = CALLERS * INCREMENTS;
    ensure!(
        total == expected,
        "{expected} increments succeeded, and the counter stands at {total}"
    );
    Ok(())
}

/// Whether it succeeded, or another was faster.
async fn increment(store: &Store) -> Result<bool, Finding> {
    let (count, revision) = count(store).await?;
    let next = Draft::new(key("counter"), (count + 1).to_string());
    updated(store.update(next, Some(revision)).await)
}

/// Whether a compare-and-set succeeded.
fn updated(answer: Result<Stamp>) -> Result<bool, Finding> {
    match answer {
        Ok(_) => Ok(true),
        Err(error) if error.is_conflict() => Ok(false),
        Err(error) => Err(error.into()),
    }
}

async fn count(store: &Store) -> Result<(u32, Revision), Finding> {
    let loaded = store.load(&key("counter")).await?;
    loaded
        .as_ref()
        .and_then(|record| Some((number(record)?, record.revision())))
        .ok_or_else(|| Finding::broken(format!("the counter reads as {}", brief(&loaded))))
}

/// The number that a body is.
fn number(record: &Stored) -> Option<u32> {
    std::str::from_utf8(&record.draft.body).ok()?.parse().ok()
}

async fn whole_batches(subject: Subject) -> Outcome {
    const BATCHES: u32 = 100;
    const READERS: u32 = 3;
    let store = open(&subject).await?;
    let both = |value: u32| {
        let half = |id: &str| {
            Write::put(Draft::new(key(id), value.to_string()).attribute("v", value.to_string()))
        };
        vec![half("left"), half("right")]
    };
    store.apply(both(0)).await?;
    let ended = Arc::new(AtomicBool::new(false));
    let readers = (0..READERS).map(|_| {
        let (store, ended) = (store.clone(), Arc::clone(&ended));
        async move {
            while !ended.load(Ordering::SeqCst) {
                let pair = store.load_many(vec![key("left"), key("right")]).await?;
                let bodies: Vec<_> = pair.iter().flatten().map(number).collect();
                let [Some(value), other] = bodies[..] else {
                    return Err(Finding::broken(format!("load-many answered {}", brief(&pair))));
                };
                ensure!(
                    other == Some(value),
                    "both records are written in one batch, but load-many answered {value} and {other:?}"
                );
                let all = store.find(Query::new(COLLECTION)).await?.records;
                let bodies: Vec<_> = all.iter().map(number).collect();
                ensure!(
                    matches!(bodies[..], [Some(left), Some(right)] if left == right),
                    "both records are written in one batch, but find answered {bodies:?}"
                );
                let query = Query::new(COLLECTION).with("v", value.to_string());
                let found = store.find(query).await?.records.len();
                ensure!(
                    found == 0 || found == 2,
                    "both records get their attribute in one batch, but find by it answered {found}"
                );
            }
            Ok(())
        }
    });
    let writer = {
        let (store, ended) = (store.clone(), Arc::clone(&ended));
        async move {
            let mut written = Ok(());
            for value in 1..=BATCHES {
                written = store.apply(both(value)).await.map(drop);
                if written.is_err() {
                    break;
                }
                tokio::task::yield_now().await;
            }
            ended.store(true, Ordering::SeqCst);
            written
        }
    };
    let mut tasks: JoinSet<Outcome> = readers.collect();
    tasks.spawn(async move { Ok(writer.await?) });
    tasks.join_all().await.into_iter().collect()
}

async fn linearizable(subject: Subject) -> Outcome {
    const TASKS: u64 = 6;
    let store = open(&subject).await?;
    let recorder = Arc::new(Recorder::default());
    let callers = (0..TASKS).map(|task| {
        let caller = Caller {
            store: store.clone(),
            recorder: Arc::clone(&recorder),
            random: fastrand::Rng::with_seed(subject.seed().wrapping_mul(TASKS) + task),
            seen: [None; KEYS.len()],
        };
        caller.run()
    });
    let events: Vec<(usize, Event)> = together(callers).await?.into_iter().flatten().collect();
    for (index, id) in KEYS.iter().enumerate() {
        let of_key = events.iter().filter(|(key, _)| *key == index);
        let of_key: Vec<Event> = of_key.map(|(_, event)| *event).collect();
        if let Err(unexplained) = history::explain(&of_key) {
            let mut next = String::new();
            for event in &unexplained.next {
                let Event { action, answer, .. } = event;
                next.push_str(&format!("; {action:?} was answered {answer:?}"));
            }
            return Err(Finding::broken(format!(
                "of {} calls on the record {id:?} at most {} have an order that explains them; when \
                 its body was {:?}{next}",
                of_key.len(),
                unexplained.explained,
                unexplained.state
            )));
        }
    }
    Ok(())
}

const KEYS: [&str; 3] = ["a", "b", "c"];

/// What all callers of a history share.
#[derive(Default)]
struct Recorder {
    /// Numbers every invocation and every response, in their order.
    instants: AtomicU64,
    /// Numbers every body.
    bodies: AtomicU32,
}

impl Recorder {
    fn instant(&self) -> u64 {
        self.instants.fetch_add(1, Ordering::SeqCst)
    }
}

/// One caller of a history.
struct Caller {
    store: Store,
    recorder: Arc<Recorder>,
    random: fastrand::Rng,
    /// The revision that it saw last, of each record.
    seen: [Option<Revision>; KEYS.len()],
}

impl Caller {
    /// Calls; each call with the record that it is about.
    async fn run(mut self) -> Result<Vec<(usize, Event)>, Finding> {
        const CALLS: usize = 30;
        let mut events = Vec::new();
        for _ in 0..CALLS {
            let index = self.random.usize(..KEYS.len());
            let action = self.choose(index);
            let invoked = self.recorder.instant();
            let answer = self.call(index, action).await?;
            let returned = self.recorder.instant();
            self.seen[index] = match answer {
                Some(Answer::Loaded(Some((_, revision)))) => Some(revision),
                Some(Answer::Wrote(revision) | Answer::Conflict(_, revision)) => Some(revision),
                _ => None,
            };
            if let Some(answer) = answer {
                events.push((
                    index,
                    Event {
                        invoked,
                        returned,
                        action,
                        answer,
                    },
                ));
            }
            tokio::task::yield_now().await;
        }
        Ok(events)
    }

    fn choose(&mut self, index: usize) -> Action {
        let body = || self.recorder.bodies.fetch_add(1, Ordering::SeqCst);
        match (self.random.u8(..10), self.seen[index]) {
            (0..4, _) => Action::Load,
            (4..6, _) => Action::Create(body()),
            (6, _) => Action::Update(body(), None),
            (7..9, seen) => Action::Update(body(), seen),
            (_, seen) => Action::Delete(seen),
        }
    }

    /// What the store answered; none where nothing happened that anybody could tell from the records.
    async fn call(&self, index: usize, action: Action) -> Result<Option<Answer>, Finding> {
        let key = key(KEYS[index]);
        let draft = |body: u32| Draft::new(key.clone(), body.to_string());
        let answer = match action {
            Action::Load => self.store.load(&key).await.map(|loaded| {
                Answer::Loaded(loaded.map(|record| (body(&record), record.revision())))
            }),
            Action::Create(body) => {
                let created = self.store.create(draft(body)).await;
                created.map(|stamp| Answer::Wrote(stamp.mod_revision))
            }
            Action::Update(body, expect) => {
                let updated = self.store.update(draft(body), expect).await;
                updated.map(|stamp| Answer::Wrote(stamp.mod_revision))
            }
            Action::Delete(expect) => {
                let deleted = self.store.delete(&key, expect).await;
                deleted.map(|()| Answer::Deleted)
            }
        };
        match answer {
            Ok(answer) => Ok(Some(answer)),
            Err(error) => failed(error),
        }
    }
}

/// A body that is none that a caller wrote is as good as one that nobody wrote.
fn body(record: &Stored) -> u32 {
    number(record).unwrap_or(u32::MAX)
}

fn failed(error: Error) -> Result<Option<Answer>, Finding> {
    Ok(Some(match (error.kind(), error.current()) {
        (ErrorKind::AlreadyExists, _) => Answer::AlreadyExists,
        (ErrorKind::NotFound, _) => Answer::NotFound,
        (ErrorKind::Conflict, Some(current)) => Answer::Conflict(body(current), current.revision()),
        (ErrorKind::Ambiguous, _) => Answer::Unknown,
        (ErrorKind::Unavailable, _) => return Ok(None),
        _ => return Err(error.into()),
    }))
}

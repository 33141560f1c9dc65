//! The one writing connection: group commit.
//!
//! Transactions queue. Whoever finds the connection free leads: it takes what waits and, in one SQLite
//! transaction, runs one after the other and commits them with one fsync. While it waits for the disk,
//! the next group gathers. A leader leads one group, on its own thread, so that a lone caller pays for
//! no change of threads; what has come in meanwhile is led on a thread for blocking work.
//!
//! Who was just answered tends to come back with the next write. So a group that is much smaller than
//! the one before waits a moment before it commits, rather than have the disk wait for one or two at a
//! time. A lone caller has no crowd before it, and never waits.
//!
//! Nobody is answered before the commit, not even those that failed: what made them fail may be a
//! write of the same group, which no reader sees yet.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use mortise_store::inside::Commits;
use tokio::runtime::{Handle, RuntimeFlavor, worker_index};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use crate::connection::{Budget, Connection};
use crate::sql::{Error as SqlError, Failure, Outcome, Statement};
use crate::statement;

/// Most transactions that one fsync commits.
const MAX_GROUP: usize = 512;
/// How long a group waits for the crowd of the one before: less than a disk takes for a commit.
const GATHER: Duration = Duration::from_micros(500);
/// How much longer than its own transaction a caller that leads may be kept by the others' of its
/// group. The longer ones, such as a `clear`, are led on a thread for blocking work.
const PATIENCE: Duration = Duration::from_secs(1);

type Answer = Result<Vec<Outcome>, Failure>;

fn failed(error: SqlError) -> Answer {
    Err(Failure { index: 0, error })
}

/// One transaction that waits.
struct Job {
    id: u64,
    statements: Vec<Statement>,
    deadline: Instant,
    reply: oneshot::Sender<Answer>,
}

impl Job {
    fn answer(self, answer: Answer) {
        // Nobody waits where the call was given up.
        let _ = self.reply.send(answer);
    }

    fn fail(self, error: SqlError) {
        self.answer(failed(error));
    }
}

/// The writing connection and its queue.
pub(crate) struct Writer(Arc<Inner>);

struct Inner {
    queue: Mutex<VecDeque<Job>>,
    next_id: AtomicU64,
    /// Told of each job that is queued.
    arrived: Condvar,
    connection: Mutex<Led>,
    commits: Arc<Commits>,
}

/// What whoever leads has.
struct Led {
    connection: Connection,
    /// How many the last group had.
    crowd: usize,
}

impl Writer {
    pub(crate) fn new(connection: Connection, commits: Arc<Commits>) -> Self {
        Self(Arc::new(Inner {
            queue: Mutex::default(),
            next_id: AtomicU64::new(0),
            arrived: Condvar::new(),
            connection: Mutex::new(Led {
                connection,
                crowd: 1,
            }),
            commits,
        }))
    }

    pub(crate) async fn run(&self, statements: Vec<Statement>, deadline: Instant) -> Answer {
        let (reply, mut answer) = oneshot::channel();
        let id = self.0.next_id.fetch_add(1, Ordering::Relaxed);
        self.0.queue().push_back(Job {
            id,
            statements,
            deadline,
            reply,
        });
        self.0.arrived.notify_one();
        if self.lead(deadline + PATIENCE) {
            let inner = Arc::clone(&self.0);
            tokio::task::spawn_blocking(move || inner.lead_while_jobs_wait());
        }
        let answered = match timeout_at(deadline, &mut answer).await {
            Ok(answered) => answered,
            Err(_) if self.0.withdraw(id) => Ok(failed(SqlError::Busy)),
            // It is being run: how it ends is known in a moment.
            Err(_) => answer.await,
        };
        let ended = || SqlError::Ambiguous("the writer ended before it answered".to_owned());
        answered.unwrap_or_else(|_| failed(ended()))
    }

    /// Leads a group of transactions that may go on until then, where nobody else leads. Whether a
    /// thread for blocking work must lead the next.
    fn lead(&self, until: Instant) -> bool {
        let Some(mut led) = self.0.try_to_lead() else {
            return false;
        };
        match (Handle::current().runtime_flavor(), worker_index()) {
            // Another thread takes this worker's tasks over while it waits for the disk.
            (RuntimeFlavor::MultiThread, Some(_)) => {
                tokio::task::block_in_place(|| self.0.lead_one_group(&mut led, Some(until)));
            }
            // The thread of `block_on`: nobody else's.
            (RuntimeFlavor::MultiThread, None) => self.0.lead_one_group(&mut led, Some(until)),
            // The one thread there is must not wait for the disk.
            _ => {}
        }
        drop(led);
        // Looked at after the connection is free: who came before that found it taken, and went.
        !self.0.queue().is_empty()
    }
}

impl Inner {
    fn queue(&self) -> MutexGuard<'_, VecDeque<Job>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a job back that nobody has begun; whether it was still there.
    fn withdraw(&self, id: u64) -> bool {
        let mut queue = self.queue();
        let before = queue.len();
        queue.retain(|job| job.id != id);
        queue.len() < before
    }

    /// The connection, unless somebody leads already.
    fn try_to_lead(&self) -> Option<MutexGuard<'_, Led>> {
        match self.connection.try_lock() {
            Ok(led) => Some(led),
            // Whatever a leader that panicked left open is rolled back by the next.
            Err(TryLockError::Poisoned(led)) => Some(led.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    fn lead_while_jobs_wait(&self) {
        while !self.queue().is_empty() {
            let Some(mut led) = self.try_to_lead() else {
                return;
            };
            self.lead_one_group(&mut led, None);
        }
    }

    /// Commits and answers what waits, and may not go on after `until`.
    fn lead_one_group(&self, led: &mut Led, until: Option<Instant>) {
        let enough = led.crowd.div_ceil(2);
        led.crowd = commit_group(
            &led.connection,
            &Waiting {
                inner: self,
                enough,
                until,
            },
        );
    }
}

/// The jobs that a group is made of.
struct Waiting<'a> {
    inner: &'a Inner,
    /// A smaller group than this waits a moment for more.
    enough: usize,
    /// What may go on for longer is left to another leader.
    until: Option<Instant>,
}

impl Waiting<'_> {
    /// The next job for a group that has `size` already and began at `start`.
    fn next(&self, size: usize, start: Instant) -> Option<Job> {
        let mut queue = self.inner.queue();
        loop {
            if let Some(job) = queue.front() {
                let too_long = self.until.is_some_and(|until| job.deadline > until);
                return if too_long { None } else { queue.pop_front() };
            }
            let left = GATHER.checked_sub(start.elapsed())?;
            if size == 0 || size >= self.enough {
                return None;
            }
            let waited = self.inner.arrived.wait_timeout(queue, left);
            queue = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// Commits one group of transactions, and answers all of them; how many they were.
fn commit_group(connection: &Connection, waiting: &Waiting<'_>) -> usize {
    let mut pending: VecDeque<Job> = waiting.next(0, Instant::now()).into_iter().collect();
    let mut savepoints = false;
    while let Some(job) = pending.front() {
        connection.allow(Budget::Until(job.deadline));
        if let Err(error) = begin(connection) {
            let job = pending.pop_front().expect("it is the one in front");
            job.fail(statement::error(error));
            continue;
        }
        match run_group(connection, &mut pending, waiting, savepoints) {
            Some(done) => {
                let size = done.len();
                finish(connection, done, &waiting.inner.commits);
                return size;
            }
            // One failed half-way: the group runs again, each transaction in its own savepoint. That
            // costs a copy of every page that is touched, and few groups need it.
            None => savepoints = true,
        }
    }
    1
}

fn begin(connection: &Connection) -> rusqlite::Result<()> {
    rollback(connection)?;
    connection.execute_own("BEGIN IMMEDIATE")
}

/// Rolls back whatever is open.
fn rollback(connection: &Connection) -> rusqlite::Result<()> {
    match connection.is_rolled_back() {
        true => Ok(()),
        false => connection.execute_own("ROLLBACK"),
    }
}

/// Runs what is pending and what waits in the open transaction. None where that is spoiled, and must
/// be rolled back: then all whose outcome it takes with it are pending again.
fn run_group(
    connection: &Connection,
    pending: &mut VecDeque<Job>,
    waiting: &Waiting<'_>,
    savepoints: bool,
) -> Option<Vec<(Job, Answer)>> {
    let start = Instant::now();
    let mut done = Vec::new();
    while done.len() < MAX_GROUP {
        let next = || waiting.next(done.len(), start);
        let Some(job) = pending.pop_front().or_else(next) else {
            break;
        };
        if job.reply.is_closed() {
            continue;
        }
        let ran = match savepoints {
            true => run_in_savepoint(connection, &job),
            false => run(connection, &job),
        };
        let spoiled = connection.is_rolled_back() || matches!(ran, Ran::HalfWay(_));
        if !spoiled {
            done.push((job, ran.answer()));
            continue;
        }
        if connection.is_rolled_back() {
            // A full disk, an interrupt: it is to blame, whatever the others did.
            job.answer(ran.answer());
        } else {
            pending.push_front(job);
        }
        for (job, _) in done.into_iter().rev() {
            pending.push_front(job);
        }
        return None;
    }
    Some(done)
}

/// How a transaction ended.
enum Ran {
    /// With all its statements.
    Whole(Vec<Outcome>),
    /// With an error, and without a trace.
    Untouched(Failure),
    /// With an error, after it had changed something.
    HalfWay(Failure),
}

impl Ran {
    fn answer(self) -> Answer {
        match self {
            Self::Whole(outcomes) => Ok(outcomes),
            Self::Untouched(failure) | Self::HalfWay(failure) => Err(failure),
        }
    }
}

/// Runs one transaction's statements.
fn run(connection: &Connection, job: &Job) -> Ran {
    connection.allow(Budget::Until(job.deadline));
    let mut outcomes = Vec::with_capacity(job.statements.len());
    let mut left = connection.max_answer_bytes();
    let before = connection.total_changes();
    let mut only_rows = true;
    for (index, statement) in job.statements.iter().enumerate() {
        match connection.execute(statement, &mut left) {
            Ok(outcome) => {
                only_rows &= statement::changes_only_rows(&statement.sql);
                outcomes.push(outcome);
            }
            Err(error) => {
                let index = u32::try_from(index).unwrap_or(u32::MAX);
                let failure = Failure { index, error };
                return match !only_rows || connection.total_changes() != before {
                    true => Ran::HalfWay(failure),
                    false => Ran::Untouched(failure),
                };
            }
        }
    }
    Ran::Whole(outcomes)
}

/// The same in a savepoint, so that it leaves no trace when it fails.
fn run_in_savepoint(connection: &Connection, job: &Job) -> Ran {
    let lost = |error| {
        Ran::Untouched(Failure {
            index: 0,
            error: statement::error(error),
        })
    };
    if let Err(error) = connection.execute_own("SAVEPOINT job") {
        return lost(error);
    }
    let ran = match run(connection, job) {
        Ran::HalfWay(failure) => Ran::Untouched(failure),
        ran => ran,
    };
    if connection.is_rolled_back() {
        return ran;
    }
    let end = match ran {
        Ran::Whole(_) => "RELEASE job",
        _ => "ROLLBACK TO job; RELEASE job",
    };
    match connection.execute_own(end) {
        Ok(()) => ran,
        Err(error) => lost(error),
    }
}

/// Commits, and answers all of the group.
fn finish(connection: &Connection, done: Vec<(Job, Answer)>, commits: &Commits) {
    // The first deadline to pass must not cut the commit of the others short.
    if let Some(latest) = done.iter().map(|(job, _)| job.deadline).max() {
        connection.allow(Budget::Until(latest));
    }
    let Err(error) = connection.execute_own("COMMIT") else {
        tracing::trace!(transactions = done.len(), "committed");
        // Where all of its callers went away, it had none.
        if !done.is_empty() {
            commits.record(done.len());
        }
        return done
            .into_iter()
            .for_each(|(job, answer)| job.answer(answer));
    };
    tracing::warn!(%error, transactions = done.len(), "a group of transactions was not committed");
    let error = match statement::error(error) {
        error @ (SqlError::Busy | SqlError::Full) => error,
        error => SqlError::Ambiguous(format!("the commit failed: Error::{error:?}")),
    };
    // Where it is still open, nothing of it is on disk. Should even this fail, `begin` tries again.
    let _ = rollback(connection);
    for (job, answer) in done {
        match answer {
            Ok(_) => job.fail(error.clone()),
            // It would have changed nothing; what it failed on may be gone with the group.
            Err(_) => job.fail(SqlError::Busy),
        }
    }
}

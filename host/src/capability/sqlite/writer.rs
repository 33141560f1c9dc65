//! The writer thread: group commit.
//!
//! It takes the first transaction that waits and, in the same SQLite transaction, all that have come
//! in by the time it is done with it, each in a savepoint of its own; then commits them with one
//! fsync. While it waits for the disk, the next group gathers.
//!
//! Nobody is answered before the commit, not even those that failed: what made them fail may be a
//! write of the same group, which no reader sees yet.

use std::collections::VecDeque;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::connection::{Budget, Connection};
use super::statement;
use crate::bindings::mortise::persistence::sqlite::{Error as SqlError, Failure, Outcome, Statement};

/// Most transactions that one fsync commits.
const MAX_GROUP: usize = 512;

type Answer = Result<Vec<Outcome>, Failure>;

/// One transaction that waits for the writer.
struct Job {
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
        self.answer(Err(Failure { index: 0, error }));
    }
}

/// The way to the writer thread, which ends when this is dropped.
pub(super) struct Writer {
    jobs: Sender<Job>,
}

impl Writer {
    pub(super) fn start(connection: Connection) -> Self {
        let (jobs, waiting) = mpsc::channel();
        thread::Builder::new()
            .name("mortise-sqlite".to_owned())
            .spawn(move || {
                while let Ok(first) = waiting.recv() {
                    commit_group(&connection, first, &waiting);
                }
            })
            .expect("a thread can be started");
        Self { jobs }
    }

    pub(super) async fn run(&self, statements: Vec<Statement>, deadline: Instant) -> Answer {
        let (reply, answer) = oneshot::channel();
        let gone = |error| Err(Failure { index: 0, error });
        if self.jobs.send(Job { statements, deadline, reply }).is_err() {
            return gone(SqlError::Other("the writer has ended".to_owned()));
        }
        answer.await.unwrap_or_else(|_| {
            gone(SqlError::Ambiguous("the writer ended before it answered".to_owned()))
        })
    }
}

/// Commits `first` and whatever else waits, and answers all of them.
fn commit_group(connection: &Connection, first: Job, waiting: &Receiver<Job>) {
    let mut pending = VecDeque::from([first]);
    while let Some(job) = pending.front() {
        connection.allow(Budget::Until(job.deadline));
        if let Err(error) = begin(connection) {
            let job = pending.pop_front().expect("it is the one in front");
            job.fail(statement::error(error));
            continue;
        }
        match run_group(connection, &mut pending, waiting) {
            Some(done) => return finish(connection, done),
            // One failed so badly that SQLite rolled all of them back: the others run again.
            None => continue,
        }
    }
}

fn begin(connection: &Connection) -> rusqlite::Result<()> {
    if !connection.is_rolled_back() {
        // A disk that failed a commit may have failed its rollback too.
        connection.execute_own("ROLLBACK")?;
    }
    connection.execute_own("BEGIN IMMEDIATE")
}

/// Runs what is pending and what waits in the open transaction. None where SQLite rolled it back: then
/// all but the one at fault are pending again.
fn run_group(
    connection: &Connection,
    pending: &mut VecDeque<Job>,
    waiting: &Receiver<Job>,
) -> Option<Vec<(Job, Answer)>> {
    let mut done = Vec::new();
    while done.len() < MAX_GROUP {
        let Some(job) = pending.pop_front().or_else(|| waiting.try_recv().ok()) else { break };
        if job.reply.is_closed() {
            continue;
        }
        let answer = run(connection, &job);
        if connection.is_rolled_back() {
            job.answer(answer);
            for (job, _) in done.into_iter().rev() {
                pending.push_front(job);
            }
            return None;
        }
        done.push((job, answer));
    }
    Some(done)
}

/// Runs one transaction in a savepoint of its own.
fn run(connection: &Connection, job: &Job) -> Answer {
    let whole = |error| Failure { index: 0, error: statement::error(error) };
    connection.allow(Budget::Until(job.deadline));
    connection.execute_own("SAVEPOINT job").map_err(whole)?;
    let mut outcomes = Vec::with_capacity(job.statements.len());
    let mut left = connection.max_answer_bytes();
    for (index, statement) in job.statements.iter().enumerate() {
        match connection.execute(statement, &mut left) {
            Ok(outcome) => outcomes.push(outcome),
            Err(error) => {
                if !connection.is_rolled_back() {
                    connection.execute_own("ROLLBACK TO job; RELEASE job").map_err(whole)?;
                }
                let index = u32::try_from(index).unwrap_or(u32::MAX);
                return Err(Failure { index, error });
            }
        }
    }
    connection.execute_own("RELEASE job").map_err(whole)?;
    Ok(outcomes)
}

/// Commits, and answers all of the group.
fn finish(connection: &Connection, done: Vec<(Job, Answer)>) {
    // The first deadline to pass must not cut the commit of the others short.
    if let Some(latest) = done.iter().map(|(job, _)| job.deadline).max() {
        connection.allow(Budget::Until(latest));
    }
    let Err(error) = connection.execute_own("COMMIT") else {
        return done.into_iter().for_each(|(job, answer)| job.answer(answer));
    };
    tracing::warn!(%error, transactions = done.len(), "a group of transactions was not committed");
    let error = match statement::error(error) {
        error @ (SqlError::Busy | SqlError::Full) => error,
        error => SqlError::Ambiguous(format!("the commit failed: {error:?}")),
    };
    if !connection.is_rolled_back() {
        // Still open, so nothing of it is on disk. Should even this fail, `begin` tries again.
        let _ = connection.execute_own("ROLLBACK");
    }
    for (job, answer) in done {
        match answer {
            Ok(_) => job.fail(error.clone()),
            // It would have changed nothing; what it failed on may be gone with the group.
            Err(_) => job.fail(SqlError::Busy),
        }
    }
}

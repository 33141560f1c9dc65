//! Capabilities that fail: at each call that an operation makes of one, in each way.
//!
//! Nothing may be half-done, the error says what is true, and the next call works.

use super::clause::{Clause, Finding, Outcome, brief, clause, ensure};
use super::fault_calls::{Answer, Call, READS, Reply, Seen, WRITES, answer, reset};
use super::world::Subject;
use mortise_store::inside::Injected;
use mortise_store::{Error, ErrorKind, Result, Store};

pub(crate) const CLAUSES: &[Clause] = &[
    clause!(
        subject,
        "faults/io-error",
        "where the storage fails during a write, nothing is half-done, the error is unavailable or \
         internal, and the next call works",
        io_error
    ),
    clause!(
        subject,
        "faults/busy",
        "where the storage is busy during a write, nothing is half-done, the error is unavailable, and \
         the next call works",
        busy
    ),
    clause!(
        subject,
        "faults/full",
        "where the storage is full, nothing is half-done, the error is too-large, and the next call works",
        full
    ),
    clause!(
        subject,
        "faults/lost-answer",
        "where the storage's answer to a write is lost, all or nothing is done, and the error is \
         ambiguous, or the answer is the truth",
        lost_answer
    ),
    clause!(
        subject,
        "faults/read-errors",
        "a read that fails is an error, not an absent record, and the next call works",
        read_errors
    ),
];

/// More calls of a capability than any operation makes.
const MOST_CALLS: u32 = 64;

async fn io_error(subject: Subject) -> Outcome {
    try_all(&subject, Injected::Io, WRITES).await
}

async fn busy(subject: Subject) -> Outcome {
    try_all(&subject, Injected::Busy, WRITES).await
}

async fn full(subject: Subject) -> Outcome {
    try_all(&subject, Injected::Full, WRITES).await
}

async fn lost_answer(subject: Subject) -> Outcome {
    try_all(&subject, Injected::LostAnswer, WRITES).await
}

async fn read_errors(subject: Subject) -> Outcome {
    for fault in [Injected::Io, Injected::Busy, Injected::LostAnswer] {
        try_all(&subject, fault, READS).await?;
    }
    Ok(())
}

/// Tries each of these calls with the fault at the first, the second, … call of a capability.
async fn try_all(subject: &Subject, fault: Injected, calls: &[Call]) -> Outcome {
    if !subject.uses_storage() {
        return Err(Finding::not_applicable(
            "the backend imports no capability that could fail",
        ));
    }
    let store = subject.open().await?;
    for &call in calls {
        let trial = Trial {
            subject,
            store: &store,
            fault,
            call,
        };
        trial.run().await?;
    }
    Ok(())
}

/// One call with one kind of fault.
struct Trial<'a> {
    subject: &'a Subject,
    store: &'a Store,
    fault: Injected,
    call: Call,
}

/// What a call comes to when nothing fails.
struct Truth {
    before: Seen,
    answer: Answer,
    after: Seen,
}

impl Trial<'_> {
    async fn run(&self) -> Outcome {
        let truth = self.truth().await?;
        for k in 1..=MOST_CALLS {
            let seen = self.prepare().await?;
            self.subject.faults().order(self.fault, k);
            let reply = self.call.run(self.store, &seen).await;
            if self.subject.faults().withdraw() {
                // It made fewer calls.
                return Ok(());
            }
            self.judge(k, reply, &truth).await?;
        }
        Err(self.finding(
            MOST_CALLS,
            "the call makes more calls of the capability than that",
        ))
    }

    /// Makes the records of [`reset`]: all that can be seen then.
    async fn prepare(&self) -> Result<Seen, Finding> {
        reset(self.store).await?;
        let seen = Seen::of(self.store).await?;
        ensure!(
            seen.records.len() == 3,
            "after a clear and a batch of three records and an expired one, export answered {}",
            brief(&seen.records)
        );
        Ok(seen)
    }

    async fn truth(&self) -> Result<Truth, Finding> {
        let before = self.prepare().await?;
        let reply = self.call.run(self.store, &before).await;
        let after = Seen::of(self.store).await?;
        Ok(Truth {
            before: before.ranked(),
            answer: answer(reply, &after),
            after: after.ranked(),
        })
    }

    /// Whether what was answered is true, and the next call works.
    async fn judge(&self, k: u32, reply: Result<Reply>, truth: &Truth) -> Outcome {
        let said = match &reply {
            Ok(_) => "it was answered as a success".to_owned(),
            Err(error) => format!("it was answered {:?}: {error}", error.kind()),
        };
        let health = self.store.health().await;
        health
            .map_err(|error| self.finding(k, &format!("{said}; the health after it: {error}")))?;
        let seen = Seen::of(self.store).await;
        let seen = seen.map_err(|error| self.finding(k, &format!("{said}; after it: {error}")))?;
        let failed = reply.as_ref().err().map(Error::kind);
        let given = answer(reply, &seen);
        let seen = seen.ranked();
        let (nothing, all) = (seen.is_as(&truth.before), seen.is_as(&truth.after));
        if !nothing && !all {
            let found = format!(
                "{said}, and half of it is done: {}",
                differences(&seen, truth)
            );
            return Err(self.finding(k, &found));
        }
        let answers_truly = match (self.call, &given) {
            // Tried again, it finds nothing more to sweep.
            (Call::Sweep, Answer::Count(_)) => true,
            _ => given == truth.answer && all,
        };
        if !answers_truly {
            let Some(kind) = failed else {
                let (given, expected) = (brief(&given), brief(&truth.answer));
                let found = match all {
                    true => format!("{said}, {given}, but the truth is {expected}"),
                    false => format!("{said}, but nothing of it is done"),
                };
                return Err(self.finding(k, &found));
            };
            self.check_kind(k, kind, nothing, &said)?;
        }
        if nothing {
            self.check_again(k, truth, &said).await?;
        }
        Ok(())
    }

    fn check_kind(&self, k: u32, kind: ErrorKind, nothing: bool, said: &str) -> Outcome {
        use ErrorKind::{Ambiguous, Internal, TooLarge, Unavailable};
        let right: &[ErrorKind] = match self.fault {
            Injected::Io => &[Unavailable, Internal],
            Injected::Busy => &[Unavailable],
            Injected::Full => &[TooLarge],
            Injected::LostAnswer if nothing => &[Ambiguous, Unavailable, Internal],
            Injected::LostAnswer => &[Ambiguous],
        };
        let names: Vec<_> = right.iter().map(|kind| format!("{kind:?}")).collect();
        let names = names.join(" or ");
        match right.contains(&kind) {
            true => Ok(()),
            false if nothing => Err(self.finding(k, &format!("expected {names}, but {said}"))),
            false => {
                let found = format!("it is done, so expected {names}, but {said}");
                Err(self.finding(k, &found))
            }
        }
    }

    /// Nothing was done: then the same call, when nothing fails, does it all.
    async fn check_again(&self, k: u32, truth: &Truth, said: &str) -> Outcome {
        let before = Seen::of(self.store).await?;
        let reply = self.call.run(self.store, &before).await;
        let seen = Seen::of(self.store).await?;
        let again = answer(reply, &seen);
        let as_always = again == truth.answer || matches!(self.call, Call::Sweep);
        if as_always && seen.ranked().is_as(&truth.after) {
            return Ok(());
        }
        let (again, expected) = (brief(&again), brief(&truth.answer));
        let found = format!(
            "{said}, and the same call after it was answered {again}, or left other records than \
             without the fault, when it is answered {expected}"
        );
        Err(self.finding(k, &found))
    }

    fn finding(&self, k: u32, found: &str) -> Finding {
        let (call, fault) = (self.call, self.fault);
        Finding::broken(format!(
            "{call:?}, when call {k} of the capability ends with {fault:?}: {found}"
        ))
    }
}

/// In what a store differs from what it was, for people.
fn differences(seen: &Seen, truth: &Truth) -> String {
    let ids = |seen: &Seen| {
        let ids = seen.records.iter().map(|record| record.key().id.as_str());
        let found = seen.found.iter().map(Vec::len);
        let (ids, found) = (ids.collect::<Vec<_>>(), found.collect::<Vec<_>>());
        let records = seen.statistics.iter().map(|counted| counted.records);
        let counted: u64 = records.sum();
        format!("records {ids:?}, counted {counted}, found by attribute {found:?}")
    };
    format!(
        "there are {}; before: {}; after a success: {}",
        ids(seen),
        ids(&truth.before),
        ids(&truth.after)
    )
}

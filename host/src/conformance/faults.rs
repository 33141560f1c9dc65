//! Capabilities that fail: at each call that an operation makes of one, in each way.
//!
//! Nothing may be half-done, the error says what is true, and the next call works.

use std::collections::BTreeSet;

use super::clause::{Clause, Finding, Outcome, brief, clause, ensure};
use super::subject::{START, Subject};
use crate::capability::injector::Fault;
use crate::error::{Error, ErrorKind, Result};
use crate::record::{CollectionStatistics, Draft, Key, Query, Revision, Stored, Write};
use crate::store::Store;

pub(super) const CLAUSES: &[Clause] = &[
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
const COLLECTION: &str = "faults";

async fn io_error(subject: Subject) -> Outcome {
    try_all(&subject, Fault::Io, WRITES).await
}

async fn busy(subject: Subject) -> Outcome {
    try_all(&subject, Fault::Busy, WRITES).await
}

async fn full(subject: Subject) -> Outcome {
    try_all(&subject, Fault::Full, WRITES).await
}

async fn lost_answer(subject: Subject) -> Outcome {
    try_all(&subject, Fault::LostAnswer, WRITES).await
}

async fn read_errors(subject: Subject) -> Outcome {
    for fault in [Fault::Io, Fault::Busy, Fault::LostAnswer] {
        try_all(&subject, fault, READS).await?;
    }
    Ok(())
}

/// A call, on the records that [`reset`] makes.
#[derive(Debug, Clone, Copy)]
enum Call {
    Create,
    CreateWhatIsThere,
    Update,
    UpdateStale,
    Delete,
    DeleteWhatIsAbsent,
    Apply,
    ApplyRefused,
    Import,
    ImportConflict,
    Sweep,
    Clear,
    Load,
    LoadWhatIsAbsent,
    LoadMany,
    Find,
    FindByAttribute,
    Export,
    Statistics,
    Health,
}

const WRITES: &[Call] = &[
    Call::Create,
    Call::CreateWhatIsThere,
    Call::Update,
    Call::UpdateStale,
    Call::Delete,
    Call::DeleteWhatIsAbsent,
    Call::Apply,
    Call::ApplyRefused,
    Call::Import,
    Call::ImportConflict,
    Call::Sweep,
    Call::Clear,
];

const READS: &[Call] = &[
    Call::Load,
    Call::LoadWhatIsAbsent,
    Call::LoadMany,
    Call::Find,
    Call::FindByAttribute,
    Call::Export,
    Call::Statistics,
    Call::Health,
];

fn key(id: &str) -> Key {
    Key::new(COLLECTION, id)
}

fn draft(id: &str, body: &str) -> Draft {
    Draft::new(key(id), body).attribute("body", body)
}

/// Three records, and one that is expired.
async fn reset(store: &Store) -> Result<()> {
    store.clear(None).await?;
    let expired = draft("expired", "gone").expires_at(START - 1);
    let records = [draft("a", "one"), draft("b", "two"), draft("c", "two")];
    let batch = records.into_iter().chain([expired]).map(Write::put);
    store.apply(batch.collect()).await.map(drop)
}

/// What a call answers, without numbers that differ from one try to the next.
#[derive(Debug, PartialEq)]
enum Answer {
    Done,
    /// Which revisions, by their rank among those of all records there.
    Ranks(Vec<Option<usize>>),
    Records(Vec<Option<Draft>>),
    Count(u64),
    Statistics(Vec<CollectionStatistics>),
    Refused(ErrorKind),
}

impl Call {
    async fn run(self, store: &Store, seen: &Seen) -> Result<Reply> {
        let revision = |id: &str| seen.stored(id).map_or(1, Stored::revision);
        let highest = seen.revisions().last().copied().unwrap_or(0);
        let imported = |id: &str, ahead: Revision| {
            let mut record = Stored {
                draft: draft(id, "two"),
                stamp: seen.records[0].stamp,
            };
            record.stamp.create_revision = highest + ahead;
            record.stamp.mod_revision = highest + ahead;
            record
        };
        let wrote = |stamp: crate::record::Stamp| Reply::Wrote(vec![stamp.mod_revision]);
        let records = |records: Vec<Stored>| {
            let drafts = records.into_iter().map(|record| Some(record.draft));
            Reply::Is(Answer::Records(drafts.collect()))
        };
        let maybe = |records: Vec<Option<Stored>>| {
            let drafts = records.into_iter().map(|record| Some(record?.draft));
            Reply::Is(Answer::Records(drafts.collect()))
        };
        let done = |()| Reply::Is(Answer::Done);
        let count = |count| Reply::Is(Answer::Count(count));
        match self {
            Self::Create => store.create(draft("new", "two")).await.map(wrote),
            Self::CreateWhatIsThere => store.create(draft("a", "two")).await.map(wrote),
            Self::Update => {
                let unchanged = Some(revision("a"));
                store.update(draft("a", "two"), unchanged).await.map(wrote)
            }
            Self::UpdateStale => {
                let stale = Some(highest + 1);
                store.update(draft("a", "two"), stale).await.map(wrote)
            }
            Self::Delete => store.delete(&key("b"), None).await.map(done),
            Self::DeleteWhatIsAbsent => store.delete(&key("nobody"), None).await.map(done),
            Self::Apply => {
                let batch = vec![
                    Write::create(draft("new", "two")),
                    Write::update(draft("a", "three"), revision("a")),
                    Write::delete(key("b"), None),
                ];
                store.apply(batch).await.map(Reply::Wrote)
            }
            Self::ApplyRefused => {
                let batch = vec![
                    Write::create(draft("new", "two")),
                    Write::update(draft("a", "three"), highest + 1),
                ];
                store.apply(batch).await.map(Reply::Wrote)
            }
            Self::Import => {
                let batch = vec![seen.records[0].clone(), imported("x", 5), imported("y", 7)];
                store.import(batch).await.map(done)
            }
            Self::ImportConflict => {
                let batch = vec![imported("x", 5), imported("a", 7)];
                store.import(batch).await.map(done)
            }
            Self::Sweep => store.sweep(10).await.map(|swept| count(swept.into())),
            Self::Clear => store.clear(None).await.map(count),
            Self::Load => store
                .load(&key("a"))
                .await
                .map(|record| maybe(vec![record])),
            Self::LoadWhatIsAbsent => {
                let loaded = store.load(&key("nobody")).await;
                loaded.map(|record| maybe(vec![record]))
            }
            Self::LoadMany => {
                let keys = ["a", "nobody", "b"].map(key);
                store.load_many(keys.into()).await.map(maybe)
            }
            Self::Find => {
                let found = store.find(Query::new(COLLECTION)).await;
                found.map(|page| records(page.records))
            }
            Self::FindByAttribute => {
                let found = store.find(Query::new(COLLECTION).with("body", "two")).await;
                found.map(|page| records(page.records))
            }
            Self::Export => {
                let page = store.export(None, 100).await;
                page.map(|page| records(page.records))
            }
            Self::Statistics => {
                let statistics = store.statistics().await;
                statistics.map(|statistics| Reply::Is(Answer::Statistics(statistics)))
            }
            Self::Health => store.health().await.map(done),
        }
    }
}

/// An answer whose revisions have no rank yet.
enum Reply {
    Is(Answer),
    Wrote(Vec<Revision>),
}

/// All that can be seen of a store.
#[derive(Debug)]
struct Seen {
    records: Vec<Stored>,
    statistics: Vec<CollectionStatistics>,
    /// What is found by each attribute.
    found: Vec<Vec<Stored>>,
}

impl Seen {
    async fn of(store: &Store) -> Result<Self> {
        let mut found = Vec::new();
        for value in ["one", "two", "three", "gone"] {
            let query = Query::new(COLLECTION).with("body", value);
            found.push(store.find(query).await?.records);
        }
        Ok(Self {
            records: store.export(None, 1000).await?.records,
            statistics: store.statistics().await?,
            found,
        })
    }

    fn stored(&self, id: &str) -> Option<&Stored> {
        self.records.iter().find(|record| record.key().id == id)
    }

    fn revisions(&self) -> Vec<Revision> {
        let stamps = self.records.iter().map(|record| record.stamp);
        let all = stamps.flat_map(|stamp| [stamp.create_revision, stamp.mod_revision]);
        BTreeSet::from_iter(all).into_iter().collect()
    }

    fn rank(&self, revision: Revision) -> Option<usize> {
        self.revisions().binary_search(&revision).ok()
    }

    /// With ranks for revisions, so that it can be compared with what another try left.
    fn ranked(mut self) -> Self {
        let ranks = self.revisions();
        let rank = |revision: &mut Revision| {
            *revision = ranks
                .binary_search(revision)
                .map_or(u64::MAX, |rank| rank as u64);
        };
        let found = self.found.iter_mut().flatten();
        for record in self.records.iter_mut().chain(found) {
            rank(&mut record.stamp.create_revision);
            rank(&mut record.stamp.mod_revision);
        }
        self
    }

    fn is_as(&self, other: &Self) -> bool {
        self.records == other.records
            && self.statistics == other.statistics
            && self.found == other.found
    }
}

/// Tries each of these calls with the fault at the first, the second, … call of a capability.
async fn try_all(subject: &Subject, fault: Fault, calls: &[Call]) -> Outcome {
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
    fault: Fault,
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
            self.subject.injector().order(self.fault, k);
            let reply = self.call.run(self.store, &seen).await;
            if self.subject.injector().withdraw() {
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
            Fault::Io => &[Unavailable, Internal],
            Fault::Busy => &[Unavailable],
            Fault::Full => &[TooLarge],
            Fault::LostAnswer if nothing => &[Ambiguous, Unavailable, Internal],
            Fault::LostAnswer => &[Ambiguous],
        };
        let mut names = right.iter().map(|kind| format!("{kind:?}"));
        let names = names.by_ref().collect::<Vec<_>>().join(" or ");
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

fn answer(reply: Result<Reply>, after: &Seen) -> Answer {
    match reply {
        Ok(Reply::Is(answer)) => answer,
        Ok(Reply::Wrote(revisions)) => {
            let ranks = revisions.into_iter().map(|revision| after.rank(revision));
            Answer::Ranks(ranks.collect())
        }
        Err(error) => Answer::Refused(error.kind()),
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

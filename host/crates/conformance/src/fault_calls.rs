//! The calls that are made to fail, and all that can be seen of a store before and after.

use std::collections::BTreeSet;

use super::world::START;
use mortise_store::{
    CollectionStatistics, Draft, ErrorKind, Key, Query, Result, Revision, Stamp, Store, Stored,
    Write,
};

const COLLECTION: &str = "faults";

/// A call, on the records that [`reset`] makes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Call {
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

pub(crate) const WRITES: &[Call] = &[
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

pub(crate) const READS: &[Call] = &[
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
pub(crate) async fn reset(store: &Store) -> Result<()> {
    store.clear(None).await?;
    let expired = draft("expired", "gone").expires_at(START - 1);
    let records = [draft("a", "one"), draft("b", "two"), draft("c", "two")];
    let batch = records.into_iter().chain([expired]).map(Write::put);
    store.apply(batch.collect()).await.map(drop)
}

/// What a call answers, without numbers that differ from one try to the next.
#[derive(Debug, PartialEq)]
pub(crate) enum Answer {
    Done,
    /// Which revisions, by their rank among those of all records there.
    Ranks(Vec<Option<usize>>),
    Records(Vec<Option<Draft>>),
    Count(u64),
    Statistics(Vec<CollectionStatistics>),
    Refused(ErrorKind),
}

impl Call {
    pub(crate) async fn run(self, store: &Store, seen: &Seen) -> Result<Reply> {
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
        let wrote = |stamp: Stamp| Reply::Wrote(vec![stamp.mod_revision]);
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
pub(crate) enum Reply {
    Is(Answer),
    Wrote(Vec<Revision>),
}

/// All that can be seen of a store.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) records: Vec<Stored>,
    pub(crate) statistics: Vec<CollectionStatistics>,
    /// What is found by each attribute.
    pub(crate) found: Vec<Vec<Stored>>,
}

impl Seen {
    pub(crate) async fn of(store: &Store) -> Result<Self> {
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
    pub(crate) fn ranked(mut self) -> Self {
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

    pub(crate) fn is_as(&self, other: &Self) -> bool {
        self.records == other.records
            && self.statistics == other.statistics
            && self.found == other.found
    }
}

pub(crate) fn answer(reply: Result<Reply>, after: &Seen) -> Answer {
    match reply {
        Ok(Reply::Is(answer)) => answer,
        Ok(Reply::Wrote(revisions)) => {
            let ranks = revisions.into_iter().map(|revision| after.rank(revision));
            Answer::Ranks(ranks.collect())
        }
        Err(error) => Answer::Refused(error.kind()),
    }
}

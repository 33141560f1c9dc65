//! From the Redis store of Teal Agents to a store.

mod order;
mod report;
mod source;

use std::collections::{BTreeSet, HashSet};

use mortise_agent::inside::AgentTaskInside as _;
use mortise_config::RedisGrant;
use mortise_store::inside::{ErrorInside as _, StoreInside as _};
use mortise_store::{Draft, Operation, Result, Store};
use mortise_transfer::inside::quote;
use serde::Deserialize;

use self::order::{BATCH_KEYS, Found, batches};
pub use self::report::{Skipped, StaleMember, TealReport};
use self::source::{Expiry, Keys, Source};
use crate::importer::{NewRecords, Outcome, read_task};
use crate::instant::instant;

/// How tasks are imported.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct TealOptions {
    /// Reads everything and reports what would be, but writes nothing.
    pub dry_run: bool,
    /// What becomes of the time to live of a key.
    pub expiry: TealExpiry,
}

/// What becomes of the time to live of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TealExpiry {
    /// The task expires at the same instant.
    #[default]
    Keep,
    /// The task does not expire, unless the store gives its records a time to live.
    Drop,
}

/// Writes the tasks that Teal Agents' Redis store has to a store, and reports what it read.
///
/// The source is read only: the keys `task_persistence:task:{task_id}`, strings with a task's JSON, and
/// `task_persistence:request_index:{request_id}`, sets of task ids. The sets are read for the report
/// alone, because what tasks are found by is in the tasks.
///
/// Tasks are created in the order of their `created_at`, so that the oldest answers for a request id that
/// several carry. Times without an offset count as UTC; where they are equal the ids decide, and tasks
/// whose time cannot be read come last.
///
/// What cannot be imported is skipped and reported. What is there already with the same content is left
/// alone: an import can be run again. What the older store writes meanwhile may be missing; best let
/// nobody write to it.
///
/// Memory is taken for the names of all keys, and for the values of one batch. `progress` is told after
/// each batch how many tasks were dealt with so far: none, while their order is being found out.
///
/// # Errors
///
/// `Config` where the source cannot be read as it is: no login, no permission, a Redis Cluster;
/// `Unavailable` where it does not answer; those of [`Store::load_many`] and [`Store::apply`]. Each says
/// how many tasks were created before.
pub async fn import_teal_redis(
    store: &Store,
    from: &RedisGrant,
    options: &TealOptions,
    mut progress: impl FnMut(u64),
) -> Result<TealReport> {
    let source = Source::connect(from).await?;
    let mut import = Import {
        store,
        source,
        options,
        new_records: NewRecords::new(store, options.dry_run),
        report: TealReport {
            dry_run: options.dry_run,
            ..TealReport::default()
        },
        requests: HashSet::new(),
    };
    match import.run(&mut progress).await {
        Ok(()) => Ok(import.finish()),
        Err(error) => Err(import.new_records.stopped("tasks", error)),
    }
}

/// An import under way.
struct Import<'a> {
    store: &'a Store,
    source: Source,
    options: &'a TealOptions,
    new_records: NewRecords<'a>,
    report: TealReport,
    /// The request ids of the tasks so far.
    requests: HashSet<String>,
}

/// A task that can be written.
struct Candidate {
    draft: Draft,
    status: String,
    items: u64,
    requests: BTreeSet<String>,
    expires: bool,
}

impl Import<'_> {
    async fn run(&mut self, progress: &mut impl FnMut(u64)) -> Result<()> {
        let Keys { tasks, indexes } = self.source.keys(|| progress(0)).await?;
        self.read_indexes(&indexes, &tasks, progress).await?;
        drop(indexes);
        let mut found = Vec::with_capacity(tasks.len());
        let tasks: Vec<_> = tasks.into_iter().collect();
        for ids in tasks.chunks(BATCH_KEYS) {
            found.extend(self.look(ids).await?);
            progress(0);
        }
        drop(tasks);
        order::sort(&mut found);
        let mut done = 0;
        for batch in batches(&found) {
            self.import(batch).await?;
            done += batch.len() as u64;
            progress(done);
        }
        Ok(())
    }

    /// Counts the index sets, and finds members that name a task that is not there.
    async fn read_indexes(
        &mut self,
        indexes: &HashSet<Vec<u8>>,
        tasks: &HashSet<Vec<u8>>,
        progress: &mut impl FnMut(u64),
    ) -> Result<()> {
        let indexes: Vec<_> = indexes.iter().collect();
        for requests in indexes.chunks(BATCH_KEYS) {
            let sets = self.source.members(requests).await?;
            for (request, members) in requests.iter().zip(sets) {
                let Some(members) = members else {
                    let reason = "the index key is no set";
                    self.report.skip(source::index_key(request), reason);
                    continue;
                };
                // A set without members is no key: it expired while it was read.
                self.report.index_keys += u64::from(!members.is_empty());
                self.report.index_members += members.len() as u64;
                let stale = members.iter().filter(|member| !tasks.contains(*member));
                self.report
                    .stale_members
                    .extend(stale.map(|member| StaleMember {
                        request_id: lossy(request),
                        task_id: lossy(member),
                    }));
            }
            progress(0);
        }
        self.report.stale_members.sort_unstable();
        Ok(())
    }

    /// Finds out when tasks were made, and how large they are.
    async fn look(&self, ids: &[Vec<u8>]) -> Result<Vec<Found>> {
        #[derive(Deserialize)]
        struct Created {
            created_at: String,
        }
        let lengths = self.source.lengths(ids).await?;
        let mut found: Vec<_> = ids
            .iter()
            .zip(lengths)
            .map(|(id, bytes)| Found {
                id: id.clone(),
                bytes,
                created_at: None,
            })
            .collect();
        let mut times = Vec::with_capacity(found.len());
        for batch in batches(&found) {
            let values = self.values(batch).await?;
            times.extend(values.into_iter().map(|value| {
                let task: Created = serde_json::from_slice(&value?).ok()?;
                instant(&task.created_at)
            }));
        }
        for (task, created_at) in found.iter_mut().zip(times) {
            task.created_at = created_at;
        }
        Ok(found)
    }

    /// The values of those tasks that are not too large to be read; none for the others.
    async fn values(&self, batch: &[Found]) -> Result<Vec<Option<Vec<u8>>>> {
        let readable = |task: &&Found| self.is_readable(task);
        let ids: Vec<_> = batch.iter().filter(readable).map(|task| &task.id).collect();
        let mut values = self.source.values(&ids).await?.into_iter();
        let value = |task| match self.is_readable(task) {
            true => values.next().flatten(),
            false => None,
        };
        Ok(batch.iter().map(value).collect())
    }

    fn is_readable(&self, task: &Found) -> bool {
        let most = self.store.max_body_bytes();
        task.bytes.is_some_and(|bytes| bytes <= most)
    }

    /// Reads tasks once more, now in their order, and writes them.
    async fn import(&mut self, batch: &[Found]) -> Result<()> {
        let values = self.values(batch).await?;
        // Afterwards: what is still there now did not expire before its value was read.
        let expiries = self
            .source
            .expiries(batch.iter().map(|task| &task.id))
            .await?;
        let mut candidates = Vec::with_capacity(batch.len());
        for ((task, value), expiry) in batch.iter().zip(values).zip(expiries) {
            if expiry == Expiry::Gone {
                continue;
            }
            self.report.tasks += 1;
            match self.judge(task, value, expiry).await? {
                Ok(candidate) => candidates.push(candidate),
                Err(reason) => self.skip(&task.id, reason),
            }
        }
        self.write(candidates).await
    }

    /// The record that a value becomes, or why it becomes none.
    async fn judge(
        &self,
        task: &Found,
        value: Option<Vec<u8>>,
        expiry: Expiry,
    ) -> Result<Result<Candidate, String>> {
        let value = match (value, task.bytes) {
            (Some(value), _) => value,
            (None, None) => {
                let kind = self.source.kind(&task.id).await?;
                return Ok(Err(format!("the value is a {kind}, expected a string")));
            }
            (None, Some(bytes)) if !self.is_readable(task) => {
                let most = self.store.max_body_bytes();
                return Ok(Err(format!(
                    "the value has {bytes} bytes, more than the {most} that the store takes"
                )));
            }
            (None, Some(_)) => return Ok(Err("the value changed while it was read".to_owned())),
        };
        Ok(self.candidate(&task.id, value, expiry))
    }

    fn candidate(&self, id: &[u8], value: Vec<u8>, expiry: Expiry) -> Result<Candidate, String> {
        let task = read_task("value", &value)?;
        if task.task_id.as_bytes() != id {
            let found = quote(&task.task_id);
            return Err(format!(
                "the task in it has another id than the key: {found:?}"
            ));
        }
        let operation = Operation::Create;
        let mut draft = task.draft(operation).map_err(|error| error.reason())?;
        if let (Expiry::At(at), TealExpiry::Keep) = (expiry, self.options.expiry) {
            draft.expires_at = Some(at);
        }
        let checked = self.store.arguments(operation).draft(&draft);
        checked.map_err(|error| error.reason())?;
        Ok(Candidate {
            draft,
            status: String::from(task.status),
            items: task.items.len() as u64,
            requests: task.items.into_iter().map(|item| item.request_id).collect(),
            expires: matches!(expiry, Expiry::At(_)),
        })
    }

    /// Creates the tasks that are not there yet.
    async fn write(&mut self, candidates: Vec<Candidate>) -> Result<()> {
        let drafts: Vec<_> = candidates.iter().map(|task| &task.draft).collect();
        let outcomes = self.new_records.settle(&drafts).await?;
        for (candidate, outcome) in candidates.into_iter().zip(outcomes) {
            match outcome {
                Outcome::Created => self.report.created += 1,
                Outcome::Unchanged => self.report.unchanged += 1,
                Outcome::Skipped(reason) => {
                    self.skip(candidate.draft.key.id.as_bytes(), reason);
                    continue;
                }
            }
            self.count(candidate);
        }
        Ok(())
    }

    fn skip(&mut self, id: &[u8], reason: impl Into<String>) {
        self.report.skipped_tasks += 1;
        self.report.skip(source::task_key(id), reason);
    }

    fn count(&mut self, task: Candidate) {
        let report = &mut self.report;
        report.items += task.items;
        report.request_pairs += task.requests.len() as u64;
        *report.statuses.entry(task.status).or_default() += 1;
        match task.expires {
            true => report.tasks_with_expiry += 1,
            false => report.tasks_without_expiry += 1,
        }
        self.requests.extend(task.requests);
    }

    fn finish(mut self) -> TealReport {
        self.report.request_ids = self.requests.len() as u64;
        self.report
    }
}

/// Bytes for people to read.
fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

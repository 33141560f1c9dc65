//! The process that the clause `durability/kill` kills: it writes batches, and says which were
//! acknowledged.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use super::subject::Subject;
use crate::config::StoreConfig;
use crate::error::{Error, ErrorKind, Operation, Result};
use crate::host::Host;
use crate::record::{Draft, Key, Write};
use crate::store::Store;

/// Where a worker's records are.
pub(super) const COLLECTION: &str = "kill";
/// Writes of one batch. All carry the attribute `batch`, whose value is the batch's name.
pub(super) const BATCH: usize = 3;
/// The attribute of all records of a batch.
pub(super) const ATTRIBUTE: &str = "batch";
/// Batches under way at once, so that what the storage commits together is cut too.
pub(super) const CALLERS: usize = 4;
/// What the worker calls the component.
const NAME: &str = "under-test";

/// Which store a worker writes to, as one JSON value on its standard input.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Job {
    /// The component's file.
    component: PathBuf,
    /// What the names of its batches begin with.
    round: u32,
    namespace: String,
    sqlite: Option<PathBuf>,
    redis: Option<String>,
    options: BTreeMap<String, String>,
}

impl Job {
    /// The store of a clause.
    pub(super) fn of(subject: &Subject, component: PathBuf, round: u32) -> Self {
        let config = subject.config();
        Self {
            component,
            round,
            namespace: config.namespace.clone(),
            sqlite: config.sqlite.as_ref().map(|grant| grant.path.clone()),
            redis: config.redis.as_ref().map(|grant| grant.url.clone()),
            options: config.options.clone(),
        }
    }

    async fn open(&self) -> Result<Store> {
        let component = std::fs::read(&self.component)
            .map_err(|error| failed("the component cannot be read").with_source(error))?;
        let host = Host::builder().component(NAME, component).build()?;
        let mut config = StoreConfig::new(NAME).namespace(&self.namespace);
        if let Some(path) = &self.sqlite {
            config = config.grant_sqlite(path);
        }
        if let Some(url) = &self.redis {
            config = config.grant_redis(url);
        }
        config.options.clone_from(&self.options);
        host.open_with(config).await
    }
}

/// Runs a worker of the clause `durability/kill`: reads its job from `job`, and writes batches until it
/// is killed. The name of each that was acknowledged is a line of `out`, written at once. For the
/// command that [`Kit::worker`](super::Kit::worker) names, and nobody else.
///
/// # Errors
///
/// Those of [`Host::open_with`] and of [`Store::apply`]; `Io` where the job cannot be read, or `out`
/// takes no more.
pub async fn run_worker<W: io::Write>(
    job: impl Read,
    out: impl Fn() -> W + Clone + Send + 'static,
) -> Result<()> {
    let job: Job = serde_json::from_reader(job)
        .map_err(|error| failed("a worker is started by the kit, with a job").with_source(error))?;
    let store = job.open().await?;
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let (store, out, round) = (store.clone(), out.clone(), job.round);
        callers.spawn(async move {
            for number in 0.. {
                let name = format!("{round}-{caller}-{number}");
                store.apply(batch(&name)).await?;
                let written = writeln!(out(), "{name}");
                written.map_err(|error| failed("nobody listens").with_source(error))?;
            }
            Ok(())
        });
    }
    callers.join_all().await.into_iter().collect()
}

/// New records, and one that every batch writes again.
fn batch(name: &str) -> Vec<Write> {
    let draft = |id: String| Draft::new(Key::new(COLLECTION, id), name).attribute(ATTRIBUTE, name);
    let new = (1..BATCH).map(|half| Write::create(draft(format!("{name}-{half}"))));
    let last = Write::put(draft("last".to_owned()));
    new.chain([last]).collect()
}

fn failed(what: &str) -> Error {
    Error::new(ErrorKind::Io, Operation::Open, what)
}

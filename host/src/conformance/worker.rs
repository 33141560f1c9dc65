//! The process that the clause `durability/kill` kills: it writes batches, and says which were
//! acknowledged.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

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
/// is killed. `tell` is told the name of each that was acknowledged, and answers whether anybody still
/// listens. For the command that [`Kit::worker`](super::Kit::worker) names: it writes each name as a line
/// to its standard output, at once.
///
/// # Errors
///
/// Those of [`Host::open_with`] and of [`Store::apply`]; `Io` where the job cannot be read.
pub async fn run_worker(job: impl Read, mut tell: impl FnMut(&str) -> bool) -> Result<()> {
    let job: Job = serde_json::from_reader(job)
        .map_err(|error| failed("a worker is started by the kit, with a job").with_source(error))?;
    let store = job.open().await?;
    let (acknowledged, mut told) = mpsc::channel(1);
    for caller in 0..CALLERS {
        let prefix = format!("{}-{caller}", job.round);
        tokio::spawn(call(store.clone(), prefix, acknowledged.clone()));
    }
    while let Some((batch, go_on)) = told.recv().await {
        if !tell(&batch?) {
            break;
        }
        // Its caller waits: of each, at most one batch is acknowledged and not told.
        let _ = go_on.send(());
    }
    Ok(())
}

/// What a caller says: a batch, and how it learns that it may go on.
type Acknowledged = (Result<String>, oneshot::Sender<()>);

/// Writes batches, until one fails or nobody listens.
async fn call(store: Store, prefix: String, acknowledged: mpsc::Sender<Acknowledged>) {
    for number in 0.. {
        let name = format!("{prefix}-{number}");
        let applied = store.apply(batch(&name)).await;
        let (go_on, told) = oneshot::channel();
        let said = acknowledged.send((applied.map(|_| name), go_on)).await;
        if said.is_err() || told.await.is_err() {
            return;
        }
    }
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

//! The process that the clause `durability/kill` kills: it writes batches, and says which were
//! acknowledged.

use std::io::Read;

use mortise_config::StoreConfig;
use mortise_conformance::inside::{ATTRIBUTE, BATCH, CALLERS, COLLECTION, Job};
use mortise_store::inside::ErrorInside as _;
use mortise_store::{Draft, Error, ErrorKind, Key, Operation, Result, Store, Write};
use tokio::sync::{mpsc, oneshot};

use crate::host::Host;

/// What the worker calls the component.
const NAME: &str = "under-test";

/// Opens the store that a job is about.
async fn open(job: &Job) -> Result<Store> {
    let component = std::fs::read(&job.component)
        .map_err(|error| failed("the component cannot be read").with_source(error))?;
    let host = Host::builder().component(NAME, component).build()?;
    let mut config = StoreConfig::new(NAME).namespace(&job.namespace);
    if let Some(path) = &job.sqlite {
        config = config.grant_sqlite(path);
    }
    if let Some(url) = &job.redis {
        config = config.grant_redis(url);
    }
    config.options.clone_from(&job.options);
    host.open_with(config).await
}

/// Runs a worker of the clause `durability/kill`: reads its job from `job`, and writes batches until it
/// is killed. `tell` is told the name of each that was acknowledged, and answers whether anybody still
/// listens. For the command that [`Kit::worker`](crate::Kit::worker) names: it writes each name as a line
/// to its standard output, at once.
///
/// # Errors
///
/// Those of [`Host::open_with`] and of [`Store::apply`]; `Io` where the job cannot be read.
pub async fn run_worker(job: impl Read, mut tell: impl FnMut(&str) -> bool) -> Result<()> {
    let job: Job = serde_json::from_reader(job)
        .map_err(|error| failed("a worker is started by the kit, with a job").with_source(error))?;
    let store = open(&job).await?;
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

//! A new generation, tried out in a scratch namespace before any record is entrusted to it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use mortise_capability_sqlite::inside::Occasion;
use mortise_config::inside::StoreConfigInside as _;
use mortise_config::{StoreConfig, Synchronous};
use mortise_engine::inside::{Engine, Generation, Local, StoreContext};
use mortise_store::inside::{ErrorInside as _, Place as _, blocking};
use mortise_store::{Error, ErrorKind, Limits, Operation, Query, Result, Store};
use mortise_transfer::inside::{Pages, hand_over};
use tokio::time::Instant;

use super::check_kin;

/// Has a generation keep a smoke set of promises on the storage of `store`, in a namespace that is
/// removed afterwards.
pub(super) async fn try_out(
    engine: &Engine,
    store: &Local,
    generation: &Arc<Generation>,
) -> Result<()> {
    let mut config = store.config().clone();
    config.namespace = format!("mortise-canary-{:016x}", fastrand::u64(..));
    // What the operator limits are the records of the platform, not those that are made up here.
    let mut limits = Limits::default();
    limits.memory = config.limits.memory;
    limits.deadline = config.limits.deadline;
    limits.upkeep_deadline = config.limits.upkeep_deadline;
    limits.concurrency = config.limits.concurrency;
    config.limits = limits;
    // Nothing of it has to survive a power failure.
    if let Some(grant) = &mut config.sqlite {
        grant.synchronous = Synchronous::Normal;
    }
    let deadline = Instant::now() + config.limits.deadline;
    let context = {
        let (config, generation) = (config.clone(), Arc::clone(generation));
        let (engine, name) = (engine.clone(), store.name().to_owned());
        let open = move || {
            generation
                .compiled
                .manifest
                .check_imports(&config.granted())?;
            // What it is put through is no news about the store.
            let measures = Arc::default();
            let manifest = &generation.compiled.manifest;
            engine.context(&name, &config, manifest, measures)
        };
        blocking(open).await?
    };
    let tried = async {
        context.connect(deadline).await?;
        let start = |config: &StoreConfig| {
            let (generation, context) = (Arc::clone(generation), Arc::clone(&context));
            let config = config.clone();
            Local::start(
                store.origin(),
                store.name(),
                config,
                generation,
                context,
                None,
                Occasion::Swap,
            )
        };
        // With its options a backend may be told to promise less: Redis, to have records expire.
        let mut bare = config.clone();
        bare.options.clear();
        let (config, canary) = match start(&bare).await {
            Err(error) if error.kind() == ErrorKind::Invalid => (&config, start(&config).await?),
            started => (&bare, started?),
        };
        check_kin(&store.describe(), &canary.describe())?;
        mortise_conformance::smoke(&Store::from(&canary)).await?;
        match canary.running().singleton() {
            Some(_) => rehearse(&(&canary).into(), &(&start(config).await?).into()).await,
            None => Ok(()),
        }
    };
    let tried = tried.await;
    clear_away(context, deadline + CLEARING).await;
    tried
}

/// Hands over what the smoke clauses wrote from one instance to another, and looks for it there.
async fn rehearse(from: &Store, to: &Store) -> Result<()> {
    hand_over(from, to).await?;
    let mut pages = Pages::of(from);
    while let Some(records) = pages.next().await? {
        for record in records {
            let Some(pair) = record.draft.attributes.first() else {
                continue;
            };
            let query = Query::new(&record.draft.key.collection).with(&pair.name, &pair.value);
            let (had, has) = (from.find(query.clone()).await?, to.find(query).await?);
            if had.records != has.records {
                let what = "a record that was handed over is not found by its attributes";
                return Err(Error::new(ErrorKind::Component, Operation::Reload, what)
                    .with_key(record.draft.key));
            }
        }
    }
    Ok(())
}

/// How much longer than the call's deadline the scratch namespace is cleared away, at most.
const CLEARING: Duration = Duration::from_secs(5);

async fn clear_away(context: Arc<StoreContext>, deadline: Instant) {
    if let Err(error) = context.forget(deadline).await {
        tracing::warn!(
            ?error,
            "the canary's namespace in Redis was not cleared away"
        );
    }
    let Some(file) = context.database_file().map(Path::to_owned) else {
        return;
    };
    // Closes it.
    drop(context);
    for suffix in ["", "-wal", "-shm", "-journal"] {
        let mut name = file.clone().into_os_string();
        name.push(suffix);
        match tokio::fs::remove_file(&name).await {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                tracing::warn!(file = %file.display(), %error, "the canary's database was not cleared away");
            }
            _ => {}
        }
    }
}

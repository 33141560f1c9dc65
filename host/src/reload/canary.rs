//! A new generation, tried out in a scratch namespace before any record is entrusted to it.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::{check_kin, finished};
use crate::conformance;
use crate::context::StoreContext;
use crate::error::Result;
use crate::generation::Generation;
use crate::limits::Limits;
use crate::store::Store;

/// Has a generation keep a smoke set of promises on the storage of `store`, in a namespace that is
/// removed afterwards.
pub(super) async fn try_out(store: &Store, generation: &Arc<Generation>) -> Result<()> {
    let mut config = store.0.config.clone();
    config.namespace = format!("mortise-canary-{:016x}", fastrand::u64(..));
    // What the operator limits are the records of the platform, not those that are made up here.
    config.limits = Limits {
        memory: config.limits.memory,
        deadline: config.limits.deadline,
        upkeep_deadline: config.limits.upkeep_deadline,
        concurrency: config.limits.concurrency,
        ..Limits::default()
    };
    let deadline = Instant::now() + config.limits.deadline;
    let host = &store.0.host;
    let context = {
        let (config, generation) = (config.clone(), Arc::clone(generation));
        let (host, name) = (host.clone(), store.name().to_owned());
        let open = move || {
            generation
                .compiled
                .manifest
                .check_imports(&config.granted())?;
            StoreContext::open(&host, &name, &config, &generation.compiled.manifest)
        };
        Arc::new(finished(tokio::task::spawn_blocking(open)).await?)
    };
    let tried = async {
        context.connect(deadline).await?;
        let (generation, context) = (Arc::clone(generation), Arc::clone(&context));
        let canary = Store::start(host, store.name(), config, generation, context, None).await?;
        check_kin(&store.describe(), &canary.describe())?;
        conformance::smoke(&canary).await
    };
    let tried = tried.await;
    clear_away(context, deadline + CLEARING).await;
    tried
}

/// How much longer than the call's deadline the scratch namespace is cleared away, at most.
const CLEARING: Duration = Duration::from_secs(5);

async fn clear_away(context: Arc<StoreContext>, deadline: Instant) {
    if let Some(redis) = &context.redis
        && let Err(error) = redis.forget(deadline).await
    {
        tracing::warn!(
            ?error,
            "the canary's namespace in Redis was not cleared away"
        );
    }
    let Some(file) = context
        .sqlite
        .as_ref()
        .map(|database| database.file().to_owned())
    else {
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

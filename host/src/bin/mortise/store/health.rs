//! `mortise store health`

use mortise::{Instances, Store};
use serde::Serialize;

use crate::output::Output;

/// Reaches the storage and comes back, or says why not
///
/// In json: {"healthy":true,"store":…,"backend":…,"version":…,"namespace":…,"durable":…,"instances":…}.
#[derive(Debug, clap::Args)]
pub struct Health {}

#[derive(Serialize)]
struct Report<'a> {
    healthy: bool,
    store: &'a str,
    backend: &'a str,
    version: &'a str,
    namespace: &'a str,
    durable: bool,
    instances: &'static str,
}

impl Health {
    pub async fn run(self, store: &Store, output: &mut Output) -> anyhow::Result<()> {
        store.health().await?;
        let about = store.describe();
        let instances = match about.instances {
            Instances::Pooled => "pooled",
            Instances::Singleton => "singleton",
        };
        let report = Report {
            healthy: true,
            store: store.name(),
            backend: store.backend(),
            version: &about.version,
            namespace: store.namespace(),
            durable: about.durable,
            instances,
        };
        let Report {
            store,
            backend,
            version,
            namespace,
            ..
        } = report;
        let durable = if about.durable {
            "durable"
        } else {
            "not durable"
        };
        let text = format_args!(
            "healthy: store {store}, backend {backend} {version}, namespace {namespace}, {durable}, {instances}"
        );
        output.line(text, &report)
    }
}

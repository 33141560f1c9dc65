//! `mortise store health`

use mortise::{BreakerState, Host, Instances, Refusal, Status, Store};
use serde::Serialize;

use crate::output::{Format, Output, time};

/// Reaches the storage and comes back, or says why not
///
/// A store that fell back on memory is healthy, and says so on a line of its own: its records go with the
/// process. So does one whose component in the plug-in folder was refused by a host that runs. In json:
/// {"healthy":true,"store":…,"backend":…,"version":…,"namespace":…,"durable":…,"instances":…,
/// "breaker":"closed|open|probing","traps":N,"last_trap":…,"state_lost":…,"fallback":…,
/// "refused":{"sha256":…,"reason":…,"at":…}}; `fallback` is the reason.
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
    breaker: &'static str,
    traps: u64,
    last_trap: Option<&'a str>,
    state_lost: bool,
    fallback: Option<&'a str>,
    refused: Option<Refusal>,
}

impl Health {
    pub async fn run(self, host: &Host, store: &Store, output: &mut Output) -> anyhow::Result<()> {
        store.health().await?;
        let about = store.describe();
        let status = store.status();
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
            breaker: breaker(&status),
            traps: status.traps,
            last_trap: status.last_trap.as_deref(),
            state_lost: status.state_lost,
            fallback: status.fallback.as_deref(),
            refused: match store.server() {
                // The plug-in folder of this host is another.
                Some(_) => status.refusal.clone(),
                None => host.refusal(store.backend()),
            },
        };
        match output.format() {
            Format::Json => output.json(&report),
            Format::Text => report.print(output),
        }
    }
}

impl Report<'_> {
    /// Where all is as it should be, one line; what is not has a line of its own.
    fn print(&self, output: &mut Output) -> anyhow::Result<()> {
        let durable = if self.durable {
            "durable"
        } else {
            "not durable"
        };
        let Self {
            store,
            backend,
            version,
            namespace,
            instances,
            ..
        } = self;
        output.text(format_args!(
            "healthy: store {store}, backend {backend} {version}, namespace {namespace}, {durable}, {instances}"
        ))?;
        if let Some(reason) = self.fallback {
            output.text(format_args!(
                "FALLBACK: records are kept in memory only, and are gone when the store is closed: {reason}"
            ))?;
        }
        if let Some(refusal) = &self.refused {
            let (at, reason) = (time(refusal.at), &refusal.reason);
            output.text(format_args!(
                "REFUSED at {at}, the component in the plug-in folder: {reason}"
            ))?;
        }
        if self.state_lost {
            output.text("STATE LOST: the backend trapped, and its records are gone")?;
        }
        if self.breaker != "closed" {
            output.text(format_args!(
                "BREAKER {}: the backend is given a rest",
                self.breaker
            ))?;
        }
        if let Some(last) = self.last_trap {
            output.text(format_args!("traps: {}, the last one: {last}", self.traps))?;
        }
        Ok(())
    }
}

fn breaker(status: &Status) -> &'static str {
    match status.breaker {
        BreakerState::Closed => "closed",
        BreakerState::Open { .. } => "open",
        BreakerState::Probing => "probing",
        _ => "unknown",
    }
}

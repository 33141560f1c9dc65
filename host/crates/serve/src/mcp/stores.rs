//! The tools that tell how stores are.

use mortise_store::inside::{ErrorInside as _, StoreInside as _, breaker_name};
use mortise_store::schema::Status as Migration;
use mortise_store::{Error, ErrorKind, Instances, Operation, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::call::{Call, StoreName, access};
use super::problem::Problem;
use super::tool::{Effect, Tool};

/// A store that is served.
#[derive(Debug, Serialize, JsonSchema)]
struct StoreShown {
    /// What the argument store takes.
    name: String,
    /// Whether it is the one that is used where a call names none.
    default: bool,
    /// What keeps its records: memory, sqlite, redis, …
    backend: String,
    /// Its namespace.
    namespace: String,
    /// Whether its records outlive the process.
    durable: bool,
    /// singleton: its records are in the memory of one instance; pooled: they are outside.
    instances: &'static str,
    /// The largest task or entity, in bytes of JSON.
    max_body_bytes: u64,
}

/// The stores that are served.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct StoresShown {
    /// By name.
    stores: Vec<StoreShown>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ListStores {}

impl Tool for ListStores {
    const NAME: &'static str = "list_stores";
    const TITLE: &'static str = "List the stores";
    const DESCRIPTION: &'static str = "Tells which stores there are, and which one is the default.";
    const EFFECT: Effect = Effect::Reads;
    type Answer = StoresShown;

    async fn run(self, call: &Call) -> Result<StoresShown, Problem> {
        let default = call.served.default_store().name();
        let stores = call.served.iter();
        let access = access(&call.context);
        let stores = stores.filter(|(_, store)| access.may_read(store));
        let stores = stores.map(|(name, store)| {
            let about = store.describe();
            StoreShown {
                name: name.to_owned(),
                default: name == default,
                backend: store.backend().to_owned(),
                namespace: store.namespace().to_owned(),
                durable: about.durable,
                instances: match about.instances {
                    Instances::Singleton => "singleton",
                    Instances::Pooled => "pooled",
                },
                max_body_bytes: store.max_body_bytes(),
            }
        });
        Ok(StoresShown {
            stores: stores.collect(),
        })
    }
}

/// How a store is doing.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct HealthShown {
    /// The store's name.
    store: String,
    /// Whether its storage answered.
    healthy: bool,
    /// Why it did not.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<Problem>,
    /// What keeps its records.
    backend: String,
    /// Which version of the backend serves, counted from 1.
    generation: u64,
    /// closed: calls are let through; open: it trapped so often that it is given a rest; probing: one is let through.
    breaker: &'static str,
    /// How many calls of this generation trapped.
    traps: u64,
    /// Whether a singleton trapped, and its records went with it.
    state_lost: bool,
    /// Why the configured backend did not open, where memory stands in for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    fallback: Option<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct StoreHealth {
    #[serde(default)]
    store: StoreName,
}

impl Tool for StoreHealth {
    const NAME: &'static str = "store_health";
    const TITLE: &'static str = "Tell how a store is doing";
    const DESCRIPTION: &'static str =
        "Asks a store's storage whether it answers, and tells what the host knows of the backend.";
    const EFFECT: Effect = Effect::Reads;
    type Answer = HealthShown;

    async fn run(self, call: &Call) -> Result<HealthShown, Problem> {
        let store = call.reading(&self.store)?;
        let problem = store.health().await.err().map(Problem::from);
        let status = store.status();
        Ok(HealthShown {
            store: store.name().to_owned(),
            healthy: problem.is_none(),
            problem,
            backend: store.backend().to_owned(),
            generation: status.generation,
            breaker: breaker_name(status.breaker),
            traps: status.traps,
            state_lost: status.state_lost,
            fallback: status.fallback,
        })
    }
}

/// Where a store's database stands.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct MigrationShown {
    /// The store's name.
    store: String,
    /// Whether it has to be migrated before this backend can use it.
    needed: bool,
    /// The version that the database has.
    from: u32,
    /// The version that the backend wants.
    to: u32,
    /// What a migration would do, in order.
    changes: Vec<ChangeShown>,
    /// What would be lost: refused unless the operator confirms it.
    losses: Vec<LossShown>,
    /// What is in the way, and has to be mended first.
    obstacles: Vec<String>,
    /// What the database has and the backend does not know: it stays.
    kept: Vec<String>,
    /// What was done last.
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<LastMigration>,
}

/// One change.
#[derive(Debug, Serialize, JsonSchema)]
struct ChangeShown {
    /// What is done: add column records.note.
    what: String,
    /// Why.
    why: String,
}

/// One loss.
#[derive(Debug, Serialize, JsonSchema)]
struct LossShown {
    /// A column or a table.
    name: String,
    /// How it would be lost.
    reason: String,
}

/// A migration that was.
#[derive(Debug, Serialize, JsonSchema)]
struct LastMigration {
    /// applied, or rolled back.
    outcome: &'static str,
    /// The version before.
    from: u32,
    /// The version after.
    to: u32,
    /// When it began: milliseconds since 1970, UTC.
    started_at: Timestamp,
}

impl MigrationShown {
    fn of(store: &str, status: Migration) -> Self {
        let Migration {
            needed, plan, last, ..
        } = status;
        let changes = plan.changes.into_iter().map(|change| ChangeShown {
            what: change.what,
            why: change.why,
        });
        let losses = plan.losses.into_iter().map(|loss| LossShown {
            name: loss.name,
            reason: loss.reason,
        });
        Self {
            store: store.to_owned(),
            needed,
            from: plan.from,
            to: plan.to,
            changes: changes.collect(),
            losses: losses.collect(),
            obstacles: plan.obstacles,
            kept: plan.kept,
            last: last.map(|last| LastMigration {
                outcome: last.outcome.as_str(),
                from: last.from,
                to: last.to,
                started_at: last.started_at,
            }),
        }
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MigrationStatus {
    #[serde(default)]
    store: StoreName,
}

impl Tool for MigrationStatus {
    const NAME: &'static str = "migration_status";
    const TITLE: &'static str = "Tell whether a store has to be migrated";
    const DESCRIPTION: &'static str = "Tells whether a store's database has the schema that its backend wants, and what a migration would do. \
         Fails with unsupported where the backend has no schema. Writes nothing.";
    const EFFECT: Effect = Effect::Reads;
    type Answer = MigrationShown;

    async fn run(self, call: &Call) -> Result<MigrationShown, Problem> {
        let store = call.reading(&self.store)?;
        let here = store.here().ok_or_else(|| {
            let message = "a store of another server cannot be migrated from here";
            Error::new(ErrorKind::Unsupported, Operation::Migrate, message)
        })?;
        let status = here.opener().migration(&store).await?;
        Ok(MigrationShown::of(store.name(), status))
    }
}

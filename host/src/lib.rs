//! The persistence layer that agent platforms embed.
//!
//! Storage backends are sandboxed WebAssembly components, one `.wasm` file each. This host loads them
//! from a folder, gives each nothing but the capabilities that it was granted, limits it, and keeps
//! records through it: created, loaded, updated by compare-and-set, deleted, found by attribute.
//!
//! ```no_run
//! use mortise::Host;
//! use mortise::agent::{AgentTask, TaskStore};
//!
//! # async fn example() -> mortise::Result<()> {
//! # let task = AgentTask::new("task-1");
//! let host = Host::builder().plugin_dir("plugins").build()?;
//! let tasks = TaskStore::new(host.open("sqlite:tasks.db").await?);
//! tasks.create(&task).await?;
//! let again = tasks.load_by_request_id("req-7").await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Layout
//!
//! | you want | look at |
//! |---|---|
//! | to open stores | [`Host`], [`StoreConfig`] (URLs), [`Config`] (`mortise.toml`) |
//! | to keep records of any kind | [`Store`], [`Draft`], [`Query`], [`Write`] |
//! | to keep agent tasks | [`agent::TaskStore`] |
//! | to keep jobs, cases, or entities of your own | [`agent::EntityStore`], [`agent::Repository`] |
//! | to lead them from state to state | [`agent::Lifecycle`], [`agent::Machine`] |
//! | to go on after a restart | [`agent::Resume`] |
//! | to know what a `.wasm` asks for, and whether it is trusted | [`Manifest`], [`Host::verify`] |
//! | to know how a store is doing | [`Store::status`], [`Store::health`] |
//! | to watch all of them with Prometheus | `Host::metrics` (feature `metrics`) |
//! | to copy a store, or to move in from another | [`transfer`] |
//! | to migrate a database to a newer backend's schema, or back | [`Host::migration`], [`migrate`] |
//! | to know whether a `.wasm` keeps the contract | `conformance` (feature `conformance`) |
//! | to mend or drop corrupt records | [`Quarantine`] |
//!
//! # Runtime
//!
//! The library needs a tokio runtime with time enabled and, for Redis, with I/O. Guests run on the
//! caller's thread and take turns with its other tasks. On a multi-thread runtime a write to SQLite may
//! wait for the disk right there, after handing the thread's other tasks to another (`block_in_place`):
//! two writes in one `join!` then come one after the other; spawn them to have them committed together.
//! On a current-thread runtime, tokio's threads for blocking work wait for the disk.
//!
//! # Errors
//!
//! There is one [`Error`]. It names the operation, the backend and the record; [`Error::kind`] tells
//! what happened to the data and whether to try again.
//!
//! # Limits
//!
//! The contract's own bounds are constants in [`limits`]; what an operator sets for a store is
//! [`Limits`].

// Uses: mortise-store, mortise-config, mortise-agent, mortise-transfer, mortise-import, mortise-conformance, mortise-client,
// mortise-capability-sqlite, mortise-engine, mortise-metrics, mortise-host, mortise-restart, mortise-serve. Never: mortise-cli,
// mortise-backends, clap: the library carries no backend and no command line.

pub mod agent;
#[cfg(feature = "client")]
pub mod client;
#[cfg(feature = "conformance")]
pub mod conformance;
#[cfg(feature = "metrics")]
pub mod metrics;
pub mod migrate;
#[cfg(feature = "serve")]
pub mod serve;
pub mod transfer;

pub use mortise_capability_sqlite::migrate::Migrator;
pub use mortise_config::{
    Capability, Config, DEFAULT_NAMESPACE, Fallback, KeyId, Migrate, Namespaces, Permission,
    PluginConfig, RedisGrant, ServeConfig, ServeLimits, SnapshotConfig, SqliteGrant, StoreConfig,
    Synchronous, TlsConfig, TokenConfig, TrustedKey, is_backend_name,
};
pub use mortise_engine::{Manifest, Pin, SignatureCheck, Source, Verification};
pub use mortise_host::{Host, HostBuilder, Reload, Watch};
pub use mortise_store::{
    Attribute, BreakerState, CONTRACT_VERSION, Clock, CollectionStatistics, Description, Digest,
    Draft, Error, ErrorKind, InstanceCounts, Instances, Key, Limits, ManualClock, Operation, Order,
    Page, Precondition, Put, QUARANTINE, QUARANTINE_COLLECTION, QUARANTINE_ID, QUARANTINE_REASON,
    Quarantine, QuarantineEntry, QuarantinePage, Query, Refusal, Remove, Result, Revision,
    Snapshot, Stamp, Status, Store, Stored, SystemClock, Timestamp, Write, limits,
};

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

mod arguments;
mod artifacts;
mod bindings;
mod breaker;
mod calls;
mod capability;
mod component;
mod config;
mod context;
mod engine;
mod error;
mod fallback;
mod files;
mod generation;
mod handover;
mod host;
mod instance;
mod manifest;
mod pool;
mod quarantine;
mod record;
mod registry;
mod reload;
mod running;
mod secret;
mod snapshot;
mod status;
mod store;
mod tls;
mod trust;
mod wire;
mod work;

pub mod agent;
#[cfg(feature = "client")]
pub mod client;
#[cfg(feature = "conformance")]
pub mod conformance;
#[cfg(not(feature = "conformance"))]
mod conformance;
pub mod limits;
#[cfg(feature = "metrics")]
pub mod metrics;
#[cfg(not(feature = "metrics"))]
#[allow(
    dead_code,
    reason = "without the feature, what is measured is not read"
)]
mod metrics;
pub mod migrate;
#[cfg(feature = "serve")]
pub mod serve;
pub mod transfer;

pub use capability::Capability;
pub use capability::clock::{Clock, ManualClock, SystemClock};
pub use capability::redis::RedisGrant;
pub use capability::sqlite::{SqliteGrant, Synchronous};
pub use config::{
    Config, DEFAULT_NAMESPACE, Namespaces, Permission, PluginConfig, ServeConfig, ServeLimits,
    StoreConfig, TlsConfig, TokenConfig,
};
pub use error::{Error, ErrorKind, Operation, Result};
pub use fallback::Fallback;
pub use host::{Host, HostBuilder};
pub use limits::Limits;
pub use manifest::{CONTRACT_VERSION, Digest, Manifest};
pub use migrate::{Migrate, Migrator};
pub use quarantine::{
    QUARANTINE, QUARANTINE_COLLECTION, QUARANTINE_ID, QUARANTINE_REASON, Quarantine,
    QuarantineEntry, QuarantinePage,
};
pub use record::{
    Attribute, CollectionStatistics, Description, Draft, Instances, Key, Order, Page, Precondition,
    Put, Query, Remove, Revision, Stamp, Stored, Timestamp, Write,
};
pub use registry::{Source, is_backend_name};
pub use reload::{Refusal, Reload, Watch};
pub use snapshot::{Snapshot, SnapshotConfig};
pub use status::{BreakerState, InstanceCounts, Status};
pub use store::Store;
pub use trust::{KeyId, Pin, SignatureCheck, TrustedKey, Verification};

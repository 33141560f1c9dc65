//! The configuration of Mortise: stores, grants, servers, secrets.
//!
//! Uses: mortise-store. Never: wasmtime, rusqlite, redis, mortise-engine: what is granted is plain data, whoever
//! opens it.

mod capability;
mod duration;
mod fallback;
mod names;
mod secret;
mod tls;

mod grant;
mod key;
mod snapshot;
mod token;

mod serve;
mod store;

mod teal;

mod url;

mod file;

pub mod inside;

pub use capability::Capability;
pub use fallback::Fallback;
pub use file::{Config, PluginConfig};
pub use grant::redis::RedisGrant;
pub use grant::sqlite::{Migrate, SqliteGrant, Synchronous};
pub use key::{KeyId, TrustedKey};
pub use names::{DEFAULT_NAMESPACE, is_backend_name};
pub use serve::{ServeConfig, ServeLimits, TlsConfig};
pub use snapshot::SnapshotConfig;
pub use store::StoreConfig;
pub use token::{Namespaces, Permission, TokenConfig};

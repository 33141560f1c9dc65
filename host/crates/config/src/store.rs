//! What the operator grants: one store's configuration, from code, a URL, the environment or
//! `mortise.toml`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use mortise_store::inside::{ErrorInside as _, LimitsInside as _};
use mortise_store::limits::{DEFAULT_SINGLETON_MEMORY, MAX_NAMESPACE_BYTES};
use mortise_store::{Error, Instances, Limits, Result};
use serde::Deserialize;

use crate::capability::Capability;
use crate::duration::interval;
use crate::fallback::Fallback;
use crate::grant::redis::{RedisGrant, RedisGrantInside as _};
use crate::grant::sqlite::SqliteGrant;
use crate::names::{DEFAULT_NAMESPACE, is_backend_name};
use crate::snapshot::SnapshotConfig;

/// How often expired records are removed, where the operator does not say.
const DEFAULT_SWEEP_INTERVAL: Duration = Duration::from_secs(60);
/// Options that the host itself gives to every backend.
const MAX_PAGE_BYTES_OPTION: &str = "max-page-bytes";
const MAX_STORE_BYTES_OPTION: &str = "max-store-bytes";

/// One store: which backend, what it is granted, its limits.
///
/// From a URL, `BACKEND:[FILE][?NAME=VALUE&…]`, percent-encoded where needed:
///
/// ```
/// # use mortise_config::StoreConfig;
/// StoreConfig::from_url("memory:")?;
/// StoreConfig::from_url("sqlite:tasks.db")?;                    // grants the capability `sqlite`
/// StoreConfig::from_url("sqlite:tasks.db?namespace=acme&deadline=2s")?;
/// StoreConfig::from_url("rediss://redis.acme.example/0?password-env=REDIS_PASSWORD")?;
/// StoreConfig::from_url("my-backend:?sqlite=tasks.db&color=red")?; // `color` is the backend's own
/// # Ok::<(), mortise_store::Error>(())
/// ```
///
/// | name | value |
/// |---|---|
/// | `namespace` | keeps tenants apart; default `default` |
/// | `sqlite` | grants `sqlite` on this file; `sqlite:FILE` is short for `sqlite:?sqlite=FILE` |
/// | `synchronous`, `readers` | of the sqlite grant: `full` or `normal`; how many read connections |
/// | `migrate` | of the sqlite grant: `auto` or `manual`: whether an older schema is migrated when the store is opened |
/// | `redis` | grants `redis` on the deployment at this URL ([`RedisGrant`]); `redis://…`, `rediss://…`, `redis+sentinel://…` and `redis+cluster://…` are short for the backend `redis` with this grant |
/// | `username`, `password-file`, `password-env`, `ca-file` | of the redis grant |
/// | `connect-timeout`, `command-timeout` | of the redis grant: durations |
/// | `snapshot`, `snapshot-interval` | where a backend that keeps its records in its own memory has them written to disk, and how often |
/// | `deadline`, `upkeep-deadline`, `sweep-interval` | durations: `250ms`, `5s`, `2m` |
/// | `memory`, `store-bytes`, `body-bytes`, `page-bytes`, `batch-bytes`, `response-bytes` | sizes: `64MiB` |
/// | `concurrency` | calls at once |
/// | `breaker-traps`; `breaker-window`, `breaker-pause`, `breaker-max-pause` | a number; durations ([`Limits`]) |
/// | `fallback` | `memory`: keeps records there where the backend does not open ([`StoreConfig::fallback`]) |
/// | any other | an option of the backend |
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub struct StoreConfig {
    /// The backend's name: its file in the plug-in folder without `.wasm`.
    pub backend: String,
    /// Keeps tenants apart. Default: `default`.
    #[serde(default = "default_namespace")]
    pub namespace: String,
    /// The grant of the capability `sqlite`. Default: not granted.
    #[serde(default)]
    pub sqlite: Option<SqliteGrant>,
    /// The grant of the capability `redis`. Default: not granted.
    #[serde(default)]
    pub redis: Option<RedisGrant>,
    /// Where the records of a backend that keeps them in its own memory are written to disk. Default:
    /// nowhere.
    #[serde(default)]
    pub snapshot: Option<SnapshotConfig>,
    /// The store's limits.
    #[serde(default)]
    pub limits: Limits,
    /// How often expired records are removed. Default: every minute.
    #[serde(default = "default_sweep_interval", deserialize_with = "interval")]
    pub sweep_interval: Duration,
    /// What is opened where the backend does not open, for any reason but an error in the configuration
    /// itself (a value that is not understood, a capability that is not granted, an option that the
    /// backend refuses). Logged as an error, and shown in [`Status::fallback`](mortise_store::Status::fallback).
    /// The store keeps to it until it is opened anew, and its records are gone then. Default: none, so
    /// that not opening is an error.
    #[serde(default)]
    pub fallback: Option<Fallback>,
    /// The backend's own options.
    #[serde(default)]
    pub options: BTreeMap<String, String>,
}

fn default_namespace() -> String {
    DEFAULT_NAMESPACE.to_owned()
}

fn default_sweep_interval() -> Duration {
    DEFAULT_SWEEP_INTERVAL
}

impl StoreConfig {
    /// A store in the backend named so, with nothing granted that needs a grant.
    pub fn new(backend: impl Into<String>) -> Self {
        Self {
            backend: backend.into(),
            namespace: default_namespace(),
            sqlite: None,
            redis: None,
            snapshot: None,
            limits: Limits::default(),
            sweep_interval: DEFAULT_SWEEP_INTERVAL,
            fallback: None,
            options: BTreeMap::new(),
        }
    }

    /// Grants the capability `sqlite` on the database file at `path`.
    #[must_use]
    pub fn grant_sqlite(mut self, path: impl Into<PathBuf>) -> Self {
        self.sqlite = Some(SqliteGrant::new(path));
        self
    }

    /// Grants the capability `redis` on the deployment at `url`.
    #[must_use]
    pub fn grant_redis(mut self, url: impl Into<String>) -> Self {
        self.redis = Some(RedisGrant::new(url));
        self
    }

    /// Has snapshots of a backend that keeps its records in its own memory written to the file at `path`,
    /// every minute and when the store is [closed](mortise_store::Store::close). It starts from there when it is opened.
    #[must_use]
    pub fn snapshot(mut self, path: impl Into<PathBuf>) -> Self {
        self.snapshot = Some(SnapshotConfig::new(path));
        self
    }

    /// Sets the namespace.
    #[must_use]
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = namespace.into();
        self
    }

    /// Sets the limits.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Falls back on this where the backend does not open.
    #[must_use]
    pub fn fallback(mut self, fallback: Fallback) -> Self {
        self.fallback = Some(fallback);
        self
    }

    /// Sets an option of the backend.
    #[must_use]
    pub fn option(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.options.insert(name.into(), value.into());
        self
    }
}

/// What crates that open stores ask of a configuration.
pub trait StoreConfigInside {
    /// Refuses what contradicts itself.
    fn check(&self) -> Result<()>;
    /// What an instance is opened with, where it has so many bytes of memory.
    fn options_for(&self, instances: Instances, memory: u64) -> Vec<(String, String)>;
    /// What the backend may import.
    fn granted(&self) -> Vec<Capability>;
    /// The store that is opened where the backend does not open: with the same namespace and limits, and with
    /// nothing that was meant for the other backend. None where it falls back on nothing.
    fn fallen_back(&self) -> Option<StoreConfig>;
}

impl StoreConfigInside for StoreConfig {
    fn check(&self) -> Result<()> {
        if !is_backend_name(&self.backend) {
            return Err(Error::config(format!(
                "{:?} is no backend's name: it has a-z, 0-9 and -, a letter first",
                self.backend
            )));
        }
        if !(1..=MAX_NAMESPACE_BYTES).contains(&self.namespace.len()) {
            return Err(Error::config(format!(
                "the namespace has {} bytes, expected 1 to {MAX_NAMESPACE_BYTES}",
                self.namespace.len()
            )));
        }
        for reserved in [MAX_PAGE_BYTES_OPTION, MAX_STORE_BYTES_OPTION] {
            if self.options.contains_key(reserved) {
                return Err(
                    Error::config(format!("{reserved} is no option of a backend"))
                        .with_hint("set the limit page-bytes or store-bytes"),
                );
            }
        }
        if let Some(grant) = &self.redis {
            grant.check()?;
        }
        if self
            .snapshot
            .as_ref()
            .is_some_and(|snapshot| snapshot.interval.is_zero())
        {
            return Err(Error::config(
                "the snapshot's interval is 0, expected more: \"1m\"",
            ));
        }
        if self
            .fallback
            .is_some_and(|fallback| fallback.backend() == self.backend)
        {
            return Err(Error::config(format!(
                "fallback is {}, which is the backend itself",
                self.backend
            )));
        }
        if self.sweep_interval.is_zero() {
            return Err(Error::config("sweep-interval is 0, expected more: \"1m\""));
        }
        self.limits.check()
    }

    fn options_for(&self, instances: Instances, memory: u64) -> Vec<(String, String)> {
        let page_bytes = self.limits.page_bytes.0.to_string();
        let mut options = vec![(MAX_PAGE_BYTES_OPTION.to_owned(), page_bytes)];
        let half = (instances == Instances::Singleton).then_some(memory / 2);
        if let Some(bytes) = self.limits.store_bytes.map(|bytes| bytes.0).or(half) {
            options.push((MAX_STORE_BYTES_OPTION.to_owned(), bytes.to_string()));
        }
        options.extend(self.options.clone());
        options
    }

    fn granted(&self) -> Vec<Capability> {
        let granted = |capability: &Capability| match capability {
            Capability::Sqlite => self.sqlite.is_some(),
            Capability::Redis => self.redis.is_some(),
            Capability::Clock | Capability::Log => true,
        };
        Capability::ALL.into_iter().filter(granted).collect()
    }

    fn fallen_back(&self) -> Option<StoreConfig> {
        let fallback = self.fallback?;
        let memory = self.limits.memory.unwrap_or(DEFAULT_SINGLETON_MEMORY);
        let room = ByteSize(memory.0 / 2);
        let mut limits = self.limits.clone();
        // What a disk was to hold may be more than memory does.
        limits.store_bytes = limits.store_bytes.filter(|bytes| *bytes <= room);
        Some(StoreConfig {
            sweep_interval: self.sweep_interval,
            ..StoreConfig::new(fallback.backend())
                .namespace(&self.namespace)
                .limits(limits)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_the_other_backend_is_handed_to_it() {
        let url = "redis://a?ttl=1d&namespace=x&store-bytes=10GiB&deadline=2s&sweep-interval=3s&fallback=memory";
        let config = StoreConfig::from_url(url).unwrap();
        let instead = config.fallen_back().unwrap();
        let expected = StoreConfig::from_url("memory:?namespace=x&deadline=2s&sweep-interval=3s");
        assert_eq!(instead, expected.unwrap());
        let small = StoreConfig::from_url("sqlite:a.db?store-bytes=1MiB&fallback=memory").unwrap();
        let instead = small.fallen_back().unwrap();
        assert_eq!(
            instead,
            StoreConfig::from_url("memory:?store-bytes=1MiB").unwrap()
        );
    }

    #[test]
    fn a_reserved_option_is_refused() {
        let config = StoreConfig::new("memory").option("max-page-bytes", "1");
        assert!(
            config
                .check()
                .unwrap_err()
                .to_string()
                .contains("max-page-bytes")
        );
    }
}

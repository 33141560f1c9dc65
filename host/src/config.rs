//! What the operator grants: one store's configuration, from code, a URL, the environment or
//! `mortise.toml`.

mod serve;
mod teal;
mod token;
mod url;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
#[cfg(feature = "client")]
pub(crate) use url::parameters;

use crate::capability::Capability;
use crate::capability::redis::RedisGrant;
use crate::capability::sqlite::SqliteGrant;
use crate::error::{Error, Result};
use crate::fallback::Fallback;
use crate::limits::{Limits, MAX_NAMESPACE_BYTES, parse_duration};
use crate::manifest::Digest;
use crate::record::Instances;
use crate::registry::is_backend_name;
use crate::snapshot::SnapshotConfig;
use crate::trust::{TrustedKey, trusted_keys};

pub use serve::{ServeConfig, ServeLimits, TlsConfig};
pub(crate) use token::TOKEN_PREFIX;
pub use token::{Namespaces, Permission, TokenConfig};

/// The namespace of a store that names none.
pub const DEFAULT_NAMESPACE: &str = "default";
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
/// # use mortise::StoreConfig;
/// StoreConfig::from_url("memory:")?;
/// StoreConfig::from_url("sqlite:tasks.db")?;                    // grants the capability `sqlite`
/// StoreConfig::from_url("sqlite:tasks.db?namespace=acme&deadline=2s")?;
/// StoreConfig::from_url("rediss://redis.acme.example/0?password-env=REDIS_PASSWORD")?;
/// StoreConfig::from_url("my-backend:?sqlite=tasks.db&color=red")?; // `color` is the backend's own
/// # Ok::<(), mortise::Error>(())
/// ```
///
/// | name | value |
/// |---|---|
/// | `namespace` | keeps tenants apart; default `default` |
/// | `sqlite` | grants `sqlite` on this file; `sqlite:FILE` is short for `sqlite:?sqlite=FILE` |
/// | `synchronous`, `readers` | of the sqlite grant: `full` or `normal`; how many read connections |
/// | `migrate` | of the sqlite grant: `auto` or `manual`: whether an older schema is [migrated](crate::migrate) when the store is opened |
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
    /// backend refuses). Logged as an error, and shown in [`Status::fallback`](crate::Status::fallback).
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

/// The file of a namespace: `tasks.db` itself for `default`, else `tasks+NAME.db` beside it, what could
/// mean something to a file system escaped in the name.
pub(crate) fn namespace_file(path: &Path, namespace: &str) -> PathBuf {
    if namespace == DEFAULT_NAMESPACE {
        return path.to_owned();
    }
    let mut escaped = String::new();
    for byte in namespace.bytes() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => escaped.push(char::from(byte)),
            _ => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let name = match path.extension() {
        Some(extension) => format!("{stem}+{escaped}.{}", extension.to_string_lossy()),
        None => format!("{stem}+{escaped}"),
    };
    path.with_file_name(name)
}

pub(crate) fn interval<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Duration, D::Error> {
    parse_duration(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
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
    /// every minute and when the store is [closed](crate::Store::close). It starts from there when it is opened.
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

    /// Refuses what contradicts itself.
    pub(crate) fn check(&self) -> Result<()> {
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

    /// What an instance is opened with, where it has so many bytes of memory.
    pub(crate) fn options_for(&self, instances: Instances, memory: u64) -> Vec<(String, String)> {
        let page_bytes = self.limits.page_bytes.0.to_string();
        let mut options = vec![(MAX_PAGE_BYTES_OPTION.to_owned(), page_bytes)];
        let half = (instances == Instances::Singleton).then_some(memory / 2);
        if let Some(bytes) = self.limits.store_bytes.map(|bytes| bytes.0).or(half) {
            options.push((MAX_STORE_BYTES_OPTION.to_owned(), bytes.to_string()));
        }
        options.extend(self.options.clone());
        options
    }

    /// What the backend may import.
    pub(crate) fn granted(&self) -> Vec<Capability> {
        let granted = |capability: &Capability| match capability {
            Capability::Sqlite => self.sqlite.is_some(),
            Capability::Redis => self.redis.is_some(),
            Capability::Clock | Capability::Log => true,
        };
        Capability::ALL.into_iter().filter(granted).collect()
    }
}

/// `mortise.toml`.
///
/// ```
/// # let text = r#"
/// plugin-dir = "plugins"            # relative paths start at this file's folder
/// default-store = "tasks"
/// trusted-keys = ["RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3", "keys/acme.pub"]
///
/// [plugins.my-backend]              # refuses any other component of this name
/// sha256 = "24eaf3439a60c96764c4f2c92a0a81b52bd4fe5d5b91f090184a0f6486b1bf29"
///
/// [stores.tasks]
/// backend = "sqlite"
/// sqlite = { path = "tasks.db" }    # the grant
/// limits = { deadline = "2s" }
///
/// [stores.shared]
/// backend = "redis"
/// redis = { url = "rediss://redis.acme.example", password-file = "redis.password", connect-timeout = "1s" }
/// options = { ttl = "30d", ttl-policy = "on-write" }
///
/// [stores.scratch]
/// backend = "memory"
/// # "#;
/// # let config: mortise::Config = toml::from_str(text).unwrap();
/// # assert_eq!(config.stores.len(), 3);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// Where backends are found as `NAME.wasm`.
    #[serde(default)]
    pub plugin_dir: Option<PathBuf>,
    /// Where compiled components are kept. Default: `mortise` in the user's cache folder.
    #[serde(default)]
    pub cache_dir: Option<PathBuf>,
    /// The store that the command line uses where none is named.
    #[serde(default)]
    pub default_store: Option<String>,
    /// Minisign public keys, or files with them: with any, components from the plug-in folder are loaded
    /// only if they are signed by one ([`HostBuilder::trusted_key`](crate::HostBuilder::trusted_key)).
    #[serde(default, deserialize_with = "trusted_keys")]
    pub trusted_keys: Vec<TrustedKey>,
    /// What is asked of backends, by name.
    #[serde(default)]
    pub plugins: BTreeMap<String, PluginConfig>,
    /// Stores by name.
    #[serde(default)]
    pub stores: BTreeMap<String, StoreConfig>,
    /// How `mortise serve` is reached, and by whom.
    #[serde(default)]
    pub serve: ServeConfig,
}

/// What is asked of one backend, whichever stores use it: `[plugins.NAME]`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub struct PluginConfig {
    /// Refuses any other component under this name ([`HostBuilder::pin`](crate::HostBuilder::pin)).
    #[serde(default)]
    pub sha256: Option<Digest>,
}

impl Config {
    /// Reads a configuration file; relative paths in it start at its folder.
    ///
    /// # Errors
    ///
    /// `Config`: the file cannot be read, or says something that is not understood, with its line.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let failed = |what: &str| Error::config(format!("{} {what}", path.display()));
        let text = std::fs::read_to_string(path)
            .map_err(|error| failed("cannot be read").with_source(error))?;
        let mut config: Self = toml::from_str(&text).map_err(|error| {
            if !may_tell_secret(&error.to_string()) {
                return failed("is not understood").with_source(error);
            }
            // Its excerpt of the file, and a value that it quotes, may have it.
            let what = match error.message() {
                quotes if may_tell_secret(quotes) => "a value is not of the kind that is expected",
                what => what,
            };
            let before = error.span().and_then(|span| text.get(..span.start));
            let line = before.map_or(0, |before| before.matches('\n').count()) + 1;
            failed(&format!("is not understood, line {line}: {what}"))
        })?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let paths = [&mut config.plugin_dir, &mut config.cache_dir];
        for relative in paths.into_iter().flatten() {
            *relative = folder.join(&*relative);
        }
        for key in &mut config.trusted_keys {
            key.start_at(folder);
        }
        for store in config.stores.values_mut() {
            if let Some(grant) = &mut store.sqlite {
                grant.path = folder.join(&grant.path);
            }
            if let Some(snapshot) = &mut store.snapshot {
                snapshot.path = folder.join(&snapshot.path);
            }
            if let Some(grant) = &mut store.redis {
                let files = [&mut grant.password_file, &mut grant.ca_file];
                for relative in files.into_iter().flatten() {
                    *relative = folder.join(&*relative);
                }
            }
        }
        config.serve.start_at(folder);
        config
            .serve
            .check()
            .map_err(|error| failed("[serve]").with_source(error))?;
        for (name, store) in &config.stores {
            store
                .check()
                .map_err(|error| failed(&format!("[stores.{name}]")).with_source(error))?;
        }
        if let Some(name) = &config.default_store
            && !config.stores.contains_key(name)
            && !name.contains(':')
        {
            return Err(failed(&format!(
                "has no [stores.{name}], its default-store"
            )));
        }
        Ok(config)
    }
}

/// Whether a piece of a configuration may have the password of a Redis in its URL, or a token.
fn may_tell_secret(text: &str) -> bool {
    text.contains('@') || text.contains(TOKEN_PREFIX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_in_the_file_shows_no_password() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("mortise.toml");
        for (grant, told) in [
            (
                r#"{ url = "redis://:secret@a", port = 1 }"#,
                "line 3: unknown field `port`",
            ),
            (
                r#""redis://:secret@a""#,
                "line 3: a value is not of the kind",
            ),
        ] {
            let text = format!("[stores.a]\nbackend = \"redis\"\nredis = {grant}\n");
            std::fs::write(&file, text).unwrap();
            let all = format!("{:?}", Config::from_file(&file).unwrap_err());
            assert!(all.contains(told), "{all}");
            assert!(!all.contains("secret"), "{all}");
        }
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

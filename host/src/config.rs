//! What the operator grants: one store's configuration, from code, a URL or `mortise.toml`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use percent_encoding::percent_decode_str;
use serde::Deserialize;

use crate::capability::Capability;
use crate::capability::sqlite::SqliteGrant;
use crate::error::{Error, Result};
use crate::limits::{Limits, MAX_NAMESPACE_BYTES, parse_duration};
use crate::registry::is_backend_name;

/// The namespace of a store that names none.
pub const DEFAULT_NAMESPACE: &str = "default";
/// How often expired records are removed, where the operator does not say.
const DEFAULT_SWEEP_INTERVAL: Duration = Duration::from_secs(60);
/// Options that the host itself gives to every backend.
pub(crate) const MAX_PAGE_BYTES_OPTION: &str = "max-page-bytes";
pub(crate) const MAX_STORE_BYTES_OPTION: &str = "max-store-bytes";

/// One store: which backend, what it is granted, its limits.
///
/// From a URL, `BACKEND:[FILE][?NAME=VALUE&…]`, percent-encoded where needed:
///
/// ```
/// # use mortise::StoreConfig;
/// StoreConfig::from_url("memory:")?;
/// StoreConfig::from_url("sqlite:tasks.db")?;                    // grants the capability `sqlite`
/// StoreConfig::from_url("sqlite:tasks.db?namespace=acme&deadline=2s")?;
/// StoreConfig::from_url("my-backend:?sqlite=tasks.db&color=red")?; // `color` is the backend's own
/// # Ok::<(), mortise::Error>(())
/// ```
///
/// | name | value |
/// |---|---|
/// | `namespace` | keeps tenants apart; default `default` |
/// | `sqlite` | grants `sqlite` on this file; `sqlite:FILE` is short for `sqlite:?sqlite=FILE` |
/// | `synchronous`, `readers` | of the sqlite grant: `full` or `normal`; how many read connections |
/// | `deadline`, `upkeep-deadline`, `sweep-interval` | durations: `250ms`, `5s`, `2m` |
/// | `memory`, `store-bytes`, `body-bytes`, `page-bytes`, `batch-bytes`, `response-bytes` | sizes: `64MiB` |
/// | `concurrency` | calls at once |
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
    /// The store's limits.
    #[serde(default)]
    pub limits: Limits,
    /// How often expired records are removed. Default: every minute.
    #[serde(default = "default_sweep_interval", deserialize_with = "interval")]
    pub sweep_interval: Duration,
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

fn interval<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    parse_duration(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}

impl StoreConfig {
    /// A store in the backend named so, with nothing granted that needs a grant.
    pub fn new(backend: impl Into<String>) -> Self {
        Self {
            backend: backend.into(),
            namespace: default_namespace(),
            sqlite: None,
            limits: Limits::default(),
            sweep_interval: DEFAULT_SWEEP_INTERVAL,
            options: BTreeMap::new(),
        }
    }

    /// Grants the capability `sqlite` on the database file at `path`.
    #[must_use]
    pub fn grant_sqlite(mut self, path: impl Into<PathBuf>) -> Self {
        self.sqlite = Some(SqliteGrant::new(path));
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

    /// Sets an option of the backend.
    #[must_use]
    pub fn option(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.options.insert(name.into(), value.into());
        self
    }

    /// Reads a store's URL.
    ///
    /// # Errors
    ///
    /// `Config`, naming the part that is at fault.
    pub fn from_url(url: &str) -> Result<Self> {
        let (backend, rest) = url.split_once(':').ok_or_else(|| {
            Error::config(format!("{url:?} is no store's URL: it has no colon"))
                .with_hint("write BACKEND:…, as in memory: or sqlite:tasks.db")
        })?;
        if !is_backend_name(backend) {
            return Err(Error::config(format!(
                "{backend:?} is no backend's name: it has a-z, 0-9 and -, a letter first"
            )));
        }
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let mut config = Self::new(backend);
        let path = decode(
            url,
            match path.strip_prefix("//") {
                Some(absolute) if absolute.starts_with('/') => absolute,
                Some(_) => {
                    return Err(Error::config(format!(
                        "{url:?} names a host, but a store has a file"
                    ))
                    .with_hint("write sqlite:tasks.db, or sqlite:/an/absolute/path.db"));
                }
                None => path,
            },
        )?;
        let mut set: BTreeMap<String, String> = BTreeMap::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').ok_or_else(|| {
                Error::config(format!(
                    "{pair:?} in {url:?} has no value, expected name=value"
                ))
            })?;
            let (name, value) = (decode(url, name)?, decode(url, value)?);
            if set.insert(name.clone(), value).is_some() {
                return Err(Error::config(format!("{name:?} is given twice in {url:?}")));
            }
        }
        let sqlite = set.remove("sqlite");
        config.sqlite = match (backend, path.as_str(), sqlite) {
            (_, "", file) => file.map(SqliteGrant::new),
            ("sqlite", path, None) => Some(SqliteGrant::new(path)),
            _ => {
                return Err(Error::config(format!(
                    "{url:?} names a file, which only sqlite:FILE does"
                ))
                .with_hint("grant any other backend a database as ?sqlite=FILE"));
            }
        };
        config
            .apply(set)
            .map_err(|reason| Error::config(format!("{reason}, in {url:?}")))?;
        Ok(config)
    }

    fn apply(&mut self, set: BTreeMap<String, String>) -> Result<(), String> {
        for (name, value) in set {
            let size = || {
                value
                    .parse()
                    .map_err(|_| bad(&name, &value, "a size like \"64MiB\""))
            };
            let time = || parse_duration(&value).map_err(|reason| format!("{name}: {reason}"));
            let number = || value.parse().map_err(|_| bad(&name, &value, "a number"));
            let limits = &mut self.limits;
            match name.as_str() {
                "namespace" => self.namespace = value,
                "deadline" => limits.deadline = time()?,
                "upkeep-deadline" => limits.upkeep_deadline = time()?,
                "sweep-interval" => self.sweep_interval = time()?,
                "memory" => limits.memory = Some(size()?),
                "store-bytes" => limits.store_bytes = Some(size()?),
                "body-bytes" => limits.body_bytes = size()?,
                "page-bytes" => limits.page_bytes = size()?,
                "batch-bytes" => limits.batch_bytes = size()?,
                "response-bytes" => limits.response_bytes = size()?,
                "concurrency" => limits.concurrency = number()?,
                "readers" | "synchronous" => {
                    let grant = self
                        .sqlite
                        .as_mut()
                        .ok_or_else(|| format!("{name} is set, but sqlite is not granted"))?;
                    if name == "readers" {
                        grant.readers = number()?;
                    } else {
                        let text =
                            serde::de::value::StrDeserializer::<serde::de::value::Error>::new(
                                &value,
                            );
                        grant.synchronous = Deserialize::deserialize(text)
                            .map_err(|_| bad(&name, &value, "full or normal"))?;
                    }
                }
                _ => {
                    self.options.insert(name, value);
                }
            }
        }
        Ok(())
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
        if self.sweep_interval.is_zero() {
            return Err(Error::config("sweep-interval is 0, expected more: \"1m\""));
        }
        self.limits.check()
    }

    /// What the backend may import.
    pub(crate) fn granted(&self) -> Vec<Capability> {
        let granted = |capability: &Capability| match capability {
            Capability::Sqlite => self.sqlite.is_some(),
            Capability::Clock | Capability::Log => true,
        };
        Capability::ALL.into_iter().filter(granted).collect()
    }
}

fn bad(name: &str, value: &str, expected: &str) -> String {
    format!("{name} is {value:?}, expected {expected}")
}

fn decode(url: &str, text: &str) -> Result<String> {
    let decoded = percent_decode_str(text).decode_utf8();
    Ok(decoded
        .map_err(|_| Error::config(format!("{text:?} in {url:?} is not UTF-8")))?
        .into_owned())
}

/// `mortise.toml`.
///
/// ```
/// # let text = r#"
/// plugin-dir = "plugins"            # relative paths start at this file's folder
/// default-store = "tasks"
///
/// [stores.tasks]
/// backend = "sqlite"
/// sqlite = { path = "tasks.db" }    # the grant
/// limits = { deadline = "2s" }
///
/// [stores.scratch]
/// backend = "memory"
/// # "#;
/// # let config: mortise::Config = toml::from_str(text).unwrap();
/// # assert_eq!(config.stores.len(), 2);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// Where backends are found as `NAME.wasm`.
    #[serde(default)]
    pub plugin_dir: Option<PathBuf>,
    /// Where compiled components are kept. Default: wasmtime's own place in the user's cache folder.
    #[serde(default)]
    pub cache_dir: Option<PathBuf>,
    /// The store that the command line uses where none is named.
    #[serde(default)]
    pub default_store: Option<String>,
    /// Stores by name.
    #[serde(default)]
    pub stores: BTreeMap<String, StoreConfig>,
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
        let mut config: Self = toml::from_str(&text)
            .map_err(|error| failed("is not understood").with_source(error))?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let paths = [&mut config.plugin_dir, &mut config.cache_dir];
        for relative in paths.into_iter().flatten() {
            *relative = folder.join(&*relative);
        }
        for store in config.stores.values_mut() {
            if let Some(grant) = &mut store.sqlite {
                grant.path = folder.join(&grant.path);
            }
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_grants_what_it_names_and_nothing_else() {
        let memory = StoreConfig::from_url("memory:").unwrap();
        assert_eq!(memory.granted(), [Capability::Clock, Capability::Log]);
        let sqlite = StoreConfig::from_url("sqlite:a%20b.db?namespace=x&deadline=250ms").unwrap();
        assert_eq!(sqlite.sqlite.as_ref().unwrap().path, Path::new("a b.db"));
        assert_eq!(sqlite.namespace, "x");
        assert_eq!(sqlite.limits.deadline, Duration::from_millis(250));
        let absolute = StoreConfig::from_url("sqlite:///tmp/a.db").unwrap();
        assert_eq!(absolute.sqlite.unwrap().path, Path::new("/tmp/a.db"));
        let own = StoreConfig::from_url("acme:?sqlite=a.db&color=red&synchronous=normal").unwrap();
        assert_eq!(own.granted(), Capability::ALL);
        assert_eq!(own.options["color"], "red");
    }

    #[test]
    fn a_bad_url_is_refused_with_what_is_at_fault() {
        for (url, part) in [
            ("tasks", "no colon"),
            ("Sqlite:x", "no backend's name"),
            ("../x:y", "no backend's name"),
            ("sqlite://host/x.db", "names a host"),
            ("memory:x.db", "names a file"),
            ("memory:?deadline=soon", "no duration"),
            ("memory:?memory=much", "a size like"),
            ("memory:?a", "has no value"),
            ("memory:?a=1&a=2", "given twice"),
            ("memory:?readers=2", "not granted"),
            ("sqlite:x.db?synchronous=off", "full or normal"),
        ] {
            let error = StoreConfig::from_url(url).unwrap_err();
            assert!(error.to_string().contains(part), "{url}: {error}");
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

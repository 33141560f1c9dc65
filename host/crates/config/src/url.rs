//! A store's URL, read.

use std::collections::BTreeMap;

use mortise_store::inside::ErrorInside as _;
use mortise_store::limits::parse_duration;
use mortise_store::{Error, Result};
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde::de::value::StrDeserializer;

use crate::grant::redis::{self, RedisGrant};
use crate::grant::sqlite::SqliteGrant;
use crate::names::is_backend_name;
use crate::snapshot::SnapshotConfig;
use crate::store::StoreConfig;
use crate::teal;

/// What a URL begins with that names variables of the environment.
const ENVIRONMENT: &str = "env";

impl StoreConfig {
    /// Reads a store's URL.
    ///
    /// # Errors
    ///
    /// `Config`, naming the part that is at fault, and never a password.
    pub fn from_url(url: &str) -> Result<Self> {
        let (scheme, rest) = url.split_once(':').ok_or_else(|| {
            Error::config(format!("{url:?} is no store's URL: it has no colon"))
                .with_hint("write BACKEND:…, as in memory: or sqlite:tasks.db")
        })?;
        if is_served(url) {
            return Err(served(url));
        }
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let mut set = parameters(url, query)?;
        let mut config = if scheme == ENVIRONMENT {
            teal::named(path)?
        } else if redis::is_scheme(scheme) && path.starts_with("//") {
            if set.contains_key("redis") {
                return Err(Error::config(format!(
                    "redis is granted twice in {:?}",
                    shown(url)
                )));
            }
            Self::new("redis").grant_redis(format!("{scheme}:{path}"))
        } else {
            with_file(url, scheme, path, set.remove("sqlite"))?
        };
        if let Some(url) = set.remove("redis") {
            config.redis = Some(RedisGrant::new(url));
        }
        config
            .apply(set)
            .map_err(|reason| Error::config(format!("{reason}, in {:?}", shown(url))))?;
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
                "snapshot" => match &mut self.snapshot {
                    Some(snapshot) => snapshot.path = value.into(),
                    none => *none = Some(SnapshotConfig::new(value)),
                },
                // It comes after `snapshot`: the names are in order.
                "snapshot-interval" => match &mut self.snapshot {
                    Some(snapshot) => snapshot.interval = time()?,
                    None => return Err(format!("{name} is set, but no snapshot")),
                },
                "memory" => limits.memory = Some(size()?),
                "store-bytes" => limits.store_bytes = Some(size()?),
                "body-bytes" => limits.body_bytes = size()?,
                "page-bytes" => limits.page_bytes = size()?,
                "batch-bytes" => limits.batch_bytes = size()?,
                "response-bytes" => limits.response_bytes = size()?,
                "concurrency" => limits.concurrency = number()?,
                "breaker-traps" => {
                    limits.breaker_traps =
                        value.parse().map_err(|_| bad(&name, &value, "a number"))?;
                }
                "breaker-window" => limits.breaker_window = time()?,
                "breaker-pause" => limits.breaker_pause = time()?,
                "breaker-max-pause" => limits.breaker_max_pause = time()?,
                "fallback" => {
                    let text = StrDeserializer::<serde::de::value::Error>::new(&value);
                    self.fallback = Deserialize::deserialize(text)
                        .map(Some)
                        .map_err(|_| bad(&name, &value, "memory"))?;
                }
                "readers" => granted(&mut self.sqlite, "sqlite", &name)?.readers = number()?,
                "synchronous" => {
                    let text = StrDeserializer::<serde::de::value::Error>::new(&value);
                    granted(&mut self.sqlite, "sqlite", &name)?.synchronous =
                        Deserialize::deserialize(text)
                            .map_err(|_| bad(&name, &value, "full or normal"))?;
                }
                "migrate" => {
                    let text = StrDeserializer::<serde::de::value::Error>::new(&value);
                    granted(&mut self.sqlite, "sqlite", &name)?.migrate =
                        Deserialize::deserialize(text)
                            .map_err(|_| bad(&name, &value, "auto or manual"))?;
                }
                "username" => granted(&mut self.redis, "redis", &name)?.username = Some(value),
                "password-file" => {
                    granted(&mut self.redis, "redis", &name)?.password_file = Some(value.into());
                }
                "password-env" => {
                    granted(&mut self.redis, "redis", &name)?.password_env = Some(value)
                }
                "ca-file" => granted(&mut self.redis, "redis", &name)?.ca_file = Some(value.into()),
                "connect-timeout" => {
                    granted(&mut self.redis, "redis", &name)?.connect_timeout = Some(time()?);
                }
                "command-timeout" => {
                    granted(&mut self.redis, "redis", &name)?.command_timeout = Some(time()?);
                }
                _ => {
                    self.options.insert(name, value);
                }
            }
        }
        Ok(())
    }
}

impl RedisGrant {
    /// Reads the URL of a deployment as [`StoreConfig::from_url`] does, with the grant's settings as its
    /// parameters: `rediss://redis.acme.example/0?password-env=REDIS_PASSWORD`. `env:teal` names the
    /// deployment that the environment variables `TA_REDIS_…` do.
    ///
    /// # Errors
    ///
    /// `Config`: it is no such URL, or has a parameter that is not the grant's.
    pub fn from_url(url: &str) -> Result<Self> {
        let mut config = StoreConfig::from_url(url)?;
        let grant = config.redis.take();
        if url
            .split_once(':')
            .is_some_and(|(scheme, _)| scheme == ENVIRONMENT)
        {
            // The variables say how long records live, too.
            config.options.clear();
        }
        match grant {
            Some(grant) if config == StoreConfig::new("redis") => Ok(grant),
            Some(_) => Err(Error::config(format!(
                "a parameter is of a store, not of a connection, in {:?}",
                shown(url)
            ))
            .with_hint(
                "those of a connection are username, password-file, password-env, ca-file, \
                 connect-timeout and command-timeout",
            )),
            None => Err(
                Error::config(format!("{:?} is no URL of Redis", shown(url))).with_hint(
                    "write redis://HOST:PORT/DATABASE; StoreConfig lists the other forms",
                ),
            ),
        }
    }
}

/// Whether this is the URL of a store that a server has.
pub fn is_served(url: &str) -> bool {
    url.starts_with("http://") || url.starts_with("https://")
}

/// Why the URL of a store that a server has is no configuration of one that is opened here.
fn served(url: &str) -> Error {
    let what = format!("{:?} is a store that a server has", shown(url));
    Error::config(what)
        .with_hint("open it as a store; what cannot be done over HTTP is done at the server")
}

/// A store of any backend; the one that a file can be named for directly is `sqlite`.
fn with_file(url: &str, backend: &str, path: &str, sqlite: Option<String>) -> Result<StoreConfig> {
    if !is_backend_name(backend) {
        return Err(Error::config(format!(
            "{backend:?} is no backend's name: it has a-z, 0-9 and -, a letter first"
        )));
    }
    let path = match path.strip_prefix("//") {
        Some(absolute) if absolute.starts_with('/') => absolute,
        Some(_) => {
            return Err(Error::config(format!(
                "{:?} names a host, but a store of {backend} has a file",
                shown(url)
            ))
            .with_hint("write sqlite:tasks.db, or sqlite:/an/absolute/path.db"));
        }
        None => path,
    };
    let path = decode(url, path)?;
    let mut config = StoreConfig::new(backend);
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
    Ok(config)
}

/// The parameters of a URL, each once.
pub fn parameters(url: &str, query: &str) -> Result<BTreeMap<String, String>> {
    let mut set = BTreeMap::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').ok_or_else(|| {
            Error::config(format!(
                "a parameter has no value, expected name=value, in {:?}",
                shown(url)
            ))
        })?;
        let (name, value) = (decode(url, name)?, decode(url, value)?);
        if set.insert(name.clone(), value).is_some() {
            return Err(Error::config(format!(
                "{name:?} is given twice in {:?}",
                shown(url)
            )));
        }
    }
    Ok(set)
}

/// The grant that a parameter is of.
fn granted<'a, G>(
    grant: &'a mut Option<G>,
    capability: &str,
    name: &str,
) -> Result<&'a mut G, String> {
    grant
        .as_mut()
        .ok_or_else(|| format!("{name} is set, but {capability} is not granted"))
}

fn bad(name: &str, value: &str, expected: &str) -> String {
    format!("{name} is {value:?}, expected {expected}")
}

fn decode(url: &str, text: &str) -> Result<String> {
    let decoded = percent_decode_str(text).decode_utf8();
    Ok(decoded
        .map_err(|_| Error::config(format!("a part is not UTF-8, in {:?}", shown(url))))?
        .into_owned())
}

/// A store's URL as an error may show it: without what may be a password.
fn shown(url: &str) -> String {
    match url.split_once("redis=") {
        Some((before, _)) => format!("{before}redis=***"),
        None => redis::redacted(url),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use super::*;
    use crate::capability::Capability;
    use crate::grant::sqlite::Migrate;
    use crate::store::StoreConfigInside as _;

    #[test]
    fn a_url_grants_what_it_names_and_nothing_else() {
        let memory = StoreConfig::from_url("memory:").unwrap();
        assert_eq!(memory.granted(), [Capability::Clock, Capability::Log]);
        let sqlite = StoreConfig::from_url("sqlite:a%20b.db?namespace=x&deadline=250ms").unwrap();
        assert_eq!(sqlite.sqlite.as_ref().unwrap().path, Path::new("a b.db"));
        assert_eq!(sqlite.namespace, "x");
        assert_eq!(sqlite.limits.deadline, Duration::from_millis(250));
        assert_eq!(sqlite.sqlite.as_ref().unwrap().migrate, Migrate::Auto);
        let manual = StoreConfig::from_url("sqlite:a.db?migrate=manual").unwrap();
        assert_eq!(manual.sqlite.unwrap().migrate, Migrate::Manual);
        let absolute = StoreConfig::from_url("sqlite:///tmp/a.db").unwrap();
        assert_eq!(absolute.sqlite.unwrap().path, Path::new("/tmp/a.db"));
        let redis = StoreConfig::from_url("redis+cluster://a,b:1?namespace=x&ttl=1d").unwrap();
        assert_eq!(
            (redis.backend.as_str(), redis.sqlite.as_ref()),
            ("redis", None)
        );
        assert_eq!(redis.redis.as_ref().unwrap().url, "redis+cluster://a,b:1");
        assert_eq!(
            (redis.namespace.as_str(), redis.options["ttl"].as_str()),
            ("x", "1d")
        );
        let own = "acme:?sqlite=a.db&color=red&synchronous=normal&redis=rediss%3A%2F%2Fb&ca-file=c";
        let own = StoreConfig::from_url(own).unwrap();
        assert_eq!(own.granted(), Capability::ALL);
        assert_eq!(own.redis.as_ref().unwrap().url, "rediss://b");
        assert_eq!(own.options.len(), 1);
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
            ("memory:?breaker-traps=few", "a number"),
            ("memory:?fallback=sqlite", "expected memory"),
            ("memory:?a", "has no value"),
            ("memory:?a=1&a=2", "given twice"),
            ("memory:?readers=2", "not granted"),
            ("memory:?ca-file=x", "redis is not granted"),
            ("sqlite:x.db?synchronous=off", "full or normal"),
            ("sqlite:x.db?migrate=never", "auto or manual"),
            ("memory:?migrate=auto", "not granted"),
            ("redis://a?connect-timeout=soon", "no duration"),
            ("redis://a?redis=redis%3A%2F%2Fb", "granted twice"),
            ("http://a/b", "a server has"),
            ("https://me:secret@a/b", "a server has"),
            ("env:acme", "env:teal"),
        ] {
            let error = StoreConfig::from_url(url).unwrap_err();
            assert!(error.to_string().contains(part), "{url}: {error}");
        }
    }

    #[test]
    fn the_url_of_a_deployment_has_nothing_of_a_store() {
        let grant = "rediss://a/3?ca-file=c&password-env=P&connect-timeout=1s";
        let grant = RedisGrant::from_url(grant).unwrap();
        assert_eq!(grant.url, "rediss://a/3");
        assert_eq!(grant.password_env.as_deref(), Some("P"));
        assert_eq!(grant.connect_timeout, Some(Duration::from_secs(1)));
        for (url, part) in [
            ("redis://:secret@a?ttl=1h", "of a store"),
            ("redis://:secret@a?namespace=x", "of a store"),
            ("acme:?redis=redis%3A%2F%2F%3Asecret%40a", "of a store"),
            ("sqlite:x.db", "no URL of Redis"),
            ("redis:x", "names a file"),
        ] {
            let error = RedisGrant::from_url(url).unwrap_err();
            assert!(error.to_string().contains(part), "{url}: {error}");
            assert!(!format!("{error:?}").contains("secret"), "{error:?}");
        }
    }

    #[test]
    fn no_error_shows_a_password() {
        for url in [
            "redis://:secret@a?deadline=soon",
            "redis://:secret@a?x",
            "redis://:sec?secret@a",
            "redis://:secret@a?b=1&b=2",
            "redis://:secret@a?b=%ff",
            "acme:?redis=redis%3A%2F%2F%3Asecret%40a&deadline=soon",
            "acme:?redis=redis%3A%2F%2F%3Asecret%40a&readers=2",
            "sqlite://:secret@a",
        ] {
            let error = StoreConfig::from_url(url).unwrap_err();
            assert!(!format!("{error:?}").contains("secret"), "{error:?}");
        }
    }
}

//! The grant: which Redis, and how the host gets in.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use mortise_store::inside::{ErrorInside as _, optional_duration};
use mortise_store::{Error, Result};
use percent_encoding::percent_decode_str;
use serde::Deserialize;

/// The port of a Redis server, and that of a Sentinel, where the URL names none.
const PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26_379;
/// How long a connection may take, where the operator does not say.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// The grant of the capability `redis`: which deployment, and how the host gets in.
///
/// | URL | what it names |
/// |---|---|
/// | `redis://[USER[:PASSWORD]@]HOST[:PORT][/DATABASE]` | one server |
/// | `redis+sentinel://[…@]HOST[:PORT][,HOST[:PORT]…]/MASTER[/DATABASE]` | the master that Sentinels watch |
/// | `redis+cluster://[…@]HOST[:PORT][,HOST[:PORT]…]` | a Redis Cluster, by some of its nodes |
/// | `rediss://…`, `rediss+sentinel://…`, `rediss+cluster://…` | the same by TLS, verified |
///
/// A password in a URL is seen by whoever sees the process's arguments: better name a file or an
/// environment variable that has it. Neither is ever logged, nor shown to a guest.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub struct RedisGrant {
    /// Which deployment.
    pub url: String,
    /// The ACL user. Default: the URL's, else Redis' own `default`.
    #[serde(default)]
    pub username: Option<String>,
    /// A file that has the password; white space around it does not count.
    #[serde(default)]
    pub password_file: Option<PathBuf>,
    /// The environment variable that has the password.
    #[serde(default)]
    pub password_env: Option<String>,
    /// A file of certificates (PEM) of the authorities to trust, in the place of the system's.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// How long a call waits for a connection. Default: 2 s.
    #[serde(default, deserialize_with = "optional_duration")]
    pub connect_timeout: Option<Duration>,
    /// How long a command may take. Default: as long as the call may.
    #[serde(default, deserialize_with = "optional_duration")]
    pub command_timeout: Option<Duration>,
}

impl RedisGrant {
    /// The deployment at `url`, with the defaults.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            username: None,
            password_file: None,
            password_env: None,
            ca_file: None,
            connect_timeout: None,
            command_timeout: None,
        }
    }
}

/// What who connects asks of a grant.
pub trait RedisGrantInside {
    /// How long a call waits for a connection.
    fn patience(&self) -> Duration;
    /// Refuses what contradicts itself.
    fn check(&self) -> Result<()>;
    /// Whether the deployment is a Redis Cluster, whose keys no single server has.
    fn names_cluster(&self) -> Result<bool>;
}

impl RedisGrantInside for RedisGrant {
    fn patience(&self) -> Duration {
        self.connect_timeout.unwrap_or(CONNECT_TIMEOUT)
    }

    fn check(&self) -> Result<()> {
        let address = Address::parse(&self.url)?;
        if !address.tls && self.ca_file.is_some() {
            return Err(
                Error::config("a ca-file is set, but the URL of Redis asks for no TLS")
                    .with_hint("write rediss:// instead of redis://"),
            );
        }
        let passwords = [
            address.password.is_some(),
            self.password_file.is_some(),
            self.password_env.is_some(),
        ];
        if passwords.into_iter().filter(|given| *given).count() > 1 {
            return Err(Error::config(
                "the password of Redis is given twice: expected one of the URL, password-file and \
                 password-env",
            ));
        }
        for (name, timeout) in [
            ("connect-timeout", self.connect_timeout),
            ("command-timeout", self.command_timeout),
        ] {
            if timeout.is_some_and(|timeout| timeout.is_zero()) {
                return Err(Error::config(format!("{name} is 0, expected more: \"2s\"")));
            }
        }
        Ok(())
    }

    fn names_cluster(&self) -> Result<bool> {
        Ok(Address::parse(&self.url)?.topology == Topology::Cluster)
    }
}

/// Without the password.
impl fmt::Debug for RedisGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisGrant")
            .field("url", &redacted(&self.url))
            .field("username", &self.username)
            .field("password_file", &self.password_file)
            .field("password_env", &self.password_env)
            .field("ca_file", &self.ca_file)
            .field("connect_timeout", &self.connect_timeout)
            .field("command_timeout", &self.command_timeout)
            .finish()
    }
}

/// A URL as it may be shown: without what stands before the `@`.
pub fn redacted(url: &str) -> String {
    match (url.find("://"), url.rfind('@')) {
        (Some(scheme), Some(at)) if scheme < at => {
            format!("{}***{}", &url[..scheme + 3], &url[at..])
        }
        _ => url.to_owned(),
    }
}

/// How the server is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topology {
    /// It is the one named.
    Single,
    /// Sentinels know the master.
    Sentinel,
    /// The nodes of a cluster know which of them has the store's slot.
    Cluster,
}

/// A URL of Redis, read.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    /// How the server is found.
    pub topology: Topology,
    /// Whether the connection is TLS.
    pub tls: bool,
    /// Hosts and ports: one at least.
    pub hosts: Vec<(String, u16)>,
    /// What the Sentinels call the master.
    pub master: String,
    /// The database's number.
    pub database: i64,
    /// The ACL user, where the URL names one.
    pub username: Option<String>,
    /// The password, where the URL has one.
    pub password: Option<String>,
}

/// Whether a URL's scheme is one of Redis.
pub fn is_scheme(scheme: &str) -> bool {
    topology(scheme).is_some()
}

fn topology(scheme: &str) -> Option<(Topology, bool)> {
    Some(match scheme {
        "redis" => (Topology::Single, false),
        "rediss" => (Topology::Single, true),
        "redis+sentinel" => (Topology::Sentinel, false),
        "rediss+sentinel" => (Topology::Sentinel, true),
        "redis+cluster" => (Topology::Cluster, false),
        "rediss+cluster" => (Topology::Cluster, true),
        _ => return None,
    })
}

impl Address {
    /// Whether both lead to the same database, whoever asks for it.
    pub fn is_same_place(&self, other: &Self) -> bool {
        let place = |address: &Self| {
            let (hosts, master) = (address.hosts.clone(), address.master.clone());
            (hosts, master, address.database)
        };
        place(self) == place(other)
    }

    /// Reads the URL of a deployment.
    ///
    /// # Errors
    ///
    /// `Config`: it is none. The error never shows the password.
    pub fn parse(url: &str) -> Result<Self> {
        let bad = |what: String| {
            Error::config(format!("{what}, in the URL {}", redacted(url)))
                .with_hint("write redis://HOST:PORT/DATABASE; StoreConfig lists the other forms")
        };
        let (scheme, rest) = url
            .split_once("://")
            .ok_or_else(|| bad("there is no ://".to_owned()))?;
        let (topology, tls) =
            topology(scheme).ok_or_else(|| bad(format!("{scheme:?} is no scheme of Redis")))?;
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (userinfo, hosts) = match authority.rsplit_once('@') {
            Some((userinfo, hosts)) => (Some(userinfo), hosts),
            None => (None, authority),
        };
        let decoded = |text: &str| {
            let decoded = percent_decode_str(text).decode_utf8();
            // Not the text itself: it may be the password.
            let decoded = decoded.map_err(|_| bad("a part is not UTF-8".to_owned()))?;
            Ok::<_, Error>(Some(decoded.into_owned()).filter(|text| !text.is_empty()))
        };
        let (username, password) = match userinfo {
            None => (None, None),
            Some(userinfo) => match userinfo.split_once(':') {
                Some((username, password)) => (decoded(username)?, decoded(password)?),
                None => (decoded(userinfo)?, None),
            },
        };
        let port = match topology {
            Topology::Sentinel => SENTINEL_PORT,
            Topology::Single | Topology::Cluster => PORT,
        };
        let hosts = hosts
            .split(',')
            .map(|host| read_host(host, port).ok_or_else(|| bad(format!("{host:?} is no host"))))
            .collect::<Result<Vec<_>>>()?;
        if topology == Topology::Single && hosts.len() > 1 {
            return Err(bad("there are several hosts".to_owned()));
        }
        let path = path.trim_end_matches('/');
        let (master, database) = match topology {
            Topology::Sentinel => path.split_once('/').unwrap_or((path, "")),
            Topology::Single | Topology::Cluster => ("", path),
        };
        if topology == Topology::Sentinel && master.is_empty() {
            return Err(bad("the name of the master is missing".to_owned()));
        }
        let database = match database {
            "" => 0,
            number => number
                .parse()
                .ok()
                .filter(|number| *number >= 0)
                .ok_or_else(|| bad(format!("{number:?} is no database: it has a number")))?,
        };
        if topology == Topology::Cluster && database != 0 {
            return Err(bad("a cluster has the database 0 alone".to_owned()));
        }
        Ok(Self {
            topology,
            tls,
            hosts,
            master: decoded(master)?.unwrap_or_default(),
            database,
            username,
            password,
        })
    }
}

/// `HOST`, `HOST:PORT`, `[IPV6]` or `[IPV6]:PORT`.
fn read_host(text: &str, default_port: u16) -> Option<(String, u16)> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            let port = match port {
                "" => None,
                port => Some(port.strip_prefix(':')?),
            };
            (host, port)
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let port = match port {
        Some(port) => port.parse().ok()?,
        None => default_port,
    };
    (!host.is_empty()).then(|| (host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_servers_a_database_and_who_asks() {
        let single = Address::parse("redis://ada:p%40ss@[::1]:7000/3").unwrap();
        assert_eq!(single.hosts, [("::1".to_owned(), 7000)]);
        assert_eq!(
            (single.topology, single.tls, single.database),
            (Topology::Single, false, 3)
        );
        assert_eq!(single.username.as_deref(), Some("ada"));
        assert_eq!(single.password.as_deref(), Some("p@ss"));
        let sentinel = Address::parse("rediss+sentinel://:x@a,b:1/main/2").unwrap();
        let hosts = [("a".to_owned(), 26_379), ("b".to_owned(), 1)];
        assert_eq!(sentinel.hosts, hosts);
        assert_eq!((sentinel.master.as_str(), sentinel.database), ("main", 2));
        assert!(sentinel.tls && sentinel.username.is_none());
        let cluster = Address::parse("redis+cluster://a,b").unwrap();
        assert_eq!(cluster.topology, Topology::Cluster);
    }

    #[test]
    fn a_url_that_is_none_is_refused_without_its_password() {
        for url in [
            "redis:x",
            "http://:secret@a",
            "redis://:secret@",
            "redis://:secret@a:port",
            "redis://:secret@a/first",
            "redis://:secret@a/-1",
            "redis://:secret@a,b",
            "redis+sentinel://:secret@a",
            "redis+cluster://:secret@a/1",
            "redis://:secret%ff@a",
            "redis://:secret@[::1",
        ] {
            let error = Address::parse(url).err().unwrap_or_else(|| panic!("{url}"));
            assert!(!format!("{error:?}").contains("secret"), "{error:?}");
        }
        let grant = RedisGrant::new("redis://ada:secret@a");
        assert!(!format!("{grant:?}").contains("secret"));
    }

    #[test]
    fn a_password_is_given_once() {
        let mut grant = RedisGrant::new("redis://:secret@a");
        grant.check().unwrap();
        grant.password_env = Some("X".to_owned());
        assert!(grant.check().is_err());
        let mut plain = RedisGrant::new("redis://a");
        plain.ca_file = Some("ca.pem".into());
        assert!(plain.check().unwrap_err().to_string().contains("no TLS"));
    }
}

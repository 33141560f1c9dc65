//! How a server of stores is reached, and by whom: `[serve]`.

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytesize::ByteSize;
use mortise_store::inside::ErrorInside as _;
use mortise_store::{Error, Result};
use serde::{Deserialize, Deserializer};

use crate::duration::interval;
use crate::token::{TokenConfig, TokenConfigInside as _, tokens};

/// Where a server listens, where the operator does not say.
const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 7337);
/// The highest rate limit. A nanosecond between two requests is the least that the limiter can count.
const MAX_PER_SECOND: NonZeroU32 = NonZeroU32::new(1_000_000).expect("it is more than 0");

/// How `mortise serve` is reached, and by whom: the table `[serve]`.
///
/// ```
/// # let text = r#"
/// [serve]
/// listen = "192.0.2.7:7337"         # default 127.0.0.1:7337
/// tls = { certificate = "cert.pem", key = "key.pem" }
/// limits = { body-bytes = "8MiB", per-second = 200, burst = 400 }
///
/// [[serve.tokens]]                  # as `mortise token new` writes it
/// name = "ci"
/// sha256 = "24eaf3439a60c96764c4f2c92a0a81b52bd4fe5d5b91f090184a0f6486b1bf29"
/// namespaces = ["acme"]
/// may = ["read", "write"]
/// # "#;
/// # let config: mortise_config::Config = toml::from_str(text).unwrap();
/// # assert_eq!(config.serve.tokens.len(), 1);
/// ```
///
/// Without tokens, whoever reaches the server may do everything: it then listens on loopback alone.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub struct ServeConfig {
    /// The address. Default: `127.0.0.1:7337`.
    #[serde(deserialize_with = "address")]
    pub listen: SocketAddr,
    /// The certificate to serve HTTPS with. Default: none, so that HTTP is served.
    pub tls: Option<TlsConfig>,
    /// Who gets in, and what each may do. Default: none are asked for.
    #[serde(deserialize_with = "tokens")]
    pub tokens: Vec<TokenConfig>,
    /// Allows tokens to be sent without TLS to another address than loopback: for a server behind a proxy
    /// that ends TLS. Default: no.
    pub allow_plain_http: bool,
    /// The server's limits.
    pub limits: ServeLimits,
}

/// The files of a certificate and its key. Relative paths start at the folder of `mortise.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub struct TlsConfig {
    /// The certificate, and those between it and its authority's, in this order (PEM).
    pub certificate: PathBuf,
    /// Its private key (PEM; PKCS #8, PKCS #1 or SEC1, not encrypted).
    pub key: PathBuf,
}

impl TlsConfig {
    /// The certificate in the one file, its key in the other.
    pub fn new(certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        Self {
            certificate: certificate.into(),
            key: key.into(),
        }
    }
}

/// The limits of one server: the table `[serve.limits]`. Those of a store ([`Limits`](mortise_store::Limits)) hold, too.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub struct ServeLimits {
    /// The largest body of a request; an import has none. Default: 64 MiB.
    pub body_bytes: ByteSize,
    /// The bodies of all requests that are under way together; more wait. Default: 256 MiB.
    pub all_bodies_bytes: ByteSize,
    /// How many connections are open at once, and so how many requests are under way. Where there are as many, the one
    /// that has been idle for longest is closed for a new one: it has sent no request yet, or half of one's head, or got
    /// its answer, or waits for notices of MCP. At most three quarters of the files that the process may have open; the
    /// command line raises that as far as the system lets it. Default: 1,024.
    pub connections: usize,
    /// How long a client may take for the handshake of TLS, and to send the head of a request; how long a connection
    /// stays without one. Default: 30 s.
    #[serde(deserialize_with = "interval")]
    pub head_timeout: Duration,
    /// How long a request may take, from its head to its answer; exports and imports have no such limit. Default:
    /// 60 s.
    #[serde(deserialize_with = "interval")]
    pub request_timeout: Duration,
    /// How many requests a second each token has; without tokens, each client's address. At most 1,000,000.
    /// Default: no limit.
    pub per_second: Option<NonZeroU32>,
    /// How many of them may come at once after a rest. Default: those of one second.
    pub burst: Option<NonZeroU32>,
    /// How long a server that ends waits for the requests that are under way. Default: 30 s.
    #[serde(deserialize_with = "interval")]
    pub drain_deadline: Duration,
}

impl Default for ServeConfig {
    fn default() -> Self {
        Self {
            listen: LISTEN,
            tls: None,
            tokens: Vec::new(),
            allow_plain_http: false,
            limits: ServeLimits::default(),
        }
    }
}

impl Default for ServeLimits {
    fn default() -> Self {
        Self {
            body_bytes: ByteSize::mib(64),
            all_bodies_bytes: ByteSize::mib(256),
            connections: 1024,
            head_timeout: Duration::from_secs(30),
            request_timeout: Duration::from_secs(60),
            per_second: None,
            burst: None,
            drain_deadline: Duration::from_secs(30),
        }
    }
}

impl ServeConfig {
    /// Relative paths start at this folder.
    pub(crate) fn start_at(&mut self, folder: &Path) {
        if let Some(tls) = &mut self.tls {
            for path in [&mut tls.certificate, &mut tls.key] {
                *path = folder.join(&*path);
            }
        }
    }

    fn check_address(&self, listen: SocketAddr) -> Result<()> {
        if self.tls.is_some() && self.allow_plain_http {
            return Err(Error::config(
                "tls and allow-plain-http are both set, expected one: nothing is served without TLS where \
                 it is set",
            ));
        }
        // An IPv4 address in the clothes of IPv6 is what it is.
        if listen.ip().to_canonical().is_loopback() {
            return Ok(());
        }
        if self.tokens.is_empty() {
            return Err(Error::config(format!(
                "without tokens a server listens on loopback alone, not on {listen}: whoever reaches it \
                 may do everything"
            ))
            .with_hint("make a token with `mortise token new`, or listen on 127.0.0.1"));
        }
        if self.tls.is_none() && !self.allow_plain_http {
            return Err(Error::config(format!(
                "tokens would cross the network in plain text: {listen} is not loopback, and there is no tls"
            ))
            .with_hint(
                "name a certificate: tls = { certificate = \"cert.pem\", key = \"key.pem\" }; behind a \
                 proxy that ends TLS, set allow-plain-http = true",
            ));
        }
        Ok(())
    }
}

/// What who serves asks of a configuration.
pub trait ServeConfigInside {
    /// Refuses what contradicts itself, and what would let in whom the operator did not name.
    fn check(&self) -> Result<()>;
    /// The same for a server that listens at this address.
    fn check_at(&self, listen: SocketAddr) -> Result<()>;
}

impl ServeConfigInside for ServeConfig {
    fn check(&self) -> Result<()> {
        let (mut names, mut hashes) = (BTreeSet::new(), HashMap::new());
        for token in &self.tokens {
            token.check()?;
            let name = &token.name;
            if !names.insert(name) {
                let message = format!("two tokens have the name {name:?}");
                return Err(Error::config(message).with_hint("give each a name of its own"));
            }
            if let Some(other) = hashes.insert(token.sha256, name) {
                let message = format!("{other:?} and {name:?} are the same token");
                return Err(
                    Error::config(message).with_hint("make another one with `mortise token new`")
                );
            }
        }
        self.check_address(self.listen)?;
        self.limits.check()
    }

    fn check_at(&self, listen: SocketAddr) -> Result<()> {
        let config = Self {
            listen,
            ..self.clone()
        };
        config.check()
    }
}

impl ServeLimits {
    fn check(&self) -> Result<()> {
        let zero = |name: &str, example: &str| {
            Error::config(format!("limit {name} is 0, expected more: {example:?}"))
        };
        if self.body_bytes.0 == 0 {
            return Err(zero("body-bytes", "64MiB"));
        }
        if self.all_bodies_bytes < self.body_bytes {
            return Err(Error::config(format!(
                "limit all-bodies-bytes is {}, expected at least body-bytes, {}",
                self.all_bodies_bytes, self.body_bytes
            )));
        }
        if self.connections == 0 {
            return Err(Error::config("limit connections is 0, expected at least 1"));
        }
        // A drain deadline of 0 waits for nobody, which an operator may want.
        for (name, duration) in [
            ("head-timeout", self.head_timeout),
            ("request-timeout", self.request_timeout),
        ] {
            if duration.is_zero() {
                return Err(zero(name, "30s"));
            }
        }
        if let Some(rate) = self.per_second.filter(|rate| *rate > MAX_PER_SECOND) {
            return Err(Error::config(format!(
                "limit per-second is {rate}, expected at most {MAX_PER_SECOND}"
            ))
            .with_hint("leave it out to have no limit"));
        }
        if self.burst.is_some() && self.per_second.is_none() {
            return Err(Error::config("limit burst is set, but not per-second")
                .with_hint("say how many requests a second: per-second = 200"));
        }
        Ok(())
    }
}

fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(|_| {
        serde::de::Error::custom(format!(
            "{text:?} is no address with a port, expected one like \"127.0.0.1:7337\" or \"[::1]:7337\""
        ))
    })
}

#[cfg(test)]
mod tests;

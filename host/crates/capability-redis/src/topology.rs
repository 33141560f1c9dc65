//! Which server has the store: the one named, the master that Sentinels know, or the node of a cluster
//! that has the store's slot.
//!
//! All keys of a store are in one slot, so that at any time one server has them all; after a failover, or
//! when the slot moved, it is looked up again.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use mortise_config::RedisGrant;
use mortise_config::inside::{Address, RedisGrantInside as _, Topology, tls};
use mortise_store::{ErrorKind, Result};
use redis::{RedisConnectionInfo, RedisError, Value, cmd};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::layout;
use crate::link::{Link, read};
use crate::login::login;

/// Where the server is looked for, and how it is spoken to.
pub(crate) struct Servers {
    address: Address,
    /// The store's slot, in a cluster.
    slot: u16,
    login: RedisConnectionInfo,
    tls: Option<TlsConnector>,
}

/// Why there is no connection. Names the server: for the operator, not for a guest.
#[derive(Debug)]
pub struct ConnectError {
    server: String,
    reason: String,
    /// Whether the operator must change something first: the password, a certificate.
    is_lasting: bool,
}

impl ConnectError {
    /// What it is to whoever opens a store, or a source.
    pub fn kind(&self) -> ErrorKind {
        match self.is_lasting {
            true => ErrorKind::Config,
            false => ErrorKind::Unavailable,
        }
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.server, self.reason)
    }
}

impl std::error::Error for ConnectError {}

impl Servers {
    pub(crate) fn new(grant: &RedisGrant, prefix: &str) -> Result<Self> {
        grant.check()?;
        let address = Address::parse(&grant.url)?;
        Ok(Self {
            login: login(grant, &address)?,
            tls: match address.tls {
                true => {
                    let authorities = tls::authorities(grant.ca_file.as_deref())?;
                    Some(TlsConnector::from(Arc::new(tls::trusting(authorities))))
                }
                false => None,
            },
            slot: layout::slot(prefix),
            address,
        })
    }

    /// Whether the store can move to another server.
    pub(crate) fn can_move(&self) -> bool {
        self.address.topology != Topology::Single
    }

    /// A connection to the server that has the store now.
    pub(crate) async fn connect(&self) -> Result<Link, ConnectError> {
        match self.address.topology {
            Topology::Single => {
                let (host, port) = &self.address.hosts[0];
                self.link(host, *port, &self.login).await
            }
            Topology::Sentinel => self.first(|host, port| self.by_sentinel(host, port)).await,
            Topology::Cluster => self.first(|host, port| self.by_node(host, port)).await,
        }
    }

    /// The error of a connection that took too long.
    pub(crate) fn silence(&self, patience: Duration) -> ConnectError {
        let hosts = self.address.hosts.iter();
        let servers: Vec<_> = hosts.map(|(host, port)| format!("{host}:{port}")).collect();
        ConnectError {
            server: servers.join(","),
            reason: format!("no answer within {patience:?}"),
            is_lasting: false,
        }
    }

    /// Asks one host after another; the first that leads to a connection counts.
    async fn first<'a, F>(&'a self, ask: impl Fn(&'a str, u16) -> F) -> Result<Link, ConnectError>
    where
        F: Future<Output = Result<Link, ConnectError>>,
    {
        let mut last = None;
        for (host, port) in &self.address.hosts {
            match ask(host, *port).await {
                Ok(link) => return Ok(link),
                Err(error) => last = Some(error),
            }
        }
        Err(last.expect("a URL names a host at least"))
    }

    /// The master that a Sentinel knows.
    async fn by_sentinel(&self, host: &str, port: u16) -> Result<Link, ConnectError> {
        // Sentinels mostly ask for no password, and fail where one is given all the same.
        let nobody = RedisConnectionInfo::default();
        let ask = cmd("SENTINEL")
            .arg("get-master-addr-by-name")
            .arg(&self.address.master)
            .clone();
        let failed = |error| failed_at(host, port, error);
        let mut answer = self.link(host, port, &nobody).await?.send(&ask).await;
        if matches!(&answer, Err(error) if error.code() == Some("NOAUTH")) {
            let login = self.login.clone().set_db(0);
            answer = self.link(host, port, &login).await?.send(&ask).await;
        }
        let master: Option<(String, u16)> = answer.and_then(read).map_err(failed)?;
        let Some((master_host, master_port)) = master else {
            let reason = format!("this Sentinel knows no master {:?}", self.address.master);
            return Err(refused(host, port, reason, true));
        };
        let link = self.link(&master_host, master_port, &self.login).await?;
        let failed = |error| failed_at(&master_host, master_port, error);
        let role: Vec<Value> = link
            .send(&cmd("ROLE"))
            .await
            .and_then(read)
            .map_err(failed)?;
        let role: Option<String> = role.into_iter().next().and_then(|role| read(role).ok());
        match role.as_deref() {
            Some("master") => Ok(link),
            _ => Err(refused(
                &master_host,
                master_port,
                "it is no master yet".to_owned(),
                false,
            )),
        }
    }

    /// The node of a cluster that has the slot, as another node knows.
    async fn by_node(&self, host: &str, port: u16) -> Result<Link, ConnectError> {
        let node = self.link(host, port, &self.login).await?;
        let failed = |error| failed_at(host, port, error);
        let slots: Vec<Vec<Value>> = node
            .send(cmd("CLUSTER").arg("SLOTS"))
            .await
            .and_then(read)
            .map_err(failed)?;
        let owner = slots.into_iter().find_map(|entry| {
            let mut entry = entry.into_iter();
            let mut bound = || entry.next().and_then(|bound| read::<u16>(bound).ok());
            let range = bound()?..=bound()?;
            let owner: Vec<Value> = read(entry.next()?).ok()?;
            range.contains(&self.slot).then_some(owner)
        });
        let unknown =
            |what: &str| refused(host, port, format!("{what} the slot {}", self.slot), false);
        let mut owner = owner.ok_or_else(|| unknown("no node has"))?.into_iter();
        let owner_host: Option<String> = owner.next().and_then(|host| read(host).ok()).flatten();
        let owner_port: Option<u16> = owner.next().and_then(|port| read(port).ok());
        let owner_port = owner_port.ok_or_else(|| unknown("it says not which node has"))?;
        // A node that does not know its own name leaves it out: it is the one that was asked.
        let owner_host = owner_host.filter(|name| !name.is_empty() && name != "?");
        match owner_host.as_deref().unwrap_or(host) {
            same if same == host && owner_port == port => Ok(node),
            other => self.link(other, owner_port, &self.login).await,
        }
    }

    async fn link(
        &self,
        host: &str,
        port: u16,
        login: &RedisConnectionInfo,
    ) -> Result<Link, ConnectError> {
        let failed =
            |error: std::io::Error, is_lasting| refused(host, port, error.to_string(), is_lasting);
        let stream = TcpStream::connect((host, port))
            .await
            .and_then(|stream| stream.set_nodelay(true).map(|()| stream))
            .map_err(|error| failed(error, false))?;
        let link = match &self.tls {
            None => Link::new(login, stream).await,
            Some(tls) => {
                let name = ServerName::try_from(host.to_owned())
                    .map_err(|error| refused(host, port, error.to_string(), true))?;
                // What rustls finds wrong with a certificate is `InvalidData`.
                let stream = tls.connect(name, stream).await.map_err(|error| {
                    let is_lasting = error.kind() == std::io::ErrorKind::InvalidData;
                    failed(error, is_lasting)
                })?;
                Link::new(login, stream).await
            }
        };
        link.map_err(|error| failed_at(host, port, error))
    }
}

/// The error of a server that answers with one.
fn failed_at(host: &str, port: u16, error: RedisError) -> ConnectError {
    let is_lasting = error.kind() == redis::ErrorKind::AuthenticationFailed
        || matches!(error.code(), Some("NOAUTH" | "WRONGPASS" | "NOPERM"));
    refused(host, port, error.to_string(), is_lasting)
}

fn refused(host: &str, port: u16, reason: String, is_lasting: bool) -> ConnectError {
    ConnectError {
        server: format!("{host}:{port}"),
        reason,
        is_lasting,
    }
}

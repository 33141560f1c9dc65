//! The server: what it serves, and where.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware;
use tokio::net::{TcpListener, ToSocketAddrs, lookup_host};

use super::app::App;
use super::connections::Connections;
use super::limits::ServeLimits;
use super::mcp::HttpConfig;
use super::served::Served;
use super::tls::Tls;
use super::{openapi, request};
use crate::config::ServeConfig;
use crate::error::{Error, ErrorKind, Operation, Result};
use crate::store::Store;

/// Stores to be served.
#[derive(Debug)]
pub struct Server {
    served: Served,
    config: ServeConfig,
}

impl Server {
    /// Serves these stores, each under its [name](Store::name).
    ///
    /// # Errors
    ///
    /// `Config`: there is none, or two have one name.
    pub fn new(stores: impl IntoIterator<Item = Store>) -> Result<Self> {
        Ok(Self {
            served: Served::new(stores)?,
            config: ServeConfig::default(),
        })
    }

    /// Sets who gets in, by which certificate, and how much of the server each may take. Its address is passed over:
    /// [`bind`](Self::bind) names it.
    #[must_use]
    pub fn config(mut self, config: ServeConfig) -> Self {
        self.config = config;
        self
    }

    /// Serves this store to MCP's clients where they name none; else they are served the first.
    ///
    /// # Errors
    ///
    /// `Config`: it is not among the stores.
    pub fn default_store(mut self, name: &str) -> Result<Self> {
        self.served = self.served.with_default(name)?;
        Ok(self)
    }

    /// Sets how much it takes of its clients.
    #[must_use]
    pub fn limits(mut self, limits: ServeLimits) -> Self {
        self.config.limits = limits;
        self
    }

    /// Listens at an address. Port 0 is a free one.
    ///
    /// # Errors
    ///
    /// `Config`: the address is none; it can be reached from other machines, and there are no tokens, or no TLS to send
    /// them by ([`ServeConfig`]); the certificate cannot be used. `Io`: nobody can listen there.
    pub async fn bind(self, address: impl ToSocketAddrs + std::fmt::Debug) -> Result<BoundServer> {
        let told = format!("{address:?}");
        let found = lookup_host(address).await.map_err(|error| {
            Error::config(format!("{told} is no address to listen at"))
                .with_hint("write it as 127.0.0.1:7337")
                .with_source(error)
        })?;
        let addresses: Vec<_> = found.collect();
        for address in &addresses {
            self.config.check_at(*address)?;
        }
        let tls = self.config.tls.as_ref();
        let tls = tls.map(|files| Tls::open(files, self.config.limits.head_timeout));
        let tls = tls.transpose()?.map(Arc::new);
        let failed = |error| {
            let message = format!("nobody can listen at {told}");
            Error::new(ErrorKind::Io, Operation::Open, message).with_source(error)
        };
        let listener = TcpListener::bind(&*addresses).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(BoundServer {
            app: App::new(Arc::new(self.served), &self.config),
            listener,
            address,
            tls,
        })
    }
}

/// A server that listens, and answers as soon as it [runs](Self::run).
pub struct BoundServer {
    app: App,
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<Arc<Tls>>,
}

impl BoundServer {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it listens, as clients write it: `https://127.0.0.1:7337`.
    pub fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// Answers requests until `stop` comes to its end; then lets those that are under way finish, as long as
    /// [`ServeLimits::drain_deadline`] lets them.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let limits = self.app.limits.clone();
        let connections = Connections::new(router(self.app), self.tls, limits);
        connections.serve(self.listener, stop).await;
    }
}

fn router(app: App) -> Router {
    let (router, _) = openapi::router().split_for_parts();
    let mut mcp = HttpConfig::default();
    // The server itself has looked at the Host, or asks for tokens.
    mcp.allowed_hosts.clear();
    router
        .route_service("/mcp", app.mcp.http_service(mcp))
        .fallback(request::no_such_path)
        .method_not_allowed_fallback(request::method_not_allowed)
        .layer(DefaultBodyLimit::max(app.limits.longest_body()))
        .layer(middleware::from_fn_with_state(app.clone(), request::handle))
        .with_state(app)
}

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
use super::served::Served;
use super::{openapi, request};
use crate::error::{Error, ErrorKind, Operation, Result};
use crate::store::Store;

/// Stores to be served.
#[derive(Debug)]
pub struct Server {
    served: Served,
    limits: ServeLimits,
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
            limits: ServeLimits::default(),
        })
    }

    /// Sets how much it takes of its clients.
    #[must_use]
    pub fn limits(mut self, limits: ServeLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Listens at an address. Port 0 is a free one.
    ///
    /// # Errors
    ///
    /// `Config`: the address is none, or not of this machine's loopback: everybody who reaches the server may read and
    /// write all that it serves. `Io`: nobody can listen there.
    pub async fn bind(self, address: impl ToSocketAddrs + std::fmt::Debug) -> Result<BoundServer> {
        let told = format!("{address:?}");
        let found = lookup_host(address).await.map_err(|error| {
            Error::config(format!("{told} is no address to listen at"))
                .with_hint("write it as 127.0.0.1:7337")
                .with_source(error)
        })?;
        let addresses: Vec<_> = found.collect();
        if let Some(open) = addresses.iter().find(|address| !address.ip().is_loopback()) {
            let message =
                format!("{open} can be reached from other machines, expected 127.0.0.1 or [::1]");
            let hint = "whoever reaches the server may read and write all that it serves";
            return Err(Error::config(message).with_hint(hint));
        }
        let failed = |error| {
            let message = format!("nobody can listen at {told}");
            Error::new(ErrorKind::Io, Operation::Open, message).with_source(error)
        };
        let listener = TcpListener::bind(&*addresses).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(BoundServer {
            app: App::new(Arc::new(self.served), self.limits),
            listener,
            address,
        })
    }
}

/// A server that listens, and answers as soon as it [runs](Self::run).
pub struct BoundServer {
    app: App,
    listener: TcpListener,
    address: SocketAddr,
}

impl BoundServer {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers requests until `stop` comes to its end; then lets those that are under way finish, as long as
    /// [`ServeLimits::drain_deadline`] lets them.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let limits = self.app.limits.clone();
        let connections = Connections::new(router(self.app), limits);
        connections.serve(self.listener, stop).await;
    }
}

fn router(app: App) -> Router {
    let (router, _) = openapi::router().split_for_parts();
    router
        .fallback(request::no_such_path)
        .method_not_allowed_fallback(request::method_not_allowed)
        .layer(DefaultBodyLimit::max(app.limits.body_bytes))
        .layer(middleware::from_fn_with_state(app.clone(), request::handle))
        .with_state(app)
}

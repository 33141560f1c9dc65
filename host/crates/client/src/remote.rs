//! A store that a server has.

mod calls;
mod place;

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use bytesize::ByteSize;
use mortise_store::inside::{ErrorInside as _, Place as _, blocking};
use mortise_store::{Clock, Error, ErrorKind, Limits, Operation, Result};
use reqwest::{Method, Request};

use crate::address::Address;
use crate::answer;
use crate::server::{Ask, Server};
use crate::store_info::ServedStore;

/// The largest answer about stores themselves, in bytes.
const MAX_INFO_BYTES: u64 = 1 << 20;

/// A store that a server has. Its calls take for granted that their arguments were checked.
pub(crate) struct Remote {
    server: Server,
    clock: Arc<dyn Clock>,
    name: String,
    backend: String,
    namespace: String,
    limits: Limits,
    /// What the server said last.
    served: RwLock<ServedStore>,
}

impl Remote {
    /// Asks the server that the address names about its store.
    pub(crate) async fn open(address: Address, clock: Arc<dyn Clock>) -> Result<Self> {
        let operation = Operation::Open;
        // Files are read for it.
        let server = blocking(move || Server::new(address)).await;
        let server = server.map_err(|error| error.with_operation(operation))?;
        let served = match server.address.store.as_deref() {
            Some(name) => named_store(&server, operation, name).await?,
            None => only_store(&server).await?,
        };
        let mut limits = Limits::default();
        limits.page_bytes = ByteSize(served.page_bytes);
        limits.body_bytes = ByteSize(served.description.max_body_bytes);
        limits.batch_bytes = ByteSize(served.batch_bytes);
        let store = Self {
            clock,
            name: served.name.clone(),
            backend: served.description.name.clone(),
            namespace: served.namespace.clone(),
            limits,
            served: RwLock::new(served),
            server,
        };
        tracing::debug!(
            store = store.name(),
            server = store.url(),
            "opened at a server"
        );
        Ok(store)
    }

    /// The URL of the server.
    fn url(&self) -> &str {
        self.server.address.server()
    }

    fn served(&self) -> RwLockReadGuard<'_, ServedStore> {
        self.served.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Of what only the host that opened the store can do.
    fn cannot(&self, operation: Operation, done: &str) -> Error {
        let what = format!("a store that a server has is not {done} over HTTP");
        Error::new(ErrorKind::Unsupported, operation, what)
            .with_backend(self.backend())
            .with_hint("do it where the store is opened: at the server")
    }
}

/// What a server says about a store.
async fn named_store(server: &Server, operation: Operation, name: &str) -> Result<ServedStore> {
    let url = server.address.url(&["stores", name], &[]);
    let ask = Ask {
        operation,
        request: Request::new(Method::GET, url),
        most: MAX_INFO_BYTES,
    };
    server.ask(ask, answer::store).await
}

/// What a server says about the one store that it has.
async fn only_store(server: &Server) -> Result<ServedStore> {
    let ask = Ask {
        operation: Operation::Open,
        request: Request::new(Method::GET, server.address.url(&["stores"], &[])),
        most: MAX_INFO_BYTES,
    };
    let mut stores = server.ask(ask, answer::stores).await?;
    match (stores.pop(), stores.is_empty()) {
        (Some(only), true) => Ok(only),
        (last, _) => {
            let names: Vec<_> = stores.into_iter().chain(last).map(|it| it.name).collect();
            let what = format!(
                "{} has {} stores, expected one, or its name: {}",
                server.address.server(),
                names.len(),
                names.join(", ")
            );
            let hint = "add the store's name to the URL: http://HOST:PORT/STORE";
            Err(Error::new(ErrorKind::Config, Operation::Open, what).with_hint(hint))
        }
    }
}

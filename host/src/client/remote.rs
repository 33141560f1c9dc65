//! A store that a server has.

mod calls;

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use bytesize::ByteSize;
use reqwest::{Method, Request};

use super::address::Address;
use super::answer;
use super::server::{Ask, Server};
use super::told::Told;
use crate::arguments::Arguments;
use crate::capability::clock::Clock;
use crate::error::{Error, ErrorKind, Operation, Result};
use crate::limits::{Limits, MAX_PAGE_RECORDS};
use crate::manifest::Manifest;
use crate::record::{Description, Timestamp};
use crate::status::Status;
use crate::work::blocking;

/// The largest answer about stores themselves, in bytes.
const MAX_INFO_BYTES: u64 = 1 << 20;

/// A store that a server has. Its calls take for granted that their arguments were checked.
#[derive(Clone)]
pub(crate) struct Remote(Arc<Inner>);

struct Inner {
    server: Server,
    clock: Arc<dyn Clock>,
    name: String,
    backend: String,
    namespace: String,
    limits: Limits,
    /// What the server said last.
    told: RwLock<Told>,
}

impl Remote {
    /// Asks the server that the address names about its store.
    pub(super) async fn open(address: Address, clock: Arc<dyn Clock>) -> Result<Self> {
        let operation = Operation::Open;
        // Files are read for it.
        let server = blocking(move || Server::new(address)).await;
        let server = server.map_err(|error| error.with_operation(operation))?;
        let told = match server.address.store.as_deref() {
            Some(name) => named_store(&server, operation, name).await?,
            None => only_store(&server).await?,
        };
        let limits = Limits {
            page_bytes: ByteSize(told.page_bytes),
            body_bytes: ByteSize(told.description.max_body_bytes),
            batch_bytes: ByteSize(told.batch_bytes),
            ..Limits::default()
        };
        let store = Self(Arc::new(Inner {
            clock,
            name: told.name.clone(),
            backend: told.description.name.clone(),
            namespace: told.namespace.clone(),
            limits,
            told: RwLock::new(told),
            server,
        }));
        tracing::debug!(
            store = store.name(),
            server = store.server(),
            "opened at a server"
        );
        Ok(store)
    }

    pub(crate) fn name(&self) -> &str {
        &self.0.name
    }

    pub(crate) fn backend(&self) -> &str {
        &self.0.backend
    }

    pub(crate) fn namespace(&self) -> &str {
        &self.0.namespace
    }

    /// The URL of the server.
    pub(crate) fn server(&self) -> &str {
        self.0.server.address.server()
    }

    pub(crate) fn manifest(&self) -> Manifest {
        Manifest {
            contract: None,
            imports: Vec::new(),
            exports: Vec::new(),
            digest: self.status().digest,
            size: 0,
        }
    }

    pub(crate) fn describe(&self) -> Description {
        self.told().description.clone()
    }

    pub(crate) fn status(&self) -> Status {
        self.told().status.clone()
    }

    fn told(&self) -> RwLockReadGuard<'_, Told> {
        self.0.told.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn shares_storage_with(&self, other: &Self) -> bool {
        (self.server(), self.name()) == (other.server(), other.name())
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.0.limits
    }

    /// The time, by the clock of this host.
    pub(crate) fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    pub(crate) fn arguments(&self, operation: Operation) -> Arguments<'_> {
        let limits = self.limits();
        let max_batch = self.told().description.max_batch;
        Arguments {
            operation,
            limits,
            max_body_bytes: limits.body_bytes.0,
            max_batch: max_batch.min(MAX_PAGE_RECORDS) as usize,
        }
    }

    /// Of what only the host that opened the store can do.
    pub(crate) fn cannot(&self, operation: Operation, done: &str) -> Error {
        let what = format!("a store that a server has is not {done} over HTTP");
        Error::new(ErrorKind::Unsupported, operation, what)
            .with_backend(self.backend())
            .with_hint("do it where the store is opened: at the server")
    }
}

/// What a server says about a store.
async fn named_store(server: &Server, operation: Operation, name: &str) -> Result<Told> {
    let url = server.address.url(&["stores", name], &[]);
    let ask = Ask {
        operation,
        request: Request::new(Method::GET, url),
        most: MAX_INFO_BYTES,
    };
    server.ask(ask, answer::told).await
}

/// What a server says about the one store that it has.
async fn only_store(server: &Server) -> Result<Told> {
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

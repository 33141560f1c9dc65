//! A store that a server has: its calls, as requests.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use bytesize::ByteSize;
use reqwest::header::{HeaderName, IF_MATCH, IF_NONE_MATCH};
use reqwest::{Method, Request};
use tracing::Instrument as _;

use super::address::{Address, fits_path};
use super::answer;
use super::server::{Ask, Server, comparing, with_json};
use super::told::Told;
use crate::arguments::Arguments;
use crate::capability::clock::Clock;
use crate::error::{Error, ErrorKind, Operation, Result};
use crate::handover;
use crate::limits::{Limits, MAX_PAGE_RECORDS};
use crate::manifest::Manifest;
use crate::record::{
    CollectionStatistics, Description, Draft, Key, Order, Page, Precondition, Put, Query, Revision,
    Stamp, Stored, Timestamp, Write,
};
use crate::status::Status;
use crate::store::report;
use crate::wire;
use crate::work::blocking;

/// The largest answer about stores themselves, in bytes.
const MAX_INFO_BYTES: u64 = 1 << 20;
/// How many bytes one byte takes in JSON at most: `\u0000`.
const ESCAPED_BYTES: u64 = 6;
/// What an answer may have beside the bodies and ids of its records, in bytes: the attributes of one that has as many
/// as it may, and the names of fields.
const MAX_ANSWER_OVERHEAD: u64 = 8 << 20;
/// The longest query of a URL, in bytes: servers and proxies take no much longer ones.
const MAX_URL_QUERY_BYTES: usize = 4 << 10;

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

    pub(crate) async fn create(&self, draft: Draft) -> Result<Stamp> {
        let operation = Operation::Create;
        let Some(put) = self.record(Method::PUT, &draft.key) else {
            return self.write_one(operation, Write::create(draft)).await;
        };
        let put = comparing(put, IF_NONE_MATCH, "*".to_owned());
        let put = with_json(put, &wire::Content::of(&draft));
        self.call(operation, Some(&draft.key), put, answer::stamp)
            .await
    }

    pub(crate) async fn load(&self, key: &Key) -> Result<Option<Stored>> {
        let operation = Operation::Load;
        let Some(get) = self.record(Method::GET, key) else {
            let found = self.look_up(operation, Some(key), &[key]).await?;
            return Ok(found.into_iter().next().flatten());
        };
        match self.call(operation, Some(key), get, answer::stored).await {
            Ok(stored) => Ok(Some(stored)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(crate) async fn load_many(&self, keys: Vec<Key>) -> Result<Vec<Option<Stored>>> {
        let keys: Vec<&Key> = keys.iter().collect();
        self.look_up(Operation::LoadMany, None, &keys).await
    }

    pub(crate) async fn update(&self, draft: Draft, expect: Option<Revision>) -> Result<Stamp> {
        let operation = Operation::Update;
        let Some(put) = self.record(Method::PUT, &draft.key) else {
            let write = match expect {
                Some(revision) => Write::update(draft, revision),
                None => Write::Put(Put {
                    draft,
                    expect: Precondition::Present,
                }),
            };
            return self.write_one(operation, write).await;
        };
        let (name, value) = if_match(expect);
        let put = with_json(comparing(put, name, value), &wire::Content::of(&draft));
        self.call(operation, Some(&draft.key), put, answer::stamp)
            .await
    }

    pub(crate) async fn delete(&self, key: &Key, expect: Option<Revision>) -> Result<()> {
        let operation = Operation::Delete;
        let Some(delete) = self.record(Method::DELETE, key) else {
            let write = Write::delete(key.clone(), expect);
            return self.batch(operation, Some(key), &[write]).await.map(drop);
        };
        let (name, value) = if_match(expect);
        let delete = comparing(delete, name, value);
        self.call(operation, Some(key), delete, answer::nothing)
            .await
    }

    pub(crate) async fn find(&self, query: Query) -> Result<Page> {
        let request = match self.query(&query) {
            Some(get) => get,
            None => {
                let post = self.request(Method::POST, &["find"], &[]);
                with_json(post, &wire::Search::from(query))
            }
        };
        self.call(Operation::Find, None, request, answer::page)
            .await
    }

    pub(crate) async fn apply(&self, batch: Vec<Write>) -> Result<Vec<Revision>> {
        self.batch(Operation::Apply, None, &batch).await
    }

    /// The revisions of a batch of one write that changes nothing.
    pub(crate) async fn take_revision(&self) -> Result<Vec<Revision>> {
        self.apply(vec![handover::nothing()]).await
    }

    pub(crate) async fn export(&self, after: Option<String>, limit: u32) -> Result<Page> {
        let limit = limit.to_string();
        let mut query = vec![("limit", &*limit)];
        query.extend(after.as_deref().map(|after| ("after", after)));
        let get = self.request(Method::GET, &["records"], &query);
        self.call(Operation::Export, None, get, answer::page).await
    }

    pub(crate) async fn import(&self, records: Vec<Stored>) -> Result<()> {
        let post = self.request(Method::POST, &["records"], &[]);
        let records = records.iter().map(wire::Record::short).collect();
        let post = with_json(post, &wire::Records { records });
        self.call(Operation::Import, None, post, answer::nothing)
            .await
    }

    pub(crate) async fn sweep(&self, limit: u32) -> Result<u32> {
        let limit = limit.to_string();
        let post = self.request(Method::POST, &["sweep"], &[("limit", &limit)]);
        self.call(Operation::Sweep, None, post, answer::swept).await
    }

    pub(crate) async fn clear(&self, collection: Option<&str>) -> Result<u64> {
        let query: Vec<_> = collection
            .map(|collection| ("collection", collection))
            .into_iter()
            .collect();
        let post = self.request(Method::POST, &["clear"], &query);
        self.call(Operation::Clear, None, post, answer::removed)
            .await
    }

    pub(crate) async fn statistics(&self) -> Result<Vec<CollectionStatistics>> {
        let get = self.request(Method::GET, &["statistics"], &[]);
        self.call(Operation::Statistics, None, get, answer::statistics)
            .await
    }

    /// Also asks how the store is doing, which [`status`](Self::status) tells from then on.
    pub(crate) async fn health(&self) -> Result<()> {
        let operation = Operation::Health;
        let told = named_store(&self.0.server, operation, self.name()).await;
        let told = told.map_err(|error| error.with_backend(self.backend()))?;
        *self.0.told.write().unwrap_or_else(PoisonError::into_inner) = told;
        let get = self.request(Method::GET, &["health"], &[]);
        self.call(operation, None, get, answer::nothing).await
    }

    /// Reads records by a request that names them in its body.
    async fn look_up(
        &self,
        operation: Operation,
        key: Option<&Key>,
        keys: &[&Key],
    ) -> Result<Vec<Option<Stored>>> {
        let pairs = keys
            .iter()
            .map(|key| (key.collection.clone(), key.id.clone()));
        let keys = pairs.collect();
        let post = self.request(Method::POST, &["lookup"], &[]);
        let post = with_json(post, &wire::Lookup { keys });
        self.call(operation, key, post, answer::found).await
    }

    async fn batch(
        &self,
        operation: Operation,
        key: Option<&Key>,
        batch: &[Write],
    ) -> Result<Vec<Revision>> {
        let post = self.request(Method::POST, &["batch"], &[]);
        let writes = batch.iter().map(wire::WriteLine::of).collect();
        let post = with_json(post, &wire::Batch { writes });
        self.call(operation, key, post, answer::revisions).await
    }

    /// Writes a record that no URL can name, by a batch, which answers its revision alone: the rest of the stamp is read
    /// afterwards.
    async fn write_one(&self, operation: Operation, write: Write) -> Result<Stamp> {
        let key = write.key().clone();
        let revisions = self.batch(operation, Some(&key), &[write]).await?;
        let found = self.look_up(operation, Some(&key), &[&key]).await;
        let stamp = found.map(|found| found.into_iter().flatten().next().map(|it| it.stamp));
        match (revisions.as_slice(), stamp) {
            (&[revision], Ok(Some(stamp))) if stamp.mod_revision == revision => Ok(stamp),
            _ => {
                let what = "it was written, but is another one or out of reach since, so that its stamp is not known";
                Err(Error::new(ErrorKind::Unavailable, operation, what)
                    .into_ambiguous()
                    .with_backend(self.backend())
                    .with_key(key))
            }
        }
    }

    /// A request for a record; none where no URL can name it.
    fn record(&self, method: Method, key: &Key) -> Option<Request> {
        let Key { collection, id } = key;
        let fits = fits_path(collection) && fits_path(id);
        fits.then(|| self.request(method, &["records", collection, id], &[]))
    }

    /// A query as a URL; none where no URL can say it, or it would be too long for some.
    fn query(&self, query: &Query) -> Option<Request> {
        let limit = query.limit.to_string();
        let mut pairs = vec![("limit", limit)];
        for attribute in &query.attributes {
            if attribute.name.contains(':') {
                return None;
            }
            pairs.push((
                "attribute",
                format!("{}:{}", attribute.name, attribute.value),
            ));
        }
        pairs.extend(query.after.clone().map(|after| ("after", after)));
        if query.order == Order::Updated {
            pairs.push(("order", "updated".to_owned()));
        }
        if query.descending {
            pairs.push(("descending", "true".to_owned()));
        }
        if !query.bodies {
            pairs.push(("bodies", "false".to_owned()));
        }
        let pairs: Vec<_> = pairs
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let collection = query.collection.as_str();
        let get = self.request(Method::GET, &["records", collection], &pairs);
        let length = get.url().query().map_or(0, str::len);
        (fits_path(collection) && length <= MAX_URL_QUERY_BYTES).then_some(get)
    }

    /// A request for what the store has under a path of these segments.
    fn request(&self, method: Method, segments: &[&str], query: &[(&str, &str)]) -> Request {
        let address = &self.0.server.address;
        let segments = [&["stores", self.name()][..], segments].concat();
        Request::new(method, address.url(&segments, query))
    }

    /// Makes one call: a span, its request, and the error in the words of a store that is opened here.
    async fn call<T>(
        &self,
        operation: Operation,
        key: Option<&Key>,
        request: Request,
        read: impl Fn(&[u8]) -> Result<T, String>,
    ) -> Result<T> {
        let span = tracing::debug_span!(
            "call",
            store = self.name(),
            backend = self.backend(),
            server = self.server(),
            operation = operation.as_str()
        );
        let limits = self.limits();
        let bytes = limits.page_bytes.0.saturating_add(limits.body_bytes.0);
        let ask = Ask {
            operation,
            request,
            most: bytes
                .saturating_add(MAX_ANSWER_OVERHEAD)
                .saturating_mul(ESCAPED_BYTES),
        };
        let answer = self.0.server.ask(ask, read).instrument(span.clone()).await;
        answer.map_err(|error| {
            let error = error.with_backend(self.backend());
            let error = match key {
                Some(key) => error.with_key(key.clone()),
                None => error,
            };
            span.in_scope(|| report(&error));
            error
        })
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

/// What makes a write compare.
fn if_match(expect: Option<Revision>) -> (HeaderName, String) {
    let tag = expect.map_or("*".to_owned(), |revision| format!("\"{revision}\""));
    (IF_MATCH, tag)
}

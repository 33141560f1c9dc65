//! The calls of a store that a server has, as requests.

use std::sync::PoisonError;

use mortise_store::inside::{ErrorInside as _, Place as _, report};
use mortise_store::{
    CollectionStatistics, Draft, Error, ErrorKind, Key, Operation, Order, Page, Precondition, Put,
    Query, Result, Revision, Stamp, Stored, Write,
};
use mortise_wire as wire;
use reqwest::header::{HeaderName, IF_MATCH, IF_NONE_MATCH};
use reqwest::{Method, Request};
use tracing::Instrument as _;

use super::{Remote, named_store};
use crate::address::fits_path;
use crate::answer;
use crate::server::{Ask, comparing, with_json};

/// How many bytes one byte takes in JSON at most: `\u0000`.
const ESCAPED_BYTES: u64 = 6;
/// What an answer may have beside the bodies and ids of its records, in bytes: the attributes of one that has as many
/// as it may, and the names of fields.
const MAX_ANSWER_OVERHEAD: u64 = 8 << 20;
/// The longest query of a URL, in bytes: servers and proxies take no much longer ones.
const MAX_URL_QUERY_BYTES: usize = 4 << 10;

impl Remote {
    pub(super) async fn create(&self, draft: Draft) -> Result<Stamp> {
        let operation = Operation::Create;
        let Some(put) = self.record(Method::PUT, &draft.key) else {
            return self.write_one(operation, Write::create(draft)).await;
        };
        let put = comparing(put, IF_NONE_MATCH, "*".to_owned());
        let put = with_json(put, &wire::Content::of(&draft));
        self.call(operation, Some(&draft.key), put, answer::stamp)
            .await
    }

    pub(super) async fn load(&self, key: &Key) -> Result<Option<Stored>> {
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

    pub(super) async fn load_many(&self, keys: Vec<Key>) -> Result<Vec<Option<Stored>>> {
        let keys: Vec<&Key> = keys.iter().collect();
        self.look_up(Operation::LoadMany, None, &keys).await
    }

    pub(super) async fn update(&self, draft: Draft, expect: Option<Revision>) -> Result<Stamp> {
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

    pub(super) async fn delete(&self, key: &Key, expect: Option<Revision>) -> Result<()> {
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

    pub(super) async fn find(&self, query: Query) -> Result<Page> {
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

    pub(super) async fn apply(&self, batch: Vec<Write>) -> Result<Vec<Revision>> {
        self.batch(Operation::Apply, None, &batch).await
    }

    pub(super) async fn export(&self, after: Option<String>, limit: u32) -> Result<Page> {
        let limit = limit.to_string();
        let mut query = vec![("limit", &*limit)];
        query.extend(after.as_deref().map(|after| ("after", after)));
        let get = self.request(Method::GET, &["records"], &query);
        self.call(Operation::Export, None, get, answer::page).await
    }

    pub(super) async fn import(&self, records: Vec<Stored>) -> Result<()> {
        let post = self.request(Method::POST, &["records"], &[]);
        let records = records.iter().map(wire::Record::short).collect();
        let post = with_json(post, &wire::Records { records });
        self.call(Operation::Import, None, post, answer::nothing)
            .await
    }

    pub(super) async fn sweep(&self, limit: u32) -> Result<u32> {
        let limit = limit.to_string();
        let post = self.request(Method::POST, &["sweep"], &[("limit", &limit)]);
        self.call(Operation::Sweep, None, post, answer::swept).await
    }

    pub(super) async fn clear(&self, collection: Option<&str>) -> Result<u64> {
        let query: Vec<_> = collection
            .map(|collection| ("collection", collection))
            .into_iter()
            .collect();
        let post = self.request(Method::POST, &["clear"], &query);
        self.call(Operation::Clear, None, post, answer::removed)
            .await
    }

    pub(super) async fn statistics(&self) -> Result<Vec<CollectionStatistics>> {
        let get = self.request(Method::GET, &["statistics"], &[]);
        self.call(Operation::Statistics, None, get, answer::statistics)
            .await
    }

    /// Also asks how the store is doing, which [`status`](Self::status) tells from then on.
    pub(super) async fn health(&self) -> Result<()> {
        let operation = Operation::Health;
        let served = named_store(&self.server, operation, self.name()).await;
        let served = served.map_err(|error| error.with_backend(self.backend()))?;
        *self.served.write().unwrap_or_else(PoisonError::into_inner) = served;
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
        let address = &self.server.address;
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
            server = self.url(),
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
        let answer = self.server.ask(ask, read).instrument(span.clone()).await;
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

/// What makes a write compare.
fn if_match(expect: Option<Revision>) -> (HeaderName, String) {
    let tag = expect.map_or("*".to_owned(), |revision| format!("\"{revision}\""));
    (IF_MATCH, tag)
}

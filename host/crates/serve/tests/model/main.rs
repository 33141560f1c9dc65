//! The server and its client on stores of the model: their main promises, without a component. Package `mortise-cli` has
//! them all, on every backend.

mod access;
mod agents;
mod http;
mod remote;

use std::sync::Arc;

use mortise_config::ServeConfig;
use mortise_conformance::ModelPlace;
use mortise_serve::Server;
use mortise_store::{Draft, Key, ManualClock, Store, Stored};
use reqwest::header::HeaderMap;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::Value;

/// When the clock of a store starts: 2026-01-01, in UTC.
const START: u64 = 1_767_225_600_000;
/// What a write by HTTP expects: no record.
const CREATE: (&str, &str) = ("if-none-match", "*");

/// An empty store.
fn place() -> ModelPlace {
    ModelPlace::new(Arc::new(ManualClock::new(START)))
}

/// A server on a free port, until the test ends.
struct Serving {
    url: String,
    /// The first of its stores, as it is opened at the server.
    store: Store,
    client: Client,
}

impl Serving {
    /// Serves one empty store to everybody.
    async fn new() -> Self {
        Self::with([place()], ServeConfig::default()).await
    }

    async fn with<const N: usize>(places: [ModelPlace; N], config: ServeConfig) -> Self {
        let stores = places.map(ModelPlace::store);
        let store = stores[0].clone();
        let server = Server::new(stores).unwrap().config(config);
        let server = server.bind("127.0.0.1:0").await.unwrap();
        let url = server.url();
        tokio::spawn(server.run(std::future::pending()));
        // The client wants one even where it never speaks TLS; the second to install it is told so.
        let _ = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
        Self {
            url,
            store,
            client: Client::new(),
        }
    }

    /// The first store, as a client opens it.
    async fn connect(&self) -> Store {
        let url = format!("{}/{}", self.url, self.store.name());
        mortise_client::connect(&url).await.unwrap()
    }

    /// A request without our client. A path without a slash at its start is of the first store.
    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = match path.starts_with('/') {
            true => format!("{}{path}", self.url),
            false => format!("{}/v1/stores/{}/{path}", self.url, self.store.name()),
        };
        self.client.request(method, url)
    }

    fn get(&self, path: &str) -> RequestBuilder {
        self.request(Method::GET, path)
    }

    fn put(&self, path: &str, expect: (&str, &str), body: &Value) -> RequestBuilder {
        let put = self.request(Method::PUT, path).json(body);
        put.header(expect.0, expect.1)
    }

    fn delete(&self, path: &str) -> RequestBuilder {
        self.request(Method::DELETE, path)
    }

    fn post(&self, path: &str, body: &Value) -> RequestBuilder {
        self.request(Method::POST, path).json(body)
    }

    fn patch(&self, path: &str, body: &Value) -> RequestBuilder {
        self.request(Method::PATCH, path).json(body)
    }
}

/// What was answered by HTTP.
#[derive(Debug)]
struct Answer {
    status: u16,
    headers: HeaderMap,
    text: String,
    /// The text, where it is JSON.
    json: Value,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().unwrap())
    }

    /// What a write sends that expects what was answered.
    fn tag(&self) -> (&'static str, &str) {
        ("if-match", self.header("etag"))
    }

    /// The status and the kind of a problem.
    fn problem(&self) -> (u16, &str) {
        let media_type = self.header("content-type");
        assert_eq!(media_type, "application/problem+json", "{self:?}");
        assert_eq!(self.json["status"], self.status);
        let kind = self.json["type"].as_str().unwrap();
        let kind = kind.strip_prefix("urn:mortise:problem:").unwrap();
        (self.status, kind)
    }
}

async fn send(request: RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let text = response.text().await.unwrap();
    Answer {
        status,
        headers,
        json: serde_json::from_str(&text).unwrap_or_default(),
        text,
    }
}

fn note(id: &str) -> Key {
    Key::new("note", id)
}

fn draft(id: &str, body: &str) -> Draft {
    Draft::new(note(id), body)
}

async fn loaded(store: &Store, key: &Key) -> Option<Stored> {
    store.load(key).await.unwrap()
}

/// All records of a store, in the order of their creation.
async fn all(store: &Store) -> Vec<Stored> {
    let page = store.export(None, 1_000).await.unwrap();
    assert_eq!(page.next, None);
    page.records
}

fn ids(records: &[Stored]) -> Vec<&str> {
    records.iter().map(|it| it.key().id.as_str()).collect()
}

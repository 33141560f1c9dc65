//! Clients over HTTP without anything of ours: reqwest, and sessions of MCP by requests that are written by hand.

use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::{RequestBuilder, Response, StatusCode};
use serde_json::Value;

use crate::by_hand::{Called, INITIALIZE};

/// A client of our own making: reqwest, without anything of ours.
pub fn client() -> reqwest::Client {
    // It wants one even where it never speaks TLS; the second to install it is told so.
    let _ = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::new()
}

const SESSION: &str = "mcp-session-id";

/// A client without a library.
pub struct Raw {
    pub http: reqwest::Client,
    /// Of the server's `/mcp`.
    pub url: String,
    pub session: String,
}

impl Raw {
    /// Begins a session at this URL.
    pub async fn initialize(url: &str) -> Self {
        Self::with(url, "").begin().await
    }

    /// Begins a session at a server that wants a token.
    pub async fn with_token(url: &str, token: &str) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert("authorization", format!("Bearer {token}").parse().unwrap());
        let client = reqwest::Client::builder().default_headers(headers);
        Self::begun(&client.build().unwrap(), url).await
    }

    /// Begins a session at the server of this URL.
    pub async fn begun(client: &reqwest::Client, url: &str) -> Self {
        let raw = Self {
            http: client.clone(),
            url: format!("{url}/mcp"),
            session: String::new(),
        };
        raw.begin().await
    }

    async fn begin(self) -> Self {
        let mut raw = self;
        let begin =
            format!(r#"{{"jsonrpc":"2.0","id":0,"method":"initialize","params":{INITIALIZE}}}"#);
        let answer = raw.post(begin).send().await.unwrap();
        raw.session = answer.headers()[SESSION].to_str().unwrap().to_owned();
        assert_eq!(last(answer).await["id"], 0);
        let rest = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
        let answer = raw.post(rest.to_owned()).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::ACCEPTED);
        raw
    }

    /// Goes on with a session.
    pub fn with(url: &str, session: &str) -> Self {
        // Done by an earlier test, or now.
        let _ = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
        Self {
            http: reqwest::Client::builder()
                .timeout(Duration::from_secs(30))
                .build()
                .unwrap(),
            url: url.to_owned(),
            session: session.to_owned(),
        }
    }

    pub fn post(&self, message: String) -> RequestBuilder {
        let post = self.http.post(&self.url).body(message);
        let post = post
            .header("accept", "application/json, text/event-stream")
            .header("content-type", "application/json");
        self.of_session(post)
    }

    /// Asks for the server's own messages.
    pub async fn listen(&self, seen: Option<&str>) -> Response {
        let get = self
            .http
            .get(&self.url)
            .header("accept", "text/event-stream");
        let get = match seen {
            Some(seen) => get.header("last-event-id", seen),
            None => get,
        };
        self.of_session(get).send().await.unwrap()
    }

    pub fn of_session(&self, request: RequestBuilder) -> RequestBuilder {
        match self.session.as_str() {
            "" => request,
            session => request
                .header(SESSION, session)
                .header("mcp-protocol-version", "2025-11-25"),
        }
    }

    pub async fn call(&self, tool: &str, arguments: &str) -> Called {
        self.call_as(1, tool, arguments).await
    }

    /// As the request of this id: those that are under way together have different ones.
    pub async fn call_as(&self, id: u64, tool: &str, arguments: &str) -> Called {
        let message = format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"{tool}","arguments":{arguments}}}}}"#
        );
        let answer = self.post(message).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        Called::read(&last(answer).await)
    }
}

/// The last message of a stream that ends.
async fn last(answer: Response) -> Value {
    let text = answer.text().await.unwrap();
    messages(&text)
        .pop()
        .unwrap_or_else(|| panic!("no message in {text:?}"))
}

fn messages(text: &str) -> Vec<Value> {
    let data = text.lines().filter_map(|line| line.strip_prefix("data:"));
    let data = data.map(str::trim).filter(|data| !data.is_empty());
    data.map(|data| serde_json::from_str(data).unwrap())
        .collect()
}

/// The first message of a stream that goes on.
pub async fn first(stream: &mut Response) -> Value {
    let mut text = String::new();
    loop {
        let chunk = stream.chunk().await.unwrap().expect("the stream goes on");
        text.push_str(std::str::from_utf8(&chunk).unwrap());
        if text.ends_with("\n\n")
            && let Some(message) = messages(&text).into_iter().next()
        {
            return message;
        }
    }
}

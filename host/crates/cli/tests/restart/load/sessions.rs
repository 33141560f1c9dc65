//! Sessions of MCP over HTTP: each calls tools without a rest, and has its stream of notices.

use std::time::Instant;

use reqwest::{Response, StatusCode};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::figures::Call;
use crate::process::Site;
use crate::session::{Session, last_event, messages, succeeded};

/// A session with a task of its own.
pub struct Worker {
    session: Session,
    store: &'static str,
    task: String,
    /// The task's revision, and how often it was written.
    revision: u64,
    written: u64,
}

impl Worker {
    pub async fn begin(site: &Site, number: usize, store: &'static str) -> Self {
        let mut worker = Self {
            session: Session::begin(site).await,
            store,
            task: format!("of-session-{number}"),
            revision: 0,
            written: 0,
        };
        let created = json!({"task": worker.as_written(), "store": store});
        let created = worker.session.ok("create_task", &created).await;
        worker.revision = created["revision"].as_u64().unwrap();
        worker
    }

    /// Its client's stream.
    pub fn listener(&self) -> Listener {
        Listener {
            session: self.session.clone(),
            seen: None,
        }
    }

    /// Updates and loads the task until it is told to stop.
    pub async fn work(mut self, stop: watch::Receiver<bool>) -> Vec<Call> {
        let mut calls = Vec::new();
        while !*stop.borrow() {
            self.written += 1;
            let update = json!({
                "task": self.as_written(), "revision": self.revision, "store": self.store,
            });
            let begun = Instant::now();
            let updated = self.write("update_task", &update).await;
            calls.push(Call::since(begun));
            self.revision = updated["revision"].as_u64().unwrap();
            let begun = Instant::now();
            self.is_there().await;
            calls.push(Call::since(begun));
        }
        calls
    }

    /// The task, as it was written last.
    fn as_written(&self) -> Value {
        json!({
            "task_id": self.task, "session_id": "s", "user_id": "u", "items": [], "status": "Running",
            "created_at": "2026-01-01T00:00:00Z", "last_updated": "2026-01-01T00:00:00Z",
            "written": self.written,
        })
    }

    async fn is_there(&self) {
        let load = json!({"task_id": self.task, "store": self.store});
        let found = self.read("load_task", &load).await;
        assert_eq!(found["task"], self.as_written());
        assert_eq!(found["revision"], self.revision);
    }

    /// A read may be tried again once, whatever happened to it.
    async fn read(&self, tool: &str, arguments: &Value) -> Value {
        let called = match self.session.call(tool, arguments).await {
            Ok(Ok(called)) => called,
            _ => self.again(tool, arguments).await,
        };
        succeeded(&called)
    }

    /// A write may be tried again once, where it surely did not happen.
    async fn write(&self, tool: &str, arguments: &Value) -> Value {
        let called = match self.session.call(tool, arguments).await {
            Ok(Ok(called)) => called,
            Ok(Err(StatusCode::SERVICE_UNAVAILABLE)) => self.again(tool, arguments).await,
            Ok(Err(status)) => panic!("{tool} {arguments}: {status}"),
            Err(error) if error.is_connect() => self.again(tool, arguments).await,
            Err(error) => panic!("a write may have happened: {error:?}"),
        };
        succeeded(&called)
    }

    async fn again(&self, tool: &str, arguments: &Value) -> Value {
        let called = self.session.call(tool, arguments).await.unwrap();
        called.unwrap_or_else(|status| panic!("{tool} {arguments}: {status}"))
    }
}

/// A client's stream of notices.
pub struct Listener {
    session: Session,
    /// The last event.
    seen: Option<String>,
}

impl Listener {
    /// Listens until it is told to stop, and comes back whenever its stream ends: what it was told of.
    pub async fn listen(mut self, mut stop: watch::Receiver<bool>) -> Vec<String> {
        let mut told = Vec::new();
        while !*stop.borrow() {
            let mut stream = self.stream().await;
            let mut text = Vec::new();
            loop {
                let chunk = tokio::select! {
                    chunk = stream.chunk() => chunk,
                    _ = stop.changed() => break,
                };
                match chunk {
                    Ok(Some(chunk)) => text.extend_from_slice(&chunk),
                    // It ended, or broke off.
                    Ok(None) | Err(_) => break,
                }
            }
            let text = String::from_utf8_lossy(&text);
            let events = messages(&text).into_iter();
            let events = events.map(|message| message["params"]["data"]["event"].clone());
            told.extend(events.map(|event| event.as_str().unwrap().to_owned()));
            if let Some(seen) = last_event(&text) {
                self.seen = Some(seen.to_owned());
            }
        }
        told
    }

    /// A new stream; asked for once more where nobody answers.
    async fn stream(&self) -> Response {
        let seen = self.seen.as_deref();
        let stream = match self.session.listen(seen).await {
            Ok(stream) if stream.status() != StatusCode::SERVICE_UNAVAILABLE => stream,
            _ => self.session.listen(seen).await.unwrap(),
        };
        assert_eq!(stream.status(), StatusCode::OK, "the session is lost");
        stream
    }
}

//! Sessions over HTTP, by requests that are written by hand, and how they go on in another process.

use std::time::Duration;

use mortise::serve::mcp::{Notice, NoticeEvent, SessionState};
use reqwest::header::HeaderMap;
use reqwest::{RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};

use super::client::{Called, INITIALIZE, task};
use super::server::Server;
use crate::support::Fixture;

const SESSION: &str = "mcp-session-id";

/// A client without a library.
pub struct Raw {
    http: reqwest::Client,
    url: String,
    session: String,
}

impl Raw {
    /// Begins a session.
    async fn initialize(server: &Server) -> Self {
        Self::with(server, "").begin().await
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
    fn with(server: &Server, session: &str) -> Self {
        // Done by an earlier test, or now.
        let _ = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
        Self {
            http: reqwest::Client::builder()
                .timeout(Duration::from_secs(30))
                .build()
                .unwrap(),
            url: server.url.clone(),
            session: session.to_owned(),
        }
    }

    fn post(&self, message: String) -> RequestBuilder {
        let post = self.http.post(&self.url).body(message);
        let post = post
            .header("accept", "application/json, text/event-stream")
            .header("content-type", "application/json");
        self.of_session(post)
    }

    /// Asks for the server's own messages.
    async fn listen(&self, seen: Option<&str>) -> Response {
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

    fn of_session(&self, request: RequestBuilder) -> RequestBuilder {
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
    async fn call_as(&self, id: u64, tool: &str, arguments: &str) -> Called {
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
async fn first(stream: &mut Response) -> Value {
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

fn notice(event: NoticeEvent) -> Notice {
    Notice {
        event,
        message: "a test".to_owned(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_goes_on_in_another_process() {
    let fixture = Fixture::new("memory").await;
    let old = Server::start(&fixture).await;
    let client = Raw::initialize(&old).await;
    let task = task("t-1", "r-1", r#","far":1e400"#);
    let created = client
        .call("create_task", &format!(r#"{{"task":{task}}}"#))
        .await;
    assert!(!created.failed, "{created:?}");
    let mut stream = client.listen(None).await;
    old.mcp.notify(&notice(NoticeEvent::RestartAhead)).await;
    let told = first(&mut stream).await;
    assert_eq!(told["params"]["data"]["event"], "restart-ahead");
    let sessions = serde_json::to_string(&old.mcp.sessions().export()).unwrap();
    old.mcp.sessions().end_streams().await;
    // It ends, and its last event says when to come back.
    let end = stream.text().await.unwrap();
    assert!(
        end.contains("retry: 50") || end.contains("retry:50"),
        "{end:?}"
    );

    let new = Server::start(&fixture).await;
    let sessions: Vec<SessionState> = serde_json::from_str(&sessions).unwrap();
    new.mcp
        .sessions()
        .restore(sessions, Some(notice(NoticeEvent::Restarted)));
    let client = Raw::with(&new, &client.session);
    let loaded = client.call("load_task", r#"{"task_id":"t-1"}"#).await;
    assert!(loaded.text.contains(&task), "{loaded:?}");
    // What it saw last was an event of the old process, with a number that is not there yet.
    let mut stream = client.listen(Some("5")).await;
    assert_eq!(
        first(&mut stream).await["params"]["data"]["event"],
        "restarted"
    );
    new.mcp.notify(&notice(NoticeEvent::RestartAhead)).await;
    assert_eq!(
        first(&mut stream).await["params"]["data"]["event"],
        "restart-ahead"
    );
    assert_eq!(new.mcp.sessions().export().len(), 1);

    // And it ends when the client says so.
    let delete = client.http.delete(&client.url);
    let deleted = client.of_session(delete).send().await.unwrap();
    assert!(deleted.status().is_success());
    assert_eq!(new.mcp.sessions().export(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_come_together_start_a_session_anew_once() {
    let fixture = Fixture::new("memory").await;
    let old = Server::start(&fixture).await;
    let mut sessions = Vec::new();
    for _ in 0..50 {
        sessions.push(Raw::initialize(&old).await.session);
    }
    let new = Server::start(&fixture).await;
    new.mcp
        .sessions()
        .restore(old.mcp.sessions().export(), None);
    for session in sessions {
        let client = Raw::with(&new, &session);
        let listen = async { assert_eq!(client.listen(None).await.status(), StatusCode::OK) };
        let call = async |id| assert!(!client.call_as(id, "list_stores", "{}").await.failed);
        tokio::join!(listen, call(1), call(2), call(3));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_session_is_refused() {
    let fixture = Fixture::new("memory").await;
    let server = Server::start(&fixture).await;
    let ping = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#.to_owned();
    let stranger = Raw::with(&server, "made-up");
    let answer = stranger.post(ping.clone()).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
    let client = Raw::initialize(&server).await;
    for (header, value) in [("host", "evil.example"), ("origin", "http://evil.example")] {
        let answer = client.post(ping.clone()).header(header, value);
        let status = answer.send().await.unwrap().status();
        assert_eq!(status, StatusCode::FORBIDDEN, "{header}");
    }
    let local = client
        .post(ping.clone())
        .header("origin", "http://localhost:8080");
    assert_eq!(local.send().await.unwrap().status(), StatusCode::OK);
    // Almost all of it is read: a client that is cut off while it writes may miss the answer.
    let huge = format!("{}{ping}", " ".repeat(32 << 20));
    let status = client.post(huge).send().await.unwrap().status();
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_is_asked_for() {
    let fixture = Fixture::new("memory").await;
    let server = Server::start(&fixture).await;
    let client = Raw::initialize(&server).await;
    let asked = client
        .call(
            "restart_server",
            r#"{"reason":"a new version","graceful":false}"#,
        )
        .await;
    assert_eq!(asked.structured, json!({"id":"restart-1","requested_at":7}));
    {
        let requests = server.restarts.0.lock().unwrap();
        let request = &requests[0];
        assert_eq!((request.graceful, request.preserve_state), (false, true));
        assert_eq!(
            (&*request.reason, &*request.by),
            ("a new version", "by hand")
        );
    }
    let refused = client.call("restart_server", r#"{"reason":""}"#).await;
    assert!(refused.failed);
    assert_eq!(refused.structured["kind"], "restart-refused");
    let long = format!(r#"{{"reason":"{}"}}"#, "x".repeat(2000));
    let refused = client.call("restart_server", &long).await;
    assert_eq!(refused.structured["kind"], "invalid");
    let status = client.call("restart_status", "{}").await;
    assert_eq!(
        status.structured,
        json!({"phase":"serving","waiting_for":[]})
    );
}

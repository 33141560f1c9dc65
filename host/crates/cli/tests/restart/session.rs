//! A session of MCP over HTTP, whose client keeps its id from process to process.

use reqwest::{RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};

use super::process::Site;

const SESSION_ID: &str = "mcp-session-id";

/// A session.
#[derive(Clone)]
pub struct Session {
    http: reqwest::Client,
    url: String,
    pub id: String,
}

impl Session {
    /// Begins one.
    pub async fn begin(site: &Site) -> Self {
        let mut session = Self {
            http: site.client.clone(),
            url: format!("{}/mcp", site.url),
            id: String::new(),
        };
        let initialize = json!({
            "jsonrpc": "2.0", "id": 1, "method": "initialize",
            "params": {
                "protocolVersion": "2025-11-25", "capabilities": {},
                "clientInfo": {"name": "test", "version": "1"},
            },
        });
        let begun = session.send(&initialize).await.unwrap();
        assert_eq!(begun.status(), StatusCode::OK);
        session.id = begun.headers()[SESSION_ID].to_str().unwrap().to_owned();
        begun.bytes().await.unwrap();
        let initialized = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        let told = session.send(&initialized).await.unwrap();
        assert_eq!(told.status(), StatusCode::ACCEPTED);
        session
    }

    fn request(&self, request: RequestBuilder) -> RequestBuilder {
        let request = request.header("accept", "application/json, text/event-stream");
        match &*self.id {
            "" => request,
            id => request
                .header(SESSION_ID, id)
                .header("mcp-protocol-version", "2025-11-25"),
        }
    }

    /// Sends a message.
    async fn send(&self, message: &Value) -> reqwest::Result<Response> {
        let post = self.http.post(&self.url).json(message);
        self.request(post).send().await
    }

    /// Calls a tool: the result, or the status of what is none.
    pub async fn call(
        &self,
        tool: &str,
        arguments: &Value,
    ) -> reqwest::Result<Result<Value, StatusCode>> {
        let message = json!({
            "jsonrpc": "2.0", "id": 7, "method": "tools/call",
            "params": {"name": tool, "arguments": arguments},
        });
        let answer = self.send(&message).await?;
        if answer.status() != StatusCode::OK {
            return Ok(Err(answer.status()));
        }
        let text = answer.text().await?;
        let messages = messages(&text);
        let result = messages.iter().find(|answer| answer["id"] == message["id"]);
        let result = result.unwrap_or_else(|| panic!("{tool} {arguments}: {text:?}"));
        Ok(Ok(result["result"].clone()))
    }

    /// What a call answers that succeeds.
    pub async fn ok(&self, tool: &str, arguments: &Value) -> Value {
        let called = self.call(tool, arguments).await.unwrap();
        succeeded(&called.unwrap())
    }

    /// Asks for the server's own messages, from those on that the client has not seen.
    pub async fn listen(&self, seen: Option<&str>) -> reqwest::Result<Response> {
        let mut get = self.request(self.http.get(&self.url));
        if let Some(seen) = seen {
            get = get.header("last-event-id", seen);
        }
        get.send().await
    }
}

/// What a tool answers.
pub fn succeeded(result: &Value) -> Value {
    assert_eq!(result["isError"], false, "{result}");
    result["structuredContent"].clone()
}

/// The messages of a stream, as far as it came.
pub fn messages(text: &str) -> Vec<Value> {
    let data = text.lines().filter_map(|line| line.strip_prefix("data:"));
    data.filter_map(|data| serde_json::from_str(data).ok())
        .collect()
}

/// The id of the last event in a stream.
pub fn last_event(text: &str) -> Option<&str> {
    let mut ids = text.lines().filter_map(|line| line.strip_prefix("id:"));
    ids.next_back().map(str::trim)
}

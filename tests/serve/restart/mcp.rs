//! A session of MCP over HTTP, whose client asks for the restart itself.

use std::time::Instant;

use mortise::serve::restart::{Outcome, Trigger};
use serde_json::{Value, json};

use super::process::{PATIENCE, Site};

const SESSION_ID: &str = "mcp-session-id";

/// Sends a message; the answer to it, and the session.
async fn send(site: &Site, session: Option<&str>, message: &Value) -> (Value, String) {
    let mut request = site.client.post(format!("{}/mcp", site.url));
    request = request.header("accept", "application/json, text/event-stream");
    if let Some(session) = session {
        request = request.header(SESSION_ID, session);
        request = request.header("mcp-protocol-version", "2025-11-25");
    }
    let response = request.json(message).send().await.unwrap();
    assert!(response.status().is_success(), "{response:?}");
    let session = match response.headers().get(SESSION_ID) {
        Some(id) => id.to_str().unwrap().to_owned(),
        None => session.unwrap_or_default().to_owned(),
    };
    let text = response.text().await.unwrap();
    let events = text.lines().filter_map(|line| line.strip_prefix("data:"));
    let mut answers = events.filter_map(|event| serde_json::from_str::<Value>(event).ok());
    let answer = answers.find(|answer| answer["id"] == message["id"]);
    (answer.unwrap_or_default(), session)
}

async fn call(site: &Site, session: &str, tool: &str, arguments: Value) -> Value {
    let message = json!({
        "jsonrpc": "2.0", "id": 7, "method": "tools/call",
        "params": {"name": tool, "arguments": arguments},
    });
    let (answer, _) = send(site, Some(session), &message).await;
    let result = &answer["result"];
    assert_ne!(result["isError"], true, "{answer}");
    result["structuredContent"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_goes_on_after_the_restart_that_its_client_asked_for() {
    let site = Site::new().await;
    let initialize = json!({
        "jsonrpc": "2.0", "id": 1, "method": "initialize",
        "params": {
            "protocolVersion": "2025-11-25", "capabilities": {},
            "clientInfo": {"name": "test", "version": "1"},
        },
    });
    let (_, session) = send(&site, None, &initialize).await;
    let initialized = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    send(&site, Some(&session), &initialized).await;
    let before = site.pid();
    let ticket = call(
        &site,
        &session,
        "restart_server",
        json!({"reason": "a test"}),
    )
    .await;
    assert_eq!(ticket["id"], "1");
    let begun = Instant::now();
    while site.pid() == before {
        assert!(begun.elapsed() < PATIENCE, "{}", site.log());
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let restart = site.ended_restart().await;
    assert_eq!(restart.outcome, Some(Outcome::Done), "{}", site.log());
    assert_eq!(restart.request.trigger, Trigger::Tool);
    assert_eq!(restart.request.by, "test");
    // The same session, in another process.
    let status = call(&site, &session, "restart_status", json!({})).await;
    assert_eq!(status["phase"], "serving");
    assert_eq!(status["last"]["succeeded"], true, "{status}");
    assert_eq!(status["last"]["reason"], "a test");
}

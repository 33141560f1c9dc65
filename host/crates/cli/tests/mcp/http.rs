//! Sessions over HTTP, by requests that are written by hand, and how they go on in another process.

use mortise::serve::mcp::{Notice, NoticeEvent, SessionState};
use reqwest::StatusCode;
use serde_json::json;

use crate::by_hand::task;
use crate::raw::{Raw, first};
use crate::server::Server;
use crate::support::Fixture;

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
    let client = Raw::initialize(&old.url).await;
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
    let client = Raw::with(&new.url, &client.session);
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
        sessions.push(Raw::initialize(&old.url).await.session);
    }
    let new = Server::start(&fixture).await;
    new.mcp
        .sessions()
        .restore(old.mcp.sessions().export(), None);
    for session in sessions {
        let client = Raw::with(&new.url, &session);
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
    let stranger = Raw::with(&server.url, "made-up");
    let answer = stranger.post(ping.clone()).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
    let client = Raw::initialize(&server.url).await;
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
    let client = Raw::initialize(&server.url).await;
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

//! A session of MCP over HTTP, whose client asks for the restart itself.

use std::time::Instant;

use mortise::serve::restart::{Outcome, Trigger};
use serde_json::json;

use super::process::{PATIENCE, Site};
use super::session::Session;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_goes_on_after_the_restart_that_its_client_asked_for() {
    let site = Site::new().await;
    let session = Session::begin(&site).await;
    let before = site.pid();
    let ticket = session
        .ok("restart_server", &json!({"reason": "a test"}))
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
    let status = session.ok("restart_status", &json!({})).await;
    assert_eq!(status["phase"], "serving");
    assert_eq!(status["last"]["succeeded"], true, "{status}");
    assert_eq!(status["last"]["reason"], "a test");
}

//! The log of a server as lines of JSON, each with the request that it is about.

use serde_json::Value;

use crate::by_hand::task;
use crate::process::Site;
use crate::raw::Raw;

/// The lines of a log, of which each is an object.
fn lines(site: &Site) -> Vec<Value> {
    let log = site.log();
    let lines = log.lines().map(|line| {
        let line = serde_json::from_str::<Value>(line);
        line.unwrap_or_else(|error| panic!("{error}: {log}"))
    });
    lines.collect()
}

/// The request that a line is about.
fn request(line: &Value) -> Option<&str> {
    let spans = line["spans"].as_array()?;
    let request = spans.iter().find(|span| span["name"] == "request")?;
    request["id"].as_str()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_line_of_a_request_has_its_id() {
    let site = Site::with(&["--log-format", "json", "-vv"], None).await;
    let url = format!("{}/v1/stores/disk/records/note/none", site.url);
    let asked = |id: &str| site.client.get(&url).header("x-request-id", id);
    asked("before").send().await.unwrap();
    let session = Raw::begun(&site.client, &site.url).await;
    let create = format!(r#"{{"task":{},"store":"disk"}}"#, task("t-1", "r-1", ""));
    session.call("create_task", &create).await;
    session.call("create_task", &create).await;
    site.restart().await.unwrap();
    asked("after").send().await.unwrap();

    let lines = lines(&site);
    for id in ["before", "after"] {
        let mut told = lines.iter().filter(|line| request(line) == Some(id));
        let answered = told.find(|line| line["message"] == "answered").unwrap();
        assert_eq!(answered["status"], 404);
        assert_eq!(answered["level"], "INFO");
        assert!(answered["milliseconds"].is_u64(), "{answered}");
    }
    let called = lines.iter().filter(|line| line["message"] == "called");
    let ids: Vec<_> = called.map(|line| request(line).unwrap()).collect();
    assert_eq!(ids.len(), 2);
    assert_ne!(ids[0], ids[1]);
    // What the store says of the second call, which fails.
    let of_second = lines.iter().filter(|line| request(line) == Some(ids[1]));
    let of_store = of_second.filter(|line| line["spans"].to_string().contains("create"));
    assert_eq!(of_store.count(), 1, "{}", site.log());
}

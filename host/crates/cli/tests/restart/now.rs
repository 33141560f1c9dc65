//! Calls that do not end: a graceful restart is given up, one that is not drops them, and tells each what that means.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use mortise::serve::restart::{Outcome, Restart};
use reqwest::StatusCode;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::process::{PATIENCE, Site};
use crate::support::component;

const BODY: &str = r#"{"body":"written"}"#;

/// Calls under way that do not end: a write whose body does not come, a read of a backend that never comes back, an
/// export that its client does not read.
struct Endless {
    write: TcpStream,
    read: JoinHandle<reqwest::Response>,
    export: reqwest::Response,
}

impl Endless {
    async fn begin(site: &Site) -> Self {
        let mut write = TcpStream::connect(site.address()).await.unwrap();
        let head = format!(
            "PUT /v1/stores/memory/records/task/written HTTP/1.1\r\nHost: localhost\r\nIf-None-Match: *\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            BODY.len()
        );
        write.write_all(head.as_bytes()).await.unwrap();
        let url = format!("{}/v1/stores/fault/records/task/loop", site.url);
        let reading = site.client.get(url).send();
        let read = tokio::spawn(async { reading.await.unwrap() });
        let url = format!("{}/v1/stores/disk/export", site.url);
        let export = site.client.get(url).send().await.unwrap();
        assert_eq!(export.status(), StatusCode::OK);
        Self {
            write,
            read,
            export,
        }
    }

    /// The answer to the write.
    async fn written(&mut self) -> (StatusCode, Value) {
        let mut answer = String::new();
        self.write.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (
            status,
            serde_json::from_str(body).unwrap_or_else(|_| panic!("{answer}")),
        )
    }
}

/// A server with a backend that loops, and more in a store than goes into the buffers of a connection.
async fn site() -> Site {
    let mut site = Site::prepared();
    fs::create_dir(site.path("plugins")).unwrap();
    fs::write(site.path("plugins/fault.wasm"), component("fault")).unwrap();
    site.configure(&format!("plugin-dir = \"plugins\"\n{}", site.config()));
    site.configure_more("[stores.fault]\nbackend = \"fault\"\nlimits = { deadline = \"60s\" }\n");
    site.arguments = ["--restart-drain-deadline", "1s"]
        .map(str::to_owned)
        .to_vec();
    site.hold = Some("start");
    let site = site.started().await;
    let large = "x".repeat(1 << 20);
    for number in 0..32 {
        site.create("disk", &format!("large-{number}"), &large)
            .await;
    }
    site
}

/// Restarts by the command line, while calls are under way that do not end.
async fn restart(site: &Site, arguments: &[&str]) -> (Endless, Restart) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mortise"));
    command.arg("restart").args(arguments);
    command.arg("--state-dir").arg(site.path("state"));
    let restarting = tokio::task::spawn_blocking(move || command.output().unwrap());
    site.is_held().await;
    let endless = Endless::begin(site).await;
    let begun = Instant::now();
    loop {
        let status = site.status().await;
        let waits_for = status.waits_for.unwrap_or_default();
        if waits_for == "3 calls: 1 export, 1 read, 1 write" {
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "waits for {waits_for:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    site.release();
    let ended = restarting.await.unwrap();
    let restart = site.ended_restart().await;
    let done = restart.outcome == Some(Outcome::Done);
    assert_eq!(ended.status.success(), done, "{ended:?}");
    (endless, restart)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_graceful_restart_is_given_up_and_drops_nothing() {
    let site = site().await;
    let old = site.pid();
    let (mut endless, restart) = restart(&site, &[]).await;
    let Some(Outcome::GivenUp(why)) = &restart.outcome else {
        panic!("{restart:?}")
    };
    let expected = "within 1s, 3 calls: 1 export, 1 read, 1 write did not end";
    assert!(why.contains(expected), "{why}");
    assert_eq!(site.pid(), old);
    // They go on where they were.
    endless.write.write_all(BODY.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    endless.write.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 201");
    let export = endless.export.text().await.unwrap();
    assert_eq!(export.lines().count(), 34);
    endless.read.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_that_does_not_wait_tells_each_call_what_became_of_it() {
    let site = site().await;
    let (mut endless, restart) = restart(&site, &["--now"]).await;
    assert_eq!(restart.outcome, Some(Outcome::Done), "{}", site.log());
    let (status, problem) = endless.written().await;
    assert_eq!(status, StatusCode::BAD_GATEWAY);
    assert_eq!(problem["type"], "urn:mortise:problem:ambiguous");
    let read = endless.read.await.unwrap();
    assert_eq!(read.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(read.headers().contains_key("retry-after"));
    let problem: Value = read.json().await.unwrap();
    assert_eq!(problem["type"], "urn:mortise:problem:restarting");
    // It is not taken for a whole one.
    endless.export.text().await.unwrap_err();
    // What waited is in the new process, without what was cut.
    assert_eq!(site.load("memory", "written").await.unwrap(), None);
    assert!(site.load("disk", "large-31").await.unwrap().is_some());
}

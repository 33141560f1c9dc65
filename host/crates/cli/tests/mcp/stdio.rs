//! A session over stdio: how it begins and ends, and how it goes on in another process.

use std::fs;
use std::io::{self, BufRead as _, BufReader, PipeReader, PipeWriter, Write as _};

use mortise::serve::Served;
use mortise::serve::mcp::{Mcp, Notice, NoticeEvent, Pipes, Stdio, StdioState};
use serde_json::{Value, json};
use tokio::net::unix::pipe;

use super::by_hand::{Called, Client, INITIALIZE, task};
use crate::support::Fixture;

#[test]
fn stores_of_the_configuration_are_served() {
    let folder = tempfile::tempdir().unwrap();
    let config = "default-store = \"b\"\n[stores.a]\nbackend = \"memory\"\n[stores.b]\nbackend = \"memory\"\n";
    fs::write(folder.path().join("mortise.toml"), config).unwrap();
    let mut client = Client::initialized(folder.path(), &[]);
    let listed = client.ok("list_stores", "{}");
    let stores = listed["stores"].as_array().unwrap();
    let named = stores
        .iter()
        .map(|store| (&store["name"], &store["default"]));
    let named: Vec<_> = named
        .map(|(name, default)| format!("{name} {default}"))
        .collect();
    assert_eq!(named, [r#""a" false"#, r#""b" true"#]);
    let task = task("t-1", "r-1", "");
    client.ok("create_task", &format!(r#"{{"task":{task},"store":"a"}}"#));
    client.ok("load_task", r#"{"task_id":"t-1","store":"a"}"#);
    client.fails("load_task", r#"{"task_id":"t-1"}"#, "not-found");
    assert_eq!(client.end(), Some(0));
}

#[test]
fn without_a_store_it_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let client = Client::start(folder.path(), &[]);
    assert_eq!(client.end(), Some(2));
}

#[test]
fn a_client_of_the_next_revision_falls_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut client = Client::start(folder.path(), &["--store", "memory:"]);
    let meta = r#"{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"n","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}}}"#;
    let refused = client.request("server/discover", meta);
    let supported = refused["error"]["data"]["supported"].as_array().unwrap();
    assert_eq!(supported.last().unwrap(), "2025-11-25");
    assert_eq!(client.initialize()["protocolVersion"], "2025-11-25");
}

#[test]
fn what_is_no_message_is_told_and_the_session_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut client = Client::initialized(folder.path(), &["--store", "memory:"]);
    for line in [
        r#"{"jsonrpc":"2.0"}"#,
        "[]",
        r#"{"jsonrpc":"2.0","id":{},"method":"ping"}"#,
    ] {
        client.line("no JSON at all");
        client.line(line);
        assert_eq!(client.next()["error"]["code"], -32600, "{line}");
    }
    client.ok("list_stores", "{}");
}

#[test]
fn sigterm_ends_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut client = Client::initialized(folder.path(), &["--store", "memory:"]);
    let pid = client.child().id().to_string();
    let kill = std::process::Command::new("kill").arg(pid).status();
    assert!(kill.unwrap().success());
    assert_eq!(client.child().wait().unwrap().code(), Some(0));
}

/// The two pipes of a session, as they are there before and after `exec`.
struct Ends {
    input: PipeReader,
    output: PipeWriter,
}

impl Ends {
    /// And the client's ends.
    fn new() -> (Self, PipeWriter, BufReader<PipeReader>) {
        let (input, to) = io::pipe().unwrap();
        let (from, output) = io::pipe().unwrap();
        (Self { input, output }, to, BufReader::new(from))
    }

    /// Begins a session, or goes on with one.
    fn serve(&self, mcp: &Mcp, before: Option<(StdioState, Notice)>) -> Stdio {
        let input = self.input.try_clone().unwrap();
        let output = self.output.try_clone().unwrap();
        let pipes = Pipes {
            input: Box::new(pipe::Receiver::from_owned_fd(input.into()).unwrap()),
            output: Box::new(pipe::Sender::from_owned_fd(output.into()).unwrap()),
        };
        let (state, notice) = before.unzip();
        let session = mcp.stdio(pipes, state, notice).unwrap();
        let runs = session.clone();
        tokio::spawn(async move { runs.run().await });
        session
    }
}

fn call(id: u64, tool: &str, arguments: &str) -> String {
    format!(
        "{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"tools/call\",\"params\":{{\"name\":\"{tool}\",\"arguments\":{arguments}}}}}\n"
    )
}

fn begin() -> String {
    format!(
        "{{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"initialize\",\"params\":{INITIALIZE}}}\n{}\n",
        r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#
    )
}

fn notice(event: NoticeEvent, message: &str) -> Notice {
    Notice {
        event,
        message: message.to_owned(),
    }
}

fn server(fixture: &Fixture) -> Mcp {
    Mcp::new(Served::new([fixture.store.clone()]).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_goes_on_in_the_next_process_and_loses_no_call() {
    const CALLS: u64 = 300;
    const RESTARTS: u64 = 5;
    let fixture = Fixture::new("memory").await;
    let (ends, mut to, from) = Ends::new();

    // A client that never waits for an answer, so that each restart comes in the middle of something.
    let writer = std::thread::spawn(move || {
        to.write_all(begin().as_bytes()).unwrap();
        for id in 1..=CALLS {
            let task = task(&format!("t-{id}"), "r", "");
            let create = call(id, "create_task", &format!(r#"{{"task":{task}}}"#));
            to.write_all(create.as_bytes()).unwrap();
        }
        to
    });
    let (seen, mut answers) = tokio::sync::mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in from.lines() {
            let message: Value = serde_json::from_str(&line.unwrap()).unwrap();
            if message["id"] != 0 && seen.send(message).is_err() {
                break;
            }
        }
    });

    let mut session = ends.serve(&server(&fixture), None);
    let (mut ids, mut told) = (Vec::new(), 0);
    let mut receive = async |ids: &mut Vec<u64>, told: &mut u64| {
        let message: Value = answers.recv().await.unwrap();
        if message["method"] == "notifications/message" {
            assert_eq!(message["params"]["data"]["event"], "restarted");
            *told += 1;
        } else {
            assert!(!Called::read(&message).failed, "{message}");
            ids.push(message["id"].as_u64().unwrap());
        }
    };
    for restart in 1..=RESTARTS {
        while (ids.len() as u64) < restart * CALLS / (RESTARTS + 1) {
            receive(&mut ids, &mut told).await;
        }
        session.pause().await;
        assert_eq!(session.pending(), 0);
        let state = serde_json::to_string(&session.state().await).unwrap();
        let state = serde_json::from_str(&state).unwrap();
        let done = notice(NoticeEvent::Restarted, "done");
        session = ends.serve(&server(&fixture), Some((state, done)));
    }
    while (ids.len() as u64) < CALLS {
        receive(&mut ids, &mut told).await;
    }
    ids.sort_unstable();
    assert_eq!(ids, (1..=CALLS).collect::<Vec<_>>());
    while told < RESTARTS {
        receive(&mut ids, &mut told).await;
    }
    drop(writer.join().unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_who_wants_notices_is_told() {
    let fixture = Fixture::new("memory").await;
    let mcp = server(&fixture);
    let (ends, mut to, mut from) = Ends::new();
    let session = ends.serve(&mcp, None);
    let mut next = move || {
        let mut line = String::new();
        from.read_line(&mut line).unwrap();
        serde_json::from_str::<Value>(&line).unwrap()
    };
    let level = |id: u64, level: &str| {
        format!(
            "{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"logging/setLevel\",\"params\":{{\"level\":\"{level}\"}}}}\n"
        )
    };
    to.write_all(begin().as_bytes()).unwrap();
    assert_eq!(next()["id"], 0);
    to.write_all(level(1, "error").as_bytes()).unwrap();
    assert_eq!(next()["id"], 1);
    mcp.notify(&notice(NoticeEvent::RestartAhead, "not wanted"))
        .await;
    // That nothing is wanted goes on in the next process.
    session.pause().await;
    let other = server(&fixture);
    let done = notice(NoticeEvent::Restarted, "not wanted");
    let _session = ends.serve(&other, Some((session.state().await, done)));
    to.write_all(level(2, "notice").as_bytes()).unwrap();
    assert_eq!(next()["id"], 2);
    other
        .notify(&notice(NoticeEvent::RestartFailed, "why"))
        .await;
    let told = next();
    assert_eq!(told["method"], "notifications/message");
    assert_eq!(
        told["params"],
        json!({"level":"notice","logger":"mortise","data":{"event":"restart-failed","message":"why"}})
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_that_nothing_comes_of_ends() {
    let fixture = Fixture::new("memory").await;
    let (ends, mut to, mut from) = Ends::new();
    let session = ends.serve(&server(&fixture), None);
    session.pause().await;
    to.write_all(begin().as_bytes()).unwrap();
    session.go_on();
    let mut line = String::new();
    from.read_line(&mut line).unwrap();
    assert!(line.contains("\"id\":0"), "{line}");
}

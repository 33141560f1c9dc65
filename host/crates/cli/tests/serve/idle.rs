//! Connections that say nothing, or not all: thousands of them keep nobody out, and take no more than they may.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};

use reqwest::{Client, StatusCode};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::process::Site;

/// How many.
const MANY: usize = 10_000;
/// What a server may have open beside its connections.
const OTHER_FILES: usize = 100;
/// By how much the server's memory may grow: 1,024 connections take about 20 MiB.
const MEMORY_BYTES: u64 = 64 << 20;
/// What connections begin with: nothing, half a head, and a request after which nothing comes.
const REQUESTS: &[&str] = &[
    "",
    "GET /v1/stores HTTP/1.1\r\nHost: local",
    "GET /v1/stores HTTP/1.1\r\nHost: localhost\r\n\r\n",
];
/// Nothing, and the beginning of a handshake of TLS.
const HANDSHAKES: &[&str] = &["", "\x16\x03\x01"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_idle_connections_keep_nobody_out() {
    let site = Site::prepared().started().await;
    hold_many(&site, REQUESTS, MANY, 1024).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_may_have_few_files_open_keeps_some_for_its_stores() {
    let mut site = Site::prepared();
    site.open_files = Some(128);
    hold_many(&site.started().await, REQUESTS, 1_000, 96).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_do_not_shake_hands_keep_nobody_out() {
    let mut site = Site::prepared();
    site.certify();
    site.configure_more(
        "[serve]\ntls = { certificate = \"cert.pem\", key = \"key.pem\" }\n[serve.limits]\nconnections = 64\n",
    );
    hold_many(&site.started().await, HANDSHAKES, 1_000, 64).await;
}

/// Opens many connections to a server that takes `most`; others are served meanwhile and afterwards.
async fn hold_many(site: &Site, beginnings: &[&str], many: usize, most: usize) {
    raise_open_files();
    site.create("disk", "before", "kept").await;
    let pid = site.pid();
    let (files, memory_before) = (open_files(pid), memory(pid, "VmRSS"));
    // From here on, the most that it has in memory is counted anew.
    fs::write(format!("/proc/{pid}/clear_refs"), "5").unwrap();

    let opened = AtomicBool::new(false);
    let opening = async {
        let mut idle = Vec::new();
        for beginning in beginnings.iter().cycle().take(many) {
            let mut stream = TcpStream::connect(site.address()).await.unwrap();
            // It may have had to make room by now.
            let _ = stream.write_all(beginning.as_bytes()).await;
            idle.push(stream);
        }
        opened.store(true, Ordering::Relaxed);
        idle
    };
    let calling = async {
        let mut calls = 0;
        while !opened.load(Ordering::Relaxed) || calls < 10 {
            load(site).await;
            calls += 1;
        }
    };
    let (idle, ()) = tokio::join!(opening, calling);
    assert_eq!(idle.len(), many);

    // They stay, and others come and go.
    let newcomers = newcomers(site);
    for number in 0..50 {
        for store in ["memory", "disk"] {
            let url = format!("{}/v1/stores/{store}/records/task/{number}", site.url);
            let request = newcomers.put(url).header("if-none-match", "*");
            let request = request.json(&serde_json::json!({"body": "a body"}));
            let status = request.send().await.unwrap().status();
            assert_eq!(status, StatusCode::CREATED, "{store} {number}");
        }
    }
    let more = open_files(pid).saturating_sub(files);
    assert!(more <= most + OTHER_FILES, "{more} more open files");
    let grown = memory(pid, "VmHWM").saturating_sub(memory_before);
    tell(many, more, grown);
    assert!(grown <= MEMORY_BYTES, "it grew by {grown} bytes");
    assert_eq!(site.pid(), pid);
    drop(idle);
}

/// A client that makes a connection for each request.
fn newcomers(site: &Site) -> Client {
    site.clients().pool_max_idle_per_host(0).build().unwrap()
}

/// Reads over a connection of its own; once more, where it had to make room before its request was read.
async fn load(site: &Site) {
    let newcomers = newcomers(site);
    let url = format!("{}/v1/stores/disk/records/task/before", site.url);
    let loaded = match newcomers.get(&url).send().await {
        Ok(loaded) => loaded,
        Err(_) => newcomers.get(&url).send().await.unwrap(),
    };
    assert_eq!(loaded.status(), StatusCode::OK);
}

/// Lets this process open as many files as the system lets it.
fn raise_open_files() {
    let granted = getrlimit(Resource::Nofile);
    let enough = u64::try_from(MANY).unwrap() + 1_000;
    let maximum = granted.maximum.unwrap_or(u64::MAX);
    assert!(
        maximum >= enough,
        "the test opens {enough} files, and may open {maximum}: raise the limit, by `ulimit -n {enough}`"
    );
    let raised = Rlimit {
        current: granted.maximum,
        ..granted
    };
    setrlimit(Resource::Nofile, raised).unwrap();
}

fn open_files(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()
}

/// A line of the process's status, in bytes: `VmRSS`, what it has in memory, and `VmHWM`, the most that it had.
fn memory(pid: u32, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kibibytes = line.unwrap().trim_matches(|c: char| !c.is_ascii_digit());
    kibibytes.parse::<u64>().unwrap() << 10
}

#[allow(
    clippy::print_stderr,
    reason = "figures of a test, for who asks for them"
)]
fn tell(many: usize, files: usize, memory: u64) {
    let memory = memory >> 10;
    eprintln!("{many} connections: {files} more open files, {memory} KiB more memory");
}

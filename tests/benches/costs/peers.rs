//! The stores that agent platforms use today, each in a Python process of its own.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

use mortise_test_servers::RedisServer;
use serde::{Deserialize, Serialize};

const RUN: &str = "tests/benches/peers/run.py";

/// A peer, as it names itself.
#[derive(Debug, Deserialize)]
struct Listed {
    name: String,
    backend: String,
    durable: bool,
}

/// What one process measured.
#[derive(Debug, Clone, Serialize)]
pub struct Measured {
    pub backend: String,
    pub records: u64,
    pub body_bytes: usize,
    pub callers: u64,
    #[serde(flatten)]
    pub peer: Peer,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Peer {
    pub peer: String,
    pub version: String,
    pub durable: bool,
    pub notes: String,
    pub operations: BTreeMap<String, Done>,
    /// What it has no equal of, and why.
    pub missing: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Done {
    /// Calls a second, round by round.
    pub rates: Vec<f64>,
    #[serde(default)]
    pub errors: u64,
    pub what: String,
    #[serde(default)]
    pub p50_us: Option<f64>,
    #[serde(default)]
    pub p99_us: Option<f64>,
}

/// With as many records as the smallest arena. `quick`: only what we hold ourselves to.
pub fn measure(python: &Path, quick: bool, records: u64) -> Vec<Measured> {
    let list = output(python, &["--list".to_owned()]);
    let mut peers: Vec<Listed> = serde_json::from_slice(&list).expect("a list of peers");
    peers.retain(|peer| peer.durable || !quick);
    let bodies: &[usize] = if quick {
        &[2048]
    } else {
        &[256, 2048, 64 << 10]
    };
    let seconds = if quick { "0.05" } else { "0.2" };
    let mut all = Vec::new();
    for Listed { name, backend, .. } in &peers {
        for &body_bytes in bodies {
            for callers in [1, 64] {
                eprintln!("{name}: {body_bytes} bytes, {callers} callers");
                let folder = tempfile::tempdir().unwrap();
                let server = (backend == "redis").then(|| RedisServer::start(&[]));
                let mut arguments = vec![name.clone()];
                let mut add =
                    |flag: &str, value: String| arguments.extend([flag.to_owned(), value]);
                add("--body", body_bytes.to_string());
                add("--records", records.to_string());
                add("--callers", callers.to_string());
                add("--seconds", seconds.to_owned());
                add("--rounds", "3".to_owned());
                if quick {
                    add("--operations", "create,load".to_owned());
                }
                add("--folder", folder.path().display().to_string());
                if let Some(server) = &server {
                    add("--redis", server.url());
                }
                let told = output(python, &arguments);
                let peer: Peer = serde_json::from_slice(&told).expect("what a peer tells");
                let backend = backend.clone();
                all.push(Measured {
                    backend,
                    records,
                    body_bytes,
                    callers,
                    peer,
                });
            }
        }
    }
    all
}

fn output(python: &Path, arguments: &[String]) -> Vec<u8> {
    let mut command = Command::new(python);
    // No byte code beside the sources.
    command
        .args(["-B", RUN])
        .args(arguments)
        .stderr(Stdio::inherit());
    let output = command.output().expect("the Python of --python starts");
    assert!(
        output.status.success(),
        "{command:?} failed: {}",
        output.status
    );
    output.stdout
}

//! What is kept in memory, each measured in a process of its own.

use std::fs;

use mortise::Store;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use crate::contest::Records;
use crate::ours::{Ours, host};
use crate::start::{Cost, process};

/// Stores, or instances, that a measurement opens.
const MANY: u64 = 64;

/// The records whose memory is measured.
const RECORDS: Records = Records {
    count: 100_000,
    body_bytes: 256,
};

pub fn measure() -> Vec<Cost> {
    let measured = |work: &str, what: &str| {
        let values: Vec<f64> = (0..3)
            .map(|_| {
                let output = process(work).output().unwrap();
                let text = String::from_utf8(output.stdout).unwrap();
                text.trim()
                    .parse()
                    .unwrap_or_else(|_| panic!("{work}: {text:?}"))
            })
            .collect();
        Cost::new(what, "KiB", &values)
    };
    vec![
        measured(
            "stores",
            "memory of a store (memory), with its one instance",
        ),
        measured(
            "instances",
            "memory of an instance (sqlite), with a connection and its stack",
        ),
        measured(
            "records",
            "memory of a record (memory) of 256 bytes with 3 attributes",
        ),
    ]
}

/// KiB for each.
pub fn child(work: &str) -> f64 {
    let runtime = Runtime::new().unwrap();
    match work {
        "stores" => {
            let host = host().build().unwrap();
            let open = || runtime.block_on(host.open("memory:")).unwrap();
            let first = open();
            let before = resident();
            let stores: Vec<Store> = (0..MANY).map(|_| open()).collect();
            let each = (resident() - before) / MANY as f64;
            drop((first, stores));
            each
        }
        "instances" => {
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join("tasks.db");
            let url = format!("sqlite:{}?concurrency={MANY}", file.display());
            let records = Records {
                count: 1,
                body_bytes: 256,
            };
            let ours = Ours::fill(&runtime, &url, records);
            let before = resident();
            let idle = ours.store.idle_instances();
            // Each waits for the disk while the others come.
            runtime.block_on(async {
                let mut callers = JoinSet::new();
                for number in 0..MANY * 16 {
                    let store = ours.store.clone();
                    let draft = records.draft(1 + number);
                    callers.spawn(async move { store.create(draft).await.unwrap() });
                }
                callers.join_all().await;
            });
            let more = ours.store.idle_instances() - idle;
            (resident() - before) / more as f64
        }
        _ => {
            let before = resident();
            let ours = Ours::fill(&runtime, "memory:", RECORDS);
            let each = (resident() - before) / RECORDS.count as f64;
            drop(ours);
            each
        }
    }
}

/// What this process has in memory, in KiB.
fn resident() -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap()
}

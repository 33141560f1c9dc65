//! Copies that are killed in the middle, and made again.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use mortise::transfer::{CopyOptions, copy};
use rusqlite::{Connection, OpenFlags};

use crate::support::moving::{exported, fill};
use crate::support::{Fixture, host};

/// How many records are copied: five batches.
const RECORDS: u32 = 5_000;

fn copying(folder: &Path) -> Child {
    Command::new(env!("CARGO_BIN_EXE_mortise"))
        .args(["store", "copy", "sqlite:test.db", "sqlite:copy.db"])
        .current_dir(folder)
        .env_remove("MORTISE_CONFIG")
        .env_remove("MORTISE_PLUGIN_DIR")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// How many records the file has; none, as long as it has no tables.
fn records(database: &Path) -> u32 {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
    let Ok(raw) = Connection::open_with_flags(database, flags) else {
        return 0;
    };
    let count = raw.query_row("SELECT count(*) FROM records", [], |row| row.get(0));
    count.unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_was_killed_is_completed_by_the_next() {
    let from = Fixture::new("sqlite").await;
    fill(&from.store, RECORDS).await;
    let export = exported(&from.store).await;
    let target = from.path().join("copy.db");
    let mut halfway = 0;
    for (round, signal) in ["KILL", "INT", "KILL", "INT", "KILL"].iter().enumerate() {
        let enough = RECORDS / 5 * round as u32;
        let mut child = copying(from.path());
        while records(&target) < enough && child.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        let id = child.id().to_string();
        // It may have ended by itself.
        let _ = Command::new("kill")
            .args(["-s", signal, &id])
            .stderr(Stdio::null())
            .status();
        child.wait().unwrap();
        let written = records(&target);
        assert_eq!(written % 1000, 0, "half a batch is there");
        halfway += u32::from(written > 0 && written < RECORDS);

        // What is there is whole; what is missing is written, and nothing else.
        let to = host().build().unwrap();
        let to = to
            .open(&format!("sqlite:{}", target.display()))
            .await
            .unwrap();
        let report = copy(&from.store, &to, &CopyOptions::default(), |_, _| {})
            .await
            .unwrap();
        let written = u64::from(written);
        assert_eq!(report.already_there, written);
        assert_eq!(report.written, u64::from(RECORDS) - written);
        assert!(report.verified && report.others == 0);
        assert!(exported(&to).await == export, "the exports differ");
        drop(to);
        for suffix in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(from.path().join(format!("copy.db{suffix}")));
        }
    }
    assert!(halfway > 0, "no copy was cut off in its middle");
}

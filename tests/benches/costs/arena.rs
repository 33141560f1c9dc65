//! One backend with so many records of such a size, and who competes there.

use std::fmt;
use std::fs;
use std::path::Path;
use std::time::Duration;

use tokio::runtime::Runtime;

use crate::contest::{Entrant, Operation, Records, Rounds, compete};
use crate::ours::Ours;
use crate::report::{Contest, Report};
use crate::support::redis::RedisServer;
use crate::{latency, map, redis_by_hand, rusqlite_by_hand};

/// How long a call may take: 64 batches of 6 MiB keep a server busy.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Callers at once.
const CALLERS: [u64; 2] = [1, 64];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    Memory,
    SqliteFull,
    SqliteNormal,
    Redis,
}

impl Backend {
    pub const ALL: [Self; 4] = [
        Self::Memory,
        Self::SqliteFull,
        Self::SqliteNormal,
        Self::Redis,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::SqliteFull => "sqlite FULL",
            Self::SqliteNormal => "sqlite NORMAL",
            Self::Redis => "redis",
        }
    }
}

pub struct Arena {
    pub backend: Backend,
    pub records: Records,
    /// How much is done there.
    pub depth: Depth,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// What most callers do.
    Quick,
    /// Every operation.
    Usual,
    /// The same, and percentiles with any number of callers.
    Thorough,
}

impl fmt::Display for Arena {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Records { count, body_bytes } = self.records;
        write!(
            f,
            "{}: {count} records of {body_bytes} bytes",
            self.backend.name()
        )
    }
}

impl Arena {
    /// Everything that is done there.
    pub fn measure(&self, runtime: &Runtime, rounds: Rounds, report: &mut Report) {
        let folder = tempfile::tempdir().unwrap();
        let records = self.records;
        match self.backend {
            Backend::Memory => {
                // All that a component can have, and nearly all of it for records.
                let url = "memory:?memory=4GiB&store-bytes=3900MiB";
                let ours = Ours::fill(runtime, url, records);
                let by_hand = map::Map::fill(records);
                self.contests(runtime, rounds, report, ours, by_hand);
            }
            Backend::SqliteFull => self.sqlite(runtime, rounds, report, folder.path(), "full"),
            Backend::SqliteNormal => self.sqlite(runtime, rounds, report, folder.path(), "normal"),
            Backend::Redis => {
                // One each, so that what one writes does not slow the other down.
                let servers = [(); 2].map(|()| RedisServer::start(&[]));
                let url = format!("{}?deadline={}s", servers[0].url(), PATIENCE.as_secs());
                let ours = Ours::fill(runtime, &url, records);
                let by_hand = redis_by_hand::ByHand::fill(runtime, &servers[1].url(), records);
                self.contests(runtime, rounds, report, ours, by_hand);
            }
        }
    }

    fn sqlite(
        &self,
        runtime: &Runtime,
        rounds: Rounds,
        report: &mut Report,
        folder: &Path,
        synchronous: &str,
    ) {
        let [component, by_hand] = ["component.db", "by-hand.db"].map(|name| folder.join(name));
        let url = format!("sqlite:{}?synchronous={synchronous}", component.display());
        let ours = Ours::fill(runtime, &url, self.records);
        // The same database for both. The log is worked in once nobody has it open; ours stays open.
        let checkpoint = rusqlite::Connection::open(&component).unwrap();
        checkpoint
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
            .unwrap();
        drop(checkpoint);
        fs::copy(&component, &by_hand).unwrap();
        let by_hand = rusqlite_by_hand::ByHand::open(&by_hand, synchronous, self.records);
        self.contests(runtime, rounds, report, ours, by_hand);
    }

    fn contests<C: crate::contest::Contestant>(
        &self,
        runtime: &Runtime,
        rounds: Rounds,
        report: &mut Report,
        ours: Ours,
        by_hand: C,
    ) {
        let records = self.records;
        // Before anything is written: with as many records as it says.
        latency::measure(runtime, self, &ours, report);
        let mut entrants = [
            Entrant::new("component", records, ours),
            Entrant::new("by hand", records, by_hand),
        ];
        // What only reads comes first, and what empties the store last.
        let operations = [
            Operation::Load,
            Operation::Find,
            Operation::Update,
            Operation::Create,
            Operation::Batch,
            Operation::Delete,
        ];
        let operations = match self.depth {
            Depth::Quick => &operations[..4],
            Depth::Usual | Depth::Thorough => &operations[..],
        };
        for &operation in operations {
            for callers in CALLERS {
                let rates = compete(runtime, &mut entrants, operation, callers, rounds);
                report.contests.push(Contest {
                    backend: self.backend.name(),
                    records: records.count,
                    body_bytes: records.body_bytes,
                    operation,
                    callers,
                    rates,
                });
            }
        }
    }
}

//! One backend with so many records of such a size, and who competes there.

use std::fmt;
use std::fs;

use tokio::runtime::Runtime;

use crate::contest::{Contestant, Entrant, Operation, Records, Rounds, compete};
use crate::ours::Ours;
use crate::report::{Contest, Report};
use crate::storage::{Backend, Storage};
use crate::{latency, map, redis_by_hand, rusqlite_by_hand};

/// Callers at once.
pub const CALLERS: [u64; 2] = [1, 64];

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
        let records = self.records;
        let [component, by_hand] = [(); 2].map(|()| Storage::new(self.backend));
        let ours = Ours::fill(runtime, &component.url, records);
        let sqlite = |synchronous| {
            copy_database(&component.place, &by_hand.place);
            rusqlite_by_hand::ByHand::open(by_hand.place.as_ref(), synchronous, records)
        };
        match self.backend {
            Backend::Memory => {
                let by_hand = map::Map::fill(records);
                self.contests(runtime, rounds, report, ours, by_hand);
            }
            Backend::SqliteFull => self.contests(runtime, rounds, report, ours, sqlite("full")),
            Backend::SqliteNormal => self.contests(runtime, rounds, report, ours, sqlite("normal")),
            Backend::Redis => {
                let by_hand = redis_by_hand::ByHand::fill(runtime, &by_hand.place, records);
                self.contests(runtime, rounds, report, ours, by_hand);
            }
        }
    }

    fn contests<C: Contestant>(
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

/// Makes a copy of a database that a component filled and has open.
fn copy_database(from: &str, to: &str) {
    // The log is worked in once nobody has it open; the component stays open.
    let checkpoint = rusqlite::Connection::open(from).unwrap();
    checkpoint
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        .unwrap();
    drop(checkpoint);
    fs::copy(from, to).unwrap();
}

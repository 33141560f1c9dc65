//! What storage through a component costs, side by side with the same work by hand and with the stores that
//! agent platforms use today: `cargo xtask bench`.
//!
//! Contestants take turns, round by round, so that what the machine does beside it falls on all of them. A
//! ratio within one run counts; an absolute time on a shared machine does not.
//!
//! - `contest`: contestants and rounds. `ours`, `map`, `rusqlite_by_hand`, `redis_by_hand`: who they are.
//! - `storage`, `arena`: one backend with so many records of such a size, and all operations on it.
//! - `http`: stores that a server process has, beside embedded ones.
//! - `peers`: the stores of agent platforms, in Python, each in a process of its own.
//! - `latency`, `footprint`, `start`: how calls scale, what is kept in memory, what a start costs.
//! - `report`, `bars`, `plot`: JSON and Markdown, what we hold ourselves to, the picture.

#![allow(
    clippy::print_stderr,
    reason = "it is a program that tells how far it is"
)]

mod arena;
mod bars;
mod contest;
mod footprint;
#[path = "../../../host/examples/hot_swap.rs"]
#[allow(
    dead_code,
    reason = "a program of its own, of which the swaps are used"
)]
mod hot_swap;
mod http;
mod latency;
mod machine;
mod map;
mod ours;
mod peers;
mod plot;
mod redis_by_hand;
mod report;
mod rusqlite_by_hand;
mod start;
mod storage;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use tokio::runtime::Runtime;

use crate::arena::{Arena, Depth};
use crate::contest::{Entrant, Operation, Records, Rounds};
use crate::ours::Ours;
use crate::report::Report;
use crate::storage::Backend;

/// Measures what storage through a component costs.
#[derive(Parser)]
struct Arguments {
    /// A small part of it, within a minute: what we hold ourselves to.
    #[arg(long)]
    quick: bool,
    /// Only these parts. Default: all.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Part>,
    /// Leaves out stores with more records: the largest take some minutes and some GiB to fill.
    #[arg(long, default_value_t = 1_000_000)]
    most_records: u64,
    /// Where the report goes: costs.json, costs.md, costs.svg.
    #[arg(long, default_value = "target/costs")]
    out: PathBuf,
    /// The Python that has the peers. Without it they are left out.
    #[arg(long)]
    python: Option<PathBuf>,
    /// Only does this, for a profiler to look at: `URL OPERATION CALLERS SECONDS`, as in
    /// `memory: load 1 5`.
    #[arg(long, num_args = 4, value_names = ["URL", "OPERATION", "CALLERS", "SECONDS"])]
    profile: Option<Vec<String>>,
    /// Of this process's own: what a child of it does.
    #[arg(long, hide = true)]
    child: Option<String>,
    /// What cargo says.
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    Memory,
    Sqlite,
    Redis,
    Http,
    Peers,
    Start,
}

fn main() {
    let arguments = Arguments::parse();
    if let Some(work) = &arguments.child {
        return start::child(work);
    }
    // The repository: cargo runs a bench in its package.
    std::env::set_current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).unwrap();
    let runtime = Runtime::new().unwrap();
    if let Some(words) = &arguments.profile {
        return profile(&runtime, words);
    }
    let mut report = Report::new(arguments.quick);
    // Of what goes over HTTP nothing is promised: it would only make the quick run longer.
    let wants = |part| match arguments.only.is_empty() {
        true => !(arguments.quick && part == Part::Http),
        false => arguments.only.contains(&part),
    };
    if wants(Part::Start) {
        eprintln!("start");
        report.costs = start::measure(&runtime, arguments.quick);
        report.costs.extend(footprint::measure());
    }
    for arena in arenas(arguments.quick) {
        let part = match arena.backend {
            Backend::Memory => Part::Memory,
            Backend::SqliteFull | Backend::SqliteNormal => Part::Sqlite,
            Backend::Redis => Part::Redis,
        };
        if wants(part) && arena.records.count <= arguments.most_records {
            eprintln!("{arena}");
            arena.measure(&runtime, rounds(arguments.quick), &mut report);
        }
    }
    if wants(Part::Http) {
        let records = Records {
            count: fewest_records(arguments.quick),
            body_bytes: 2048,
        };
        report.over_http = http::measure(&runtime, records, rounds(arguments.quick));
    }
    match &arguments.python {
        Some(python) if wants(Part::Peers) => {
            let records = fewest_records(arguments.quick);
            report.peers = peers::measure(python, arguments.quick, records);
        }
        None if wants(Part::Peers) => eprintln!("peers are left out: no --python"),
        _ => {}
    }
    report.write(&arguments.out);
    eprintln!("{}", arguments.out.join("costs.md").display());
}

/// One operation on 10,000 records of 2 KiB, again and again.
fn profile(runtime: &Runtime, words: &[String]) {
    let [url, operation, callers, seconds] = words else {
        unreachable!("clap counts them")
    };
    let mut all = Operation::ALL.into_iter();
    let operation = all
        .find(|known| known.name() == operation)
        .expect("an operation");
    let records = Records {
        count: 10_000,
        body_bytes: 2048,
    };
    let callers = callers.parse().expect("a number of callers");
    let length = Duration::from_secs(1);
    let rounds = Rounds {
        count: seconds.parse().expect("a number of seconds"),
        length,
    };
    let mut ours = [Entrant::new(
        "component",
        records,
        Ours::fill(runtime, url, records),
    )];
    let rates = contest::compete(runtime, &mut ours, operation, callers, rounds);
    for rate in &rates[0].rates {
        eprintln!("{:.2} us a call", 1e6 / rate);
    }
}

fn rounds(quick: bool) -> Rounds {
    match quick {
        true => Rounds {
            count: 3,
            length: Duration::from_millis(30),
        },
        false => Rounds {
            count: 5,
            length: Duration::from_millis(100),
        },
    }
}

/// Of the arena in which peers compete, too, and of stores over HTTP. Some of them take seconds to store a thousand.
fn fewest_records(quick: bool) -> u64 {
    if quick { 200 } else { 1_000 }
}

/// Bodies of three sizes in small stores; then more and more records.
fn arenas(quick: bool) -> Vec<Arena> {
    let arena = |backend, count, body_bytes| Arena {
        backend,
        records: Records { count, body_bytes },
        depth: match (count, body_bytes) {
            _ if quick => Depth::Quick,
            (10_000, 2048) => Depth::Thorough,
            _ => Depth::Usual,
        },
    };
    let fewest = fewest_records(quick);
    // NORMAL differs from FULL in its commits alone.
    let differs = |backend| backend != Backend::SqliteNormal;
    if quick {
        let backends = Backend::ALL.into_iter().filter(|backend| differs(*backend));
        return backends
            .map(|backend| arena(backend, fewest, 2048))
            .collect();
    }
    let mut arenas = Vec::new();
    for backend in Backend::ALL {
        for (count, body_bytes) in [
            (fewest, 256),
            (fewest, 2048),
            (fewest, 64 << 10),
            (10_000, 2048),
            (100_000, 2048),
            (1_000_000, 2048),
        ] {
            let body_bytes = match (backend, count) {
                // With 2 KiB they would not fit the 4 GiB that a component can have.
                (Backend::Memory, 1_000_000) => 256,
                _ => body_bytes,
            };
            if differs(backend) || count <= 10_000 {
                arenas.push(arena(backend, count, body_bytes));
            }
        }
    }
    arenas
}

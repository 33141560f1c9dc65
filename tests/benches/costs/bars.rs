//! What we hold ourselves to, and whether it was met in this run.

use std::fmt::Write as _;

use crate::contest::{Operation, median};
use crate::report::{Report, grouped, ours_of};

/// A promise: what was measured, and what it has to be.
struct Bar {
    what: String,
    wanted: String,
    found: String,
    met: bool,
}

pub fn table(report: &Report, text: &mut String) {
    let bars = bars(report);
    if bars.is_empty() {
        return;
    }
    text.push_str(
        "## What we hold ourselves to\n\n| what | wanted | found | |\n|---|---|---|---|\n",
    );
    for bar in bars {
        let verdict = if bar.met { "met" } else { "**missed**" };
        let _ = writeln!(
            text,
            "| {} | {} | {} | {verdict} |",
            bar.what, bar.wanted, bar.found
        );
    }
}

fn bars(report: &Report) -> Vec<Bar> {
    let mut bars = Vec::new();
    memory(report, &mut bars);
    for (backend, operation, callers, wanted) in [
        ("sqlite FULL", Operation::Create, 1, 0.9),
        ("sqlite FULL", Operation::Load, 1, 0.6),
        ("redis", Operation::Create, 64, 0.9),
        ("redis", Operation::Load, 64, 0.9),
    ] {
        if let Some(contest) = report.contest(backend, operation, callers)
            && let [Some(ours), Some(by_hand)] =
                ["component", "by hand"].map(|who| contest.rate(who))
        {
            let what = format!(
                "{backend}: {}, {callers} callers, against by hand",
                operation.name()
            );
            bars.push(at_least(what, ours / by_hand, wanted));
        }
    }
    if let [Some(many), Some(one)] =
        [64, 1].map(|callers| report.contest("sqlite FULL", Operation::Create, callers))
        && let (Some(ours), Some(by_hand)) = (many.rate("component"), one.rate("by hand"))
    {
        let what = "sqlite FULL: create, 64 callers, against one commit a create by hand";
        bars.push(at_least(what.to_owned(), ours / by_hand, 15.0));
    }
    scale(report, &mut bars);
    peers(report, &mut bars);
    for (part, most) in [
        ("process start to first stored task", 30.0),
        ("from the cache", 1.0),
        ("start an instance", 20.0),
        ("find out that a database needs no migration", 5.0),
    ] {
        for cost in report.costs.iter().filter(|cost| match part {
            "from the cache" => cost.what.starts_with("load "),
            _ => cost.what.starts_with(part),
        }) {
            bars.push(Bar {
                what: cost.what.clone(),
                wanted: format!("under {most} {}", cost.unit),
                found: format!("{:.2} {}", cost.median, cost.unit),
                met: cost.median < most,
            });
        }
    }
    bars
}

fn at_least(what: String, found: f64, wanted: f64) -> Bar {
    Bar {
        what,
        wanted: format!("{wanted} ×"),
        found: format!("{found:.2} ×"),
        met: found >= wanted,
    }
}

fn memory(report: &Report, bars: &mut Vec<Bar>) {
    let Some(contest) = report.contest("memory", Operation::Load, 1) else {
        return;
    };
    let [Some(ours), Some(by_hand)] = ["component", "by hand"].map(|who| contest.rate(who)) else {
        return;
    };
    bars.push(Bar {
        what: "memory: load, 1 caller".to_owned(),
        wanted: "400,000 a second".to_owned(),
        found: grouped(ours),
        met: ours >= 400_000.0,
    });
    let more = 1e6 / ours - 1e6 / by_hand;
    bars.push(Bar {
        what: "memory: load, 1 caller, over a hash map by hand".to_owned(),
        wanted: "2.5 µs at most".to_owned(),
        found: format!("{more:.2} µs"),
        met: more <= 2.5,
    });
}

/// How much longer the slowest loads take when there are a hundred times as many records.
fn scale(report: &Report, bars: &mut Vec<Bar>) {
    let p99 = |records| {
        let found = report.latencies.iter().find(|latency| {
            latency.backend == "sqlite FULL"
                && latency.operation == Operation::Load
                && (latency.records, latency.callers) == (records, 1)
        });
        found.map(|latency| latency.percentiles.p99)
    };
    if let (Some(few), Some(many)) = (p99(10_000), p99(1_000_000)) {
        bars.push(Bar {
            what: "sqlite: p99 of a load, 1,000,000 records against 10,000".to_owned(),
            wanted: "under 2 ×".to_owned(),
            found: format!("{:.2} ×", many / few),
            met: many / few < 2.0,
        });
    }
}

fn peers(report: &Report, bars: &mut Vec<Bar>) {
    let all = report
        .peers
        .iter()
        .filter(|measured| measured.body_bytes == 2048);
    for measured in all {
        for (operation, reads) in [(Operation::Create, false), (Operation::Load, true)] {
            let wanted = match (measured.peer.peer.as_str(), measured.callers, reads) {
                ("langgraph-sqlite", 1, _) => 1.0,
                ("a2a-sqlite", 1, false) => 5.0,
                ("a2a-sqlite", 1, true) => 50.0,
                (_, 64, _) if measured.peer.durable => 10.0,
                _ => continue,
            };
            let Some(theirs) = measured.peer.operations.get(operation.name()) else {
                continue;
            };
            let ours = report.contest(ours_of(&measured.backend), operation, measured.callers);
            let Some(ours) = ours.and_then(|contest| contest.rate("component")) else {
                continue;
            };
            let (peer, callers) = (&measured.peer.peer, measured.callers);
            let what = format!(
                "sqlite FULL against {peer}: {}, {callers} callers",
                operation.name()
            );
            bars.push(at_least(what, ours / median(&theirs.rates), wanted));
        }
    }
}

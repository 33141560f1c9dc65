//! What was measured, as JSON and as Markdown.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde::Serialize;

use crate::contest::{Operation, Rates};
use crate::http::OverHttp;
use crate::latency::Latency;
use crate::machine::Machine;
use crate::peers::Measured;
use crate::start::Cost;
use crate::{bars, plot};

/// All of one run.
#[derive(Debug, Serialize)]
pub struct Report {
    pub date: String,
    pub quick: bool,
    pub machine: Machine,
    pub costs: Vec<Cost>,
    pub contests: Vec<Contest>,
    pub latencies: Vec<Latency>,
    pub over_http: Vec<OverHttp>,
    pub peers: Vec<Measured>,
}

/// One operation in one arena.
#[derive(Debug, Serialize)]
pub struct Contest {
    pub backend: &'static str,
    pub records: u64,
    pub body_bytes: usize,
    pub operation: Operation,
    pub callers: u64,
    pub rates: Vec<Rates>,
}

impl Contest {
    /// Calls a second, in the median.
    pub fn rate(&self, contestant: &str) -> Option<f64> {
        let mut rates = self.rates.iter();
        rates
            .find(|rates| rates.contestant == contestant)
            .map(Rates::median)
    }
}

impl Report {
    pub fn new(quick: bool) -> Self {
        Self {
            date: jiff::Zoned::now().strftime("%Y-%m-%d").to_string(),
            quick,
            machine: Machine::look(),
            costs: Vec::new(),
            contests: Vec::new(),
            latencies: Vec::new(),
            over_http: Vec::new(),
            peers: Vec::new(),
        }
    }

    pub fn write(&self, folder: &Path) {
        fs::create_dir_all(folder).unwrap();
        let write = |name: &str, text: String| fs::write(folder.join(name), text).unwrap();
        write(
            "costs.json",
            serde_json::to_string_pretty(self).unwrap() + "\n",
        );
        write("costs.md", self.markdown());
        write("costs.svg", plot::draw(self));
    }

    /// One operation, of so many callers, on records of 2 KiB: of the arena with the fewest records.
    pub fn contest(&self, backend: &str, operation: Operation, callers: u64) -> Option<&Contest> {
        self.contests.iter().find(|contest| {
            contest.backend == backend
                && contest.body_bytes == 2048
                && contest.operation == operation
                && contest.callers == callers
        })
    }

    fn markdown(&self) -> String {
        let mut text = String::new();
        let Machine {
            cpu,
            cores,
            memory_gib,
            kernel,
            rustc,
            sync_us,
        } = &self.machine;
        let _ = write!(
            text,
            "# What it costs\n\nMeasured by `cargo xtask bench{}` in one run on {}: {cores} cores of {cpu}, \
             {memory_gib} GiB, Linux {kernel}, Rust {rustc}; writing 4 KiB and waiting for the disk took \
             {sync_us:.0} µs. Contestants took turns; rates are medians of their rounds, behind them the \
             slowest and the quickest. Ratios count; absolute rates differ from machine to machine.\n\n\
             \"By hand\" is the same work in plain Rust, without a component: a hash map with an index; rusqlite on \
             the same tables, one commit a create; redis-rs with the same scripts and keys. Each record has three \
             attributes. Profiles of what is missed are in [Where the time goes](where-the-time-goes.md).\n\n",
            if self.quick { " --quick" } else { "" },
            self.date,
        );
        bars::table(self, &mut text);
        self.contest_tables(&mut text);
        self.http_table(&mut text);
        self.peer_table(&mut text);
        self.latency_table(&mut text);
        self.cost_table(&mut text);
        text
    }

    fn contest_tables(&self, text: &mut String) {
        let mut backend = "";
        for contest in &self.contests {
            if contest.backend != backend {
                backend = contest.backend;
                let _ = write!(
                    text,
                    "\n## {backend}: calls a second\n\n\
                     | records | body | operation | callers | component | by hand | ratio |\n\
                     |---|---|---|---|---|---|---|\n"
                );
            }
            let [ours, by_hand] = [0, 1].map(|index| &contest.rates[index]);
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} | {} | {} | {:.2} |",
                grouped(contest.records as f64),
                bytes(contest.body_bytes),
                contest.operation.name(),
                contest.callers,
                range(&ours.rates),
                range(&by_hand.rates),
                ours.median() / by_hand.median(),
            );
        }
    }

    fn http_table(&self, text: &mut String) {
        if self.over_http.is_empty() {
            return;
        }
        text.push_str(
            "\n## Over HTTP: calls a second, and how long one call takes, in µs\n\n\
             A process of its own, on the same machine, serves the store; its callers are one process that keeps its \
             connections open. Embedded is the same store in the callers' process.\n\n\
             | backend | records | body | operation | callers | embedded | over HTTP | ratio | embedded: p50 | p99 \
             | over HTTP: p50 | p99 |\n|---|---|---|---|---|---|---|---|---|---|---|---|\n",
        );
        for OverHttp {
            contest,
            percentiles: [here, there],
        } in &self.over_http
        {
            let [embedded, over_http] = [0, 1].map(|index| &contest.rates[index]);
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} | {} | {} | {} | {:.2} | {:.1} | {:.1} | {:.1} | {:.1} |",
                contest.backend,
                grouped(contest.records as f64),
                bytes(contest.body_bytes),
                contest.operation.name(),
                contest.callers,
                range(&embedded.rates),
                range(&over_http.rates),
                over_http.median() / embedded.median(),
                here.p50,
                here.p99,
                there.p50,
                there.p99,
            );
        }
    }

    fn peer_table(&self, text: &mut String) {
        let Some(first) = self.peers.first() else {
            return;
        };
        let _ = write!(
            text,
            "\n## Stores of agent platforms: calls a second\n\nEach in a Python process of its own, with {} \
             records; the last column is ours through the component, on the backend of the same kind, in the same \
             run.\n\n| store | body | operation | callers | theirs | ours | ratio |\n|---|---|---|---|---|---|---|\n",
            grouped(first.records as f64),
        );
        for measured in &self.peers {
            for operation in Operation::ALL {
                let Some(done) = measured.peer.operations.get(operation.name()) else {
                    continue;
                };
                let ours = self.contests.iter().find(|contest| {
                    contest.backend == ours_of(&measured.backend)
                        && (contest.records, contest.body_bytes)
                            == (measured.records, measured.body_bytes)
                        && (contest.operation, contest.callers) == (operation, measured.callers)
                });
                let ours = ours.and_then(|contest| contest.rate("component"));
                let theirs = crate::contest::median(&done.rates);
                let [rate, ratio] = match ours {
                    Some(ours) => [grouped(ours), format!("{:.1}", ours / theirs)],
                    None => ["", ""].map(str::to_owned),
                };
                let _ = writeln!(
                    text,
                    "| {} {} | {} | {} | {} | {} | {rate} | {ratio} |",
                    measured.peer.peer,
                    measured.peer.version,
                    bytes(measured.body_bytes),
                    operation.name(),
                    measured.callers,
                    range(&done.rates),
                );
            }
        }
        text.push('\n');
        let mut told: Vec<&str> = Vec::new();
        for measured in &self.peers {
            let peer = &measured.peer;
            if told.contains(&peer.peer.as_str()) {
                continue;
            }
            told.push(&peer.peer);
            let _ = write!(text, "- **{}**: {}", peer.peer, peer.notes);
            for (operation, why) in &peer.missing {
                let _ = write!(text, "; no {operation}: {why}");
            }
            text.push_str(".\n");
        }
    }

    fn latency_table(&self, text: &mut String) {
        if self.latencies.is_empty() {
            return;
        }
        text.push_str(
            "\n## How long one call takes, in µs\n\n\
             | backend | records | body | operation | callers | p50 | p99 | p99.9 |\n|---|---|---|---|---|---|---|---|\n",
        );
        for latency in &self.latencies {
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} | {} | {:.1} | {:.1} | {:.1} |",
                latency.backend,
                grouped(latency.records as f64),
                bytes(latency.body_bytes),
                latency.operation.name(),
                latency.callers,
                latency.percentiles.p50,
                latency.percentiles.p99,
                latency.percentiles.p999,
            );
        }
    }

    fn cost_table(&self, text: &mut String) {
        if self.costs.is_empty() {
            return;
        }
        text.push_str("\n## Starts, swaps and memory\n\n| what | median | least | most |\n|---|---|---|---|\n");
        for Cost {
            what,
            unit,
            median,
            least,
            most,
        } in &self.costs
        {
            let unit = unit.replace("us", "µs");
            let _ = writeln!(
                text,
                "| {what} | {median:.2} {unit} | {least:.2} | {most:.2} |"
            );
        }
    }
}

/// The backend that a peer is held against: the one that promises the same.
pub fn ours_of(kind: &str) -> &'static str {
    match kind {
        "memory" => "memory",
        "redis" => "redis",
        _ => "sqlite FULL",
    }
}

/// `12,345 (11,000–13,000)`
fn range(rates: &[f64]) -> String {
    let least = rates.iter().copied().fold(f64::INFINITY, f64::min);
    let most = rates.iter().copied().fold(0.0, f64::max);
    format!(
        "{} ({}–{})",
        grouped(crate::contest::median(rates)),
        grouped(least),
        grouped(most)
    )
}

/// `12,345`; three digits where there are fewer.
pub fn grouped(number: f64) -> String {
    if number < 100.0 {
        return format!("{number:.1}");
    }
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn bytes(count: usize) -> String {
    match count {
        0..1024 => format!("{count} B"),
        _ => format!("{} KiB", count >> 10),
    }
}

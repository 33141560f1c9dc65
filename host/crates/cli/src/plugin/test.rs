//! `mortise plugin test`

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;

use anyhow::Context as _;
use mortise::Host;
use mortise::conformance::{self, Clause, ClauseResult, Kit, Report, Verdict};
use serde::Serialize;

use super::inspect::read;
use super::replay::replay;
use crate::exit_code::CliError;
use crate::output::{Format, Output, Table};
use crate::progress::Progress;

/// Checks whether a component keeps the contract
///
/// What it imports is granted on a storage that is made for the run, and gone after it; for the
/// capability redis there has to be a redis-server on this machine. Every promise of the contract is one
/// clause. Where one fails, the exit code is 10.
///
/// In json one {"clause":…,"sentence":…,"verdict":"held"|"failed"|"skipped","found":…,"milliseconds":N}
/// a line, then {"component":…,"digest":"sha256:…","backend":…,"version":…,"held":N,"failed":N,
/// "skipped":N}; with --list one {"clause":…,"sentence":…} a line; with --replay one
/// {"call":…,"answer":…,"expected":…,"agrees":BOOL} a line.
#[derive(Debug, clap::Args)]
pub struct Test {
    /// A file, which has a dot or a slash in its name, or the name of a backend
    #[arg(value_name = "FILE|NAME", required_unless_present = "list")]
    component: Option<String>,
    /// An option of the backend; may be given several times
    #[arg(long = "option", value_name = "NAME=VALUE", value_parser = option)]
    options: Vec<(String, String)>,
    /// Checks only the clauses whose id begins so; may be given several times
    #[arg(long, value_name = "ID-PREFIX")]
    only: Vec<String>,
    /// Begins the random clauses with this number: the same one makes the same choices
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Compares so many random sequences of calls with the contract's model; default: 64
    #[arg(long, value_name = "N")]
    cases: Option<u32>,
    /// Checks no clause, but runs a script that model/random told: each call, its answer, and what the
    /// model says
    #[arg(long, value_name = "SCRIPT", conflicts_with_all = ["only", "seed", "cases", "junit"])]
    replay: Option<PathBuf>,
    /// Writes a report as JUnit XML too
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Lists the clauses, and checks none
    #[arg(long, conflicts_with_all = ["component", "options", "only", "seed", "cases", "replay", "junit"])]
    list: bool,
}

fn option(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("expected NAME=VALUE".to_owned()),
    }
}

#[derive(Serialize)]
struct Listed {
    clause: &'static str,
    sentence: &'static str,
}

#[derive(Serialize)]
struct Checked<'a> {
    clause: &'static str,
    sentence: &'static str,
    verdict: &'static str,
    /// What was found, or why the clause does not apply.
    found: Option<&'a str>,
    milliseconds: u128,
}

#[derive(Serialize)]
struct Summary<'a> {
    component: &'a str,
    digest: String,
    backend: &'a str,
    version: &'a str,
    #[serde(flatten)]
    count: Count,
}

#[derive(Default, Serialize)]
struct Count {
    held: usize,
    failed: usize,
    skipped: usize,
}

impl Test {
    pub async fn run(self, host: &Host, output: &mut Output) -> anyhow::Result<()> {
        let Some(name) = &self.component else {
            return list(output);
        };
        let (_, _, component) = read(host, name)?;
        let mut kit = Kit::new().seed(self.seed);
        for prefix in &self.only {
            kit = kit.only(prefix);
        }
        for (name, value) in &self.options {
            kit = kit.option(name, value);
        }
        if let Some(cases) = self.cases {
            kit = kit.cases(cases);
        }
        if let Some(script) = &self.replay {
            return replay(&kit, &component, script, output).await;
        }
        if let Ok(program) = std::env::current_exe() {
            let arguments = ["plugin", "test-worker"].map(OsString::from);
            kit = kit.worker([program.into_os_string()].into_iter().chain(arguments));
        }
        let mut progress = Progress::new(output, "clauses", false);
        let mut ended = 0;
        let told = |_: &ClauseResult| {
            ended += 1;
            progress.set(ended);
        };
        let report = kit.run(&component, told).await?;
        drop(progress);
        if let Some(file) = &self.junit {
            let written = fs::write(file, report.to_junit()?);
            written.with_context(|| format!("{} cannot be written", file.display()))?;
        }
        let count = Count::of(&report);
        match output.format() {
            Format::Json => json(name, &report, output)?,
            Format::Text => text(name, &report, output)?,
        }
        // What was found stands before what follows from it.
        output.arrive()?;
        if report.conforms() {
            return Ok(());
        }
        let all = report.results.len();
        let message = format!("{name} breaks {} of {all} promises", count.failed);
        let hint = "mend the backend, and check one clause with --only ID; wit/ has the contract";
        Err(CliError::backend_fault(message, hint).into())
    }
}

fn list(output: &mut Output) -> anyhow::Result<()> {
    let mut clauses = conformance::clauses().map(|clause| Listed {
        clause: clause.id(),
        sentence: clause.sentence(),
    });
    match output.format() {
        Format::Json => clauses.try_for_each(|clause| output.json(&clause)),
        Format::Text => {
            let rows = clauses.map(|row| [row.clause.to_owned(), row.sentence.to_owned()]);
            Table::new(["clause", "promise"]).rows(output, rows.collect())
        }
    }
}

fn json(name: &str, report: &Report, output: &mut Output) -> anyhow::Result<()> {
    for result in &report.results {
        output.json(&Checked {
            clause: result.clause.id(),
            sentence: result.clause.sentence(),
            verdict: verdict(&result.verdict),
            found: found(&result.verdict),
            milliseconds: result.duration.as_millis(),
        })?;
    }
    output.json(&Summary {
        component: name,
        digest: format!("sha256:{}", report.digest),
        backend: &report.description.name,
        version: &report.description.version,
        count: Count::of(report),
    })
}

fn text(name: &str, report: &Report, output: &mut Output) -> anyhow::Result<()> {
    let mut table = Table::new(["group", "clause", "verdict"]);
    let mut group = "";
    let rows = report.results.iter().map(|result| {
        // A group is named once.
        let first = std::mem::replace(&mut group, result.clause.group()) != group;
        let verdict = match &result.verdict {
            Verdict::Skipped(why) => format!("skipped: {why}"),
            other => verdict(other).to_owned(),
        };
        let named = if first { group } else { "" };
        [named.to_owned(), short(result.clause).to_owned(), verdict]
    });
    table.rows(output, rows.collect())?;
    let mut earlier: Vec<(&Clause, &str)> = Vec::new();
    for (clause, found) in report.failures() {
        output.text("")?;
        output.text(clause.id())?;
        output.text(format_args!("  promise  {}", clause.sentence()))?;
        match earlier.iter().find(|(_, known)| *known == found) {
            Some((same, _)) => output.text(format_args!("  found    the same as {}", same.id()))?,
            None => {
                let mut lines = found.lines();
                let first = lines.next().unwrap_or_default();
                output.text(format_args!("  found    {first}"))?;
                // A script, to be copied as it stands.
                lines.try_for_each(|line| output.text(line))?;
            }
        }
        let next = format_args!("mortise plugin test {name} --only {} -vv", clause.id());
        output.text(format_args!("  again    {next}"))?;
        earlier.push((clause, found));
    }
    let count = Count::of(report);
    let all = report.results.len();
    let clauses = if all == 1 { "clause" } else { "clauses" };
    output.text("")?;
    output.text(format_args!(
        "{all} {clauses}: {} held, {} failed, {} skipped as not applicable",
        count.held, count.failed, count.skipped
    ))
}

/// The second half of the id.
fn short(clause: &Clause) -> &'static str {
    clause
        .id()
        .split_once('/')
        .map_or(clause.id(), |(_, what)| what)
}

fn verdict(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Held => "held",
        Verdict::Failed(_) => "failed",
        Verdict::Skipped(_) => "skipped",
    }
}

fn found(verdict: &Verdict) -> Option<&str> {
    match verdict {
        Verdict::Held => None,
        Verdict::Failed(found) => Some(found),
        Verdict::Skipped(why) => Some(why),
    }
}

impl Count {
    fn of(report: &Report) -> Self {
        let mut count = Self::default();
        for result in &report.results {
            match result.verdict {
                Verdict::Held => count.held += 1,
                Verdict::Failed(_) => count.failed += 1,
                Verdict::Skipped(_) => count.skipped += 1,
            }
        }
        count
    }
}

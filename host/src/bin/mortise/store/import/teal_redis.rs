//! `mortise store import --from teal-redis`

use mortise::transfer::{TealExpiry, TealOptions, TealReport, import_teal_redis};
use mortise::{RedisGrant, Store};

use crate::exit_code::CliError;
use crate::output::{Format, Output, Table};
use crate::progress::Progress;

/// How it is done.
pub struct TealRedis {
    pub dry_run: bool,
    pub expiry: TealExpiry,
}

impl TealRedis {
    pub async fn run(self, url: &str, store: &Store, output: &mut Output) -> anyhow::Result<()> {
        let grant = RedisGrant::from_url(url)?;
        let mut options = TealOptions::default();
        options.dry_run = self.dry_run;
        options.expiry = self.expiry;
        let mut progress = Progress::new(output, "tasks", false);
        let report = import_teal_redis(store, &grant, &options, |tasks| progress.set(tasks)).await;
        drop(progress);
        let report = report?;
        match output.format() {
            Format::Text => print(&report, output)?,
            Format::Json => output.json(&report)?,
        }
        output.arrive()?;
        match report.skipped.len() {
            0 => Ok(()),
            skipped => {
                let message = match self.dry_run {
                    true => format!("not everything would be imported: {skipped} skipped"),
                    false => format!("not everything was imported: {skipped} skipped"),
                };
                let hint = "they are as they were in the source; mend them there and import again";
                Err(CliError::invalid(message, hint).into())
            }
        }
    }
}

fn print(report: &TealReport, output: &mut Output) -> anyhow::Result<()> {
    let [created, skipped] = match report.dry_run {
        true => ["would be created", "would be skipped"],
        false => ["created", "skipped"],
    };
    let mut counts = vec![
        ("tasks read".to_owned(), report.tasks),
        (format!("  {created}"), report.created),
        ("  unchanged".to_owned(), report.unchanged),
        (format!("  {skipped}"), report.skipped_tasks),
    ];
    let statuses = report.statuses.iter();
    counts.extend(statuses.map(|(status, tasks)| (format!("  status {status}"), *tasks)));
    counts.extend([
        ("  with a time to live".to_owned(), report.tasks_with_expiry),
        ("  without one".to_owned(), report.tasks_without_expiry),
        ("items".to_owned(), report.items),
        ("request ids".to_owned(), report.request_ids),
        ("  pairs with a task".to_owned(), report.request_pairs),
        ("index keys".to_owned(), report.index_keys),
        ("  members".to_owned(), report.index_members),
        (
            "  stale members".to_owned(),
            report.stale_members.len() as u64,
        ),
    ]);
    let counts = counts.into_iter();
    let counts = counts.map(|(what, count)| [what, count.to_string()]);
    Table::new(["what", "count"]).rows(output, counts.collect())?;
    let stale = report.stale_members.iter();
    let stale = stale.map(|stale| [stale.request_id.clone(), stale.task_id.clone()]);
    table(["stale index of request", "names task"], output, stale)?;
    let skipped = report.skipped.iter();
    let skipped = skipped.map(|skipped| [skipped.key.clone(), skipped.reason.clone()]);
    table(["skipped key", "reason"], output, skipped)
}

/// A table with a line before it, if it has rows.
fn table(
    headings: [&'static str; 2],
    output: &mut Output,
    rows: impl Iterator<Item = [String; 2]>,
) -> anyhow::Result<()> {
    let rows: Vec<_> = rows.collect();
    if rows.is_empty() {
        return Ok(());
    }
    output.text("")?;
    Table::new(headings).rows(output, rows)
}

//! `mortise store import --from teal-redis`

use mortise::transfer::{TealExpiry, TealOptions, TealReport, import_teal_redis};
use mortise::{RedisGrant, Store};

use super::{end, table};
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
        end(report.skipped.len(), self.dry_run, output)
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

//! `mortise migrate apply`

use mortise::Migrator;
use mortise::migrate::{Applied, Plan};
use serde::Serialize;

use super::plan;
use crate::output::{Format, Output};

/// Migrates the database, after a backup of it
///
/// All or nothing: where it fails, or is killed, the database is as it was. Waits for another process that
/// migrates it. Prints what `migrate plan` does, and where the backup is; in json:
/// {"applied":{"plan":{…},"backup":…,"duration_ms":N}}, or {"applied":null} where there was nothing to do.
/// With --dry-run it prints the SQL, one statement after another, and writes nothing at all; in json what
/// `migrate plan` does.
#[derive(Debug, clap::Args)]
pub struct Apply {
    /// Prints the SQL, and runs none of it
    #[arg(long)]
    dry_run: bool,
    /// What may be lost, by the name that `migrate plan` gives it; to be repeated
    #[arg(long, value_name = "NAME", conflicts_with = "dry_run")]
    confirm: Vec<String>,
}

impl Apply {
    pub async fn run(self, migrator: &Migrator, output: &mut Output) -> anyhow::Result<()> {
        #[derive(Serialize)]
        struct Answer {
            applied: Option<Applied>,
        }
        if self.dry_run {
            let plan = migrator.plan().await?;
            return match output.format() {
                Format::Json => output.json(&plan),
                Format::Text => script(&plan, output),
            };
        }
        let applied = migrator.apply(&self.confirm).await?;
        if output.format() == Format::Json {
            return output.json(&Answer { applied });
        }
        let Some(applied) = applied else {
            return output.text("nothing to do");
        };
        plan::print(&applied.plan, output)?;
        let (from, to, ms) = (applied.plan.from, applied.plan.to, applied.duration_ms);
        match &applied.backup {
            None => output.text(format_args!("created at version {to}")),
            Some(backup) => {
                output.text(format_args!(
                    "migrated from version {from} to {to} in {ms} ms"
                ))?;
                output.text(format_args!("backup: {}", backup.display()))
            }
        }
    }
}

/// The SQL, as a script; what is no SQL is a comment.
fn script(plan: &Plan, output: &mut Output) -> anyhow::Result<()> {
    for change in &plan.changes {
        output.text(format_args!("-- {}: {}", change.what, change.why))?;
        for sql in &change.sql {
            let mut lines = sql.trim_end().lines().peekable();
            while let Some(line) = lines.next() {
                let end = if lines.peek().is_none() { ";" } else { "" };
                output.text(format_args!("{line}{end}"))?;
            }
        }
    }
    if plan.is_empty() {
        output.text("-- nothing to do")?;
    }
    for loss in &plan.losses {
        output.text(format_args!("-- loses {}: {}", loss.name, loss.reason))?;
    }
    let mut obstacles = plan.obstacles.iter();
    obstacles.try_for_each(|what| output.text(format_args!("-- in the way: {what}")))
}

//! `mortise migrate history`

use mortise::Migrator;
use mortise::migrate::HistoryEntry;

use crate::output::{Format, Output, Table, time};

/// Lists every migration of the database, the first one first
///
/// Writes nothing. In json a line each: {"id":N,"from":N,"to":N,"schema_digest":…,"statements":[…],
/// "started_at":MS,"duration_ms":N,"outcome":"applied|rolled-back","backup":…,"host_version":…}.
#[derive(Debug, clap::Args)]
pub struct History {}

impl History {
    pub async fn run(self, migrator: &Migrator, output: &mut Output) -> anyhow::Result<()> {
        let history = migrator.history().await?;
        match output.format() {
            Format::Json => history.iter().try_for_each(|entry| output.json(entry)),
            Format::Text => {
                let mut table = Table::new([
                    "id",
                    "started",
                    "version",
                    "statements",
                    "outcome",
                    "backup",
                ]);
                table.rows(output, history.iter().map(row).collect())
            }
        }
    }
}

fn row(entry: &HistoryEntry) -> [String; 6] {
    [
        entry.id.to_string(),
        time(entry.started_at),
        format!("{} to {}", entry.from, entry.to),
        entry.statements.len().to_string(),
        entry.outcome.as_str().to_owned(),
        entry.backup.clone().unwrap_or_default(),
    ]
}

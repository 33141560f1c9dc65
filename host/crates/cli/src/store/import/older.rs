//! `mortise store import --from …`, of files and folders.

use std::path::PathBuf;

use mortise::Store;
use mortise::transfer::{
    ImportOptions, ImportReport, ImportedCollection, import_orchestrator_db,
    import_orchestrator_files, import_teal_jsonl, import_tinydb,
};

use super::{end, table};
use crate::input::Input;
use crate::output::{Format, Output, Table};
use crate::progress::Progress;

/// What is imported.
pub enum Source {
    TealJsonl(Input),
    TinyDb(PathBuf),
    OrchestratorDb(PathBuf),
    OrchestratorFiles(PathBuf),
}

impl Source {
    pub async fn import(
        self,
        options: &ImportOptions,
        store: &Store,
        output: &mut Output,
    ) -> anyhow::Result<()> {
        let mut progress = Progress::new(output, "records", false);
        let told = |records| progress.set(records);
        let report = match self {
            Self::TealJsonl(input) => {
                import_teal_jsonl(store, input.open(output)?, options, told).await
            }
            Self::TinyDb(file) => import_tinydb(store, &file, options, told).await,
            Self::OrchestratorDb(file) => import_orchestrator_db(store, &file, options, told).await,
            Self::OrchestratorFiles(folder) => {
                import_orchestrator_files(store, &folder, options, told).await
            }
        };
        drop(progress);
        let report = report?;
        match output.format() {
            Format::Text => print(&report, output)?,
            Format::Json => output.json(&report)?,
        }
        end(report.skipped.len(), report.dry_run, output)
    }
}

fn print(report: &ImportReport, output: &mut Output) -> anyhow::Result<()> {
    let collections = report.collections.iter();
    let counts = collections.flat_map(|(name, counts)| rows(name, counts, report.dry_run));
    let counts = counts.map(|(what, count)| [what, count.to_string()]);
    Table::new(["what", "count"]).rows(output, counts.collect())?;
    let skipped = report.skipped.iter();
    let skipped = skipped.map(|skipped| [skipped.source.clone(), skipped.reason.clone()]);
    table(["skipped", "reason"], output, skipped)
}

/// The counts of one collection.
fn rows(name: &str, counted: &ImportedCollection, dry_run: bool) -> Vec<(String, u64)> {
    let [created, skipped] = match dry_run {
        true => ["would be created", "would be skipped"],
        false => ["created", "skipped"],
    };
    let mut rows = vec![
        (format!("{name} read"), counted.read),
        (format!("  {created}"), counted.created),
        ("  unchanged".to_owned(), counted.unchanged),
        (format!("  {skipped}"), counted.skipped),
    ];
    let plain = |name: &str| name.replace('_', " ");
    for (field, values) in &counted.by {
        let values = values.iter();
        rows.extend(values.map(|(value, count)| (format!("  {} {value}", plain(field)), *count)));
    }
    let others = counted.counts.iter();
    rows.extend(others.map(|(what, count)| (format!("  {}", plain(what)), *count)));
    rows
}

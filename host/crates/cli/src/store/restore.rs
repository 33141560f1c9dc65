//! `mortise store restore`

use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;

use anyhow::Context as _;
use mortise::Store;
use mortise::transfer::{self, RestoreOptions};

use crate::compression::decoded;
use crate::exit_code::CliError;
use crate::output::Output;
use crate::progress::Progress;

/// Writes the records of a backup to a store that is empty, and makes sure that they are there
///
/// All of the file is checked before the first record is written, so that a damaged one changes nothing.
/// What is compressed is known by its content. In the end the store is read back and compared. Its next
/// revision lies above every one of the backup.
///
/// Prints the records and the backup's revision; in json:
/// {"records":N,"revision":N,"sha256":…,"expired":N}, the sha256 of the lines before the trailer.
#[derive(Debug, clap::Args)]
pub struct Restore {
    /// The file
    file: PathBuf,
    /// Adds to what the store has, and leaves alone what is there already and the same
    #[arg(long)]
    merge: bool,
}

impl Restore {
    pub async fn run(self, store: &Store, output: &mut Output) -> anyhow::Result<()> {
        let place = self.file.display();
        let there = std::fs::metadata(&self.file);
        if self.file.as_os_str() == "-" || there.is_ok_and(|there| !there.is_file()) {
            let message = format!("{place} is no file that can be read twice");
            let hint = "name a file; `mortise store import` reads a pipe";
            return Err(CliError::usage(message, hint).into());
        }
        File::open(&self.file).with_context(|| format!("{place} cannot be opened"))?;
        let open = || decoded(Box::new(BufReader::new(File::open(&self.file)?)));
        let mut options = RestoreOptions::default();
        options.merge = self.merge;
        let mut progress = Progress::new(output, "records", false);
        let told = |phase, records| progress.set_in(phase, records);
        let report = transfer::restore(store, open, &options, told).await;
        drop(progress);
        let report = report?;
        let (records, revision, expired) = (report.records, report.revision, report.expired);
        let mut text = format!("restored {records} records of revision {revision}; verified");
        if expired > 0 {
            text += &format!(", {expired} have expired since");
        }
        output.line(text, &report)
    }
}

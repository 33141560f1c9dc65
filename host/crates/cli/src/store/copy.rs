//! `mortise store copy`

use anyhow::Context as _;
use mortise::transfer::{self, CopyOptions, CopyReport};

use crate::context::Context;
use crate::exit_code::CliError;
use crate::output::Output;
use crate::progress::Progress;

/// Writes every record of a store to another one, and makes sure that it is there
///
/// The records keep their revisions, times, attributes and expiry. What the other store has already, with
/// the same stamp, is left alone: a copy that was interrupted is made again by the same command. Nothing
/// there is written over; another record that is in the way ends the copy. In the end what was written is
/// read back, and compared by number and digest with what was read.
///
/// Prints what was read, written, there already, and how many records the other store has beside, and on
/// stderr if others wrote meanwhile, so that the copy may not be as of one instant. In json one object:
/// {"dry_run":…,"records":N,"written":N,"already_there":N,"others":N,"sha256":…,"writes_meanwhile":N,"verified":…,"expired":N}
#[derive(Debug, clap::Args)]
pub struct Copy {
    /// The store that is read: a URL, or a name in the configuration
    #[arg(value_name = "FROM")]
    from: String,
    /// The store that is written to
    #[arg(value_name = "TO")]
    to: String,
    /// Reads both stores and prints what would be, but writes nothing
    #[arg(long)]
    dry_run: bool,
    /// Does not read back what was written
    #[arg(long, conflicts_with = "dry_run")]
    no_verify: bool,
}

impl Copy {
    pub async fn run(self, context: &Context, output: &mut Output) -> anyhow::Result<()> {
        let same = || {
            let message = "FROM and TO are the same store";
            CliError::usage(
                message,
                "name two: another file, another server, or another namespace",
            )
        };
        if self.from == self.to {
            return Err(same().into());
        }
        let from = context
            .open(&self.from)
            .await
            .context("FROM does not open")?;
        let to = context.open(&self.to).await.context("TO does not open")?;
        if from.shares_storage_with(&to) {
            return Err(same().into());
        }
        let mut options = CopyOptions::default();
        options.dry_run = self.dry_run;
        options.verify = !self.no_verify;
        let mut progress = Progress::of_store(output, &from, false).await;
        let told = |phase, records| progress.set_in(phase, records);
        let report = transfer::copy(&from, &to, &options, told).await;
        drop(progress);
        let report = report?;
        output.line(text(&report), &report)?;
        if let Some(writes @ 1..) = report.writes_meanwhile {
            output.note(format_args!(
                "warning: others made {writes} writes to {} meanwhile: the copy may not be as of one instant",
                self.from
            ));
        }
        Ok(())
    }
}

fn text(report: &CopyReport) -> String {
    let CopyReport {
        records,
        written,
        already_there,
        others,
        expired,
        ..
    } = report;
    let done = match report.dry_run {
        true => format!("would copy {written} of {records} records"),
        false => format!("copied {written} of {records} records"),
    };
    let mut text = format!("{done}, {already_there} were there already");
    if *others > 0 {
        text += &format!(", {others} others are there");
    }
    if *expired > 0 {
        text += &format!(", {expired} expired meanwhile");
    }
    if report.verified {
        text += "; verified";
    }
    format!("{text}, sha256 {}", report.sha256)
}

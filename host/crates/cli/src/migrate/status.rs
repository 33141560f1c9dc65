//! `mortise migrate status`

use mortise::Migrator;
use mortise::migrate::Status as State;

use crate::output::{Format, Output, time};

/// Tells whether the database has the schema that the backend wants
///
/// Ends with exit code 0 also where it has to be migrated, and says so. Names what the database has and the
/// backend does not know; it stays. Writes nothing. In json:
/// {"file":…,"exists":…,"needed":…,"plan":{…},"last":{…}}; the plan is that of `migrate plan`, last is a line
/// of `migrate history`, or null.
#[derive(Debug, clap::Args)]
pub struct Status {}

impl Status {
    pub async fn run(self, migrator: &Migrator, output: &mut Output) -> anyhow::Result<()> {
        let state = migrator.status().await?;
        match output.format() {
            Format::Json => output.json(&state),
            Format::Text => print(&state, output),
        }
    }
}

fn print(state: &State, output: &mut Output) -> anyhow::Result<()> {
    let (file, plan) = (state.file.display(), &state.plan);
    if plan.creates {
        return output.text(format_args!(
            "empty: {file}, its tables are made when the store is opened"
        ));
    }
    if !state.needed {
        output.text(format_args!("up to date: {file}, version {}", plan.to))?;
    } else {
        let (from, to, changes) = (plan.from, plan.to, plan.changes.len());
        output.text(format_args!(
            "MIGRATION NEEDED: {file}, version {from}, wanted {to}, {changes} changes; see `mortise migrate plan`"
        ))?;
    }
    for what in &plan.obstacles {
        output.text(format_args!("in the way: {what}"))?;
    }
    for loss in &plan.losses {
        output.text(format_args!("would lose {}: {}", loss.name, loss.reason))?;
    }
    for what in &plan.kept {
        output.text(format_args!("kept, and not known to the backend: {what}"))?;
    }
    match &state.last {
        None => Ok(()),
        Some(last) => {
            let (at, outcome) = (time(last.started_at), last.outcome.as_str());
            output.text(format_args!(
                "last: {outcome} at {at}, version {} to {}",
                last.from, last.to
            ))
        }
    }
}

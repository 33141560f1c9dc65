//! `mortise migrate plan`

use mortise::Migrator;
use mortise::migrate::Plan as Planned;

use crate::output::{Format, Output};

/// Shows what a migration would do, why, and what it would lose
///
/// A line for each change; then what would be lost, each with the name by which `migrate apply --confirm`
/// takes it, what is in the way, and what is kept. Writes nothing. In json:
/// {"from":N,"to":N,"creates":…,"changes":[{"what":…,"why":…,"sql":[…]}],"losses":[{"name":…,"reason":…}],
/// "obstacles":[…],"kept":[…]}.
#[derive(Debug, clap::Args)]
pub struct Plan {}

impl Plan {
    pub async fn run(self, migrator: &Migrator, output: &mut Output) -> anyhow::Result<()> {
        let plan = migrator.plan().await?;
        match output.format() {
            Format::Json => output.json(&plan),
            Format::Text => print(&plan, output),
        }
    }
}

/// What a plan does, in lines.
pub fn print(plan: &Planned, output: &mut Output) -> anyhow::Result<()> {
    if plan.is_empty() {
        output.text(format_args!("nothing to do: version {}", plan.to))?;
    }
    for change in &plan.changes {
        output.text(format_args!("{}: {}", change.what, change.why))?;
    }
    for loss in &plan.losses {
        output.text(format_args!("loses {}: {}", loss.name, loss.reason))?;
    }
    for what in &plan.obstacles {
        output.text(format_args!("in the way: {what}"))?;
    }
    plan.kept
        .iter()
        .try_for_each(|what| output.text(format_args!("keeps {what}")))
}

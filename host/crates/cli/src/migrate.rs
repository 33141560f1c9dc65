//! `mortise migrate`: the schema of a store's database.

mod apply;
mod history;
mod plan;
mod rollback;
mod status;

use clap::Subcommand;

use crate::context::Context;
use crate::output::Output;

#[derive(Debug, Subcommand)]
pub enum MigrateCommand {
    Status(status::Status),
    Plan(plan::Plan),
    Apply(apply::Apply),
    Rollback(rollback::Rollback),
    History(history::History),
}

impl MigrateCommand {
    pub async fn run(self, context: &Context, output: &mut Output) -> anyhow::Result<()> {
        let migrator = context.migration().await?;
        match self {
            Self::Status(command) => command.run(&migrator, output).await,
            Self::Plan(command) => command.run(&migrator, output).await,
            Self::Apply(command) => command.run(&migrator, output).await,
            Self::Rollback(command) => command.run(&migrator, output).await,
            Self::History(command) => command.run(&migrator, output).await,
        }
    }
}

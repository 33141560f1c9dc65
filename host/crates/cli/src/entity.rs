//! `mortise entity`: entities of any kind.

mod delete;
mod get;
mod list;
mod reset;
mod save;

use clap::Subcommand;

use crate::context::Context;
use crate::output::Output;

#[derive(Debug, Subcommand)]
pub enum EntityCommand {
    Save(save::Save),
    Get(get::Get),
    List(list::List),
    Delete(delete::Delete),
    Reset(reset::Reset),
}

impl EntityCommand {
    pub async fn run(self, context: &Context, output: &mut Output) -> anyhow::Result<()> {
        let entities = context.entities().await?;
        match self {
            Self::Save(command) => command.run(&entities, output).await,
            Self::Get(command) => command.run(&entities, output).await,
            Self::List(command) => command.run(&entities, output).await,
            Self::Delete(command) => command.run(&entities, output).await,
            Self::Reset(command) => command.run(&entities, output).await,
        }
    }
}

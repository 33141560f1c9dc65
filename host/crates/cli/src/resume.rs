//! `mortise resume`: what was running before a restart.

mod claim;
mod list;

use clap::Subcommand;

use crate::context::Context;
use crate::output::Output;

#[derive(Debug, Subcommand)]
pub enum ResumeCommand {
    List(list::List),
    Claim(claim::Claim),
}

impl ResumeCommand {
    pub async fn run(self, context: &Context, output: &mut Output) -> anyhow::Result<()> {
        match self {
            Self::List(command) => command.run(context, output).await,
            Self::Claim(command) => command.run(context, output).await,
        }
    }
}

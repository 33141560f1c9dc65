//! `mortise plugin`: backends, what they ask for, whether they keep the contract, and new ones.

mod inspect;
mod list;
mod new;
mod test;

use clap::Subcommand;

use crate::context::Context;
use crate::output::Output;

#[derive(Debug, Subcommand)]
pub enum PluginCommand {
    List(list::List),
    Inspect(inspect::Inspect),
    New(new::New),
    Test(test::Test),
}

impl PluginCommand {
    pub async fn run(self, context: &Context, output: &mut Output) -> anyhow::Result<()> {
        match self {
            Self::List(command) => command.run(context.host(), output),
            Self::Inspect(command) => command.run(context.host(), output),
            Self::New(command) => command.run(output),
            Self::Test(command) => command.run(context.host(), output).await,
        }
    }
}

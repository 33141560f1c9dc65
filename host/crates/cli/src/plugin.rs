//! `mortise plugin`: backends, what they ask for, whether they keep the contract, and new ones.

mod inspect;
mod list;
mod new;
mod replay;
mod test;
mod worker;

use clap::Subcommand;

use crate::context::Context;
use crate::output::Output;

#[derive(Debug, Subcommand)]
pub enum PluginCommand {
    List(list::List),
    Inspect(inspect::Inspect),
    Test(test::Test),
    New(new::New),
    #[command(hide = true)]
    TestWorker(worker::TestWorker),
}

impl PluginCommand {
    pub async fn run(self, context: &Context, output: &mut Output) -> anyhow::Result<()> {
        match self {
            Self::List(command) => command.run(context.host(), output),
            Self::Inspect(command) => command.run(context.host(), output),
            Self::Test(command) => command.run(context.host(), output).await,
            Self::New(command) => command.run(output),
            Self::TestWorker(command) => command.run(output).await,
        }
    }
}

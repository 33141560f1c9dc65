//! `mortise plugin`: backends, what they ask for, and new ones.

mod inspect;
mod list;
mod new;
mod worker;

use clap::Subcommand;

use crate::context::Context;
use crate::output::Output;

#[derive(Debug, Subcommand)]
pub enum PluginCommand {
    List(list::List),
    Inspect(inspect::Inspect),
    #[command(hide = true)]
    TestWorker(worker::TestWorker),
    New(new::New),
}

impl PluginCommand {
    pub async fn run(self, context: &Context, output: &mut Output) -> anyhow::Result<()> {
        match self {
            Self::List(command) => command.run(context.host(), output),
            Self::Inspect(command) => command.run(context.host(), output),
            Self::TestWorker(command) => command.run().await,
            Self::New(command) => command.run(output),
        }
    }
}

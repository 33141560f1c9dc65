//! `mortise lifecycle`: the states of entities.

mod event;
mod history;
mod machine;
mod show;

pub use self::machine::MachineOption;

use clap::Subcommand;

use crate::context::Context;
use crate::output::Output;

#[derive(Debug, Subcommand)]
pub enum LifecycleCommand {
    Show(show::Show),
    History(history::History),
    Event(event::Event),
}

impl LifecycleCommand {
    pub async fn run(self, context: &Context, output: &mut Output) -> anyhow::Result<()> {
        match self {
            Self::Show(command) => command.run(context, output).await,
            Self::History(command) => command.run(context, output).await,
            Self::Event(command) => command.run(context, output).await,
        }
    }
}

//! `mortise store`: whole stores.

mod clear;
mod export;
mod health;
mod import;
mod quarantine;
mod stats;

use clap::Subcommand;

use crate::context::Context;
use crate::output::Output;

#[derive(Debug, Subcommand)]
pub enum StoreCommand {
    Health(health::Health),
    Stats(stats::Stats),
    Clear(clear::Clear),
    Export(export::Export),
    Import(import::Import),
    #[command(subcommand)]
    Quarantine(quarantine::QuarantineCommand),
}

impl StoreCommand {
    pub async fn run(self, context: &Context, output: &mut Output) -> anyhow::Result<()> {
        let store = context.store().await?;
        match self {
            Self::Health(command) => command.run(context.host(), &store, output).await,
            Self::Stats(command) => command.run(&store, output).await,
            Self::Clear(command) => command.run(&store, output).await,
            Self::Export(command) => command.run(&store, output).await,
            Self::Import(command) => command.run(&store, output).await,
            Self::Quarantine(command) => command.run(&store.quarantine(), output).await,
        }
    }
}

//! `mortise store`: whole stores.

mod backup;
mod clear;
mod copy;
mod export;
mod health;
mod import;
mod quarantine;
mod restore;
mod stats;

use clap::Subcommand;

use crate::context::Context;
use crate::output::Output;

#[derive(Debug, Subcommand)]
pub enum StoreCommand {
    Health(health::Health),
    Stats(stats::Stats),
    Clear(clear::Clear),
    Copy(copy::Copy),
    Backup(backup::Backup),
    Restore(restore::Restore),
    Export(export::Export),
    Import(import::Import),
    #[command(subcommand)]
    Quarantine(quarantine::QuarantineCommand),
}

impl StoreCommand {
    pub async fn run(self, context: &Context, output: &mut Output) -> anyhow::Result<()> {
        match self {
            // It names its stores itself.
            Self::Copy(command) => command.run(context, output).await,
            Self::Health(command) => {
                let store = context.store().await?;
                command.run(context.host(), &store, output).await
            }
            Self::Stats(command) => command.run(&context.store().await?, output).await,
            Self::Clear(command) => command.run(&context.store().await?, output).await,
            Self::Backup(command) => command.run(&context.store().await?, output).await,
            Self::Restore(command) => command.run(&context.store().await?, output).await,
            Self::Export(command) => command.run(&context.store().await?, output).await,
            Self::Import(command) => command.run(&context.store().await?, output).await,
            Self::Quarantine(command) => {
                let quarantine = context.store().await?.quarantine();
                command.run(&quarantine, output).await
            }
        }
    }
}

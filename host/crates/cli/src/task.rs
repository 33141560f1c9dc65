//! `mortise task`: agent tasks, one at a time or by the stream.

mod create;
mod delete;
mod find;
mod get;
mod list;
mod pages;
mod update;

use clap::Subcommand;

use crate::context::Context;
use crate::output::Output;

#[derive(Debug, Subcommand)]
pub enum TaskCommand {
    Create(create::Create),
    Get(get::Get),
    Update(update::Update),
    Delete(delete::Delete),
    List(list::List),
    Find(find::Find),
}

impl TaskCommand {
    pub async fn run(self, context: &Context, output: &mut Output) -> anyhow::Result<()> {
        let tasks = context.tasks().await?;
        match self {
            Self::Create(command) => command.run(&tasks, output).await,
            Self::Get(command) => command.run(&tasks, output).await,
            Self::Update(command) => command.run(&tasks, output).await,
            Self::Delete(command) => command.run(&tasks, output).await,
            Self::List(command) => command.run(&tasks, output).await,
            Self::Find(command) => command.run(&tasks, output).await,
        }
    }
}

//! `mortise task delete`

use mortise::Revision;
use mortise::agent::TaskStore;
use serde::Serialize;

use crate::output::Output;

/// Deletes a task
///
/// With --revision only while it is unchanged since. Prints the id; in json: {"deleted":ID}.
#[derive(Debug, clap::Args)]
pub struct Delete {
    /// The task's id
    #[arg(value_name = "ID")]
    task_id: String,
    /// The revision that the task was read at
    #[arg(long, value_name = "N")]
    revision: Option<Revision>,
}

impl Delete {
    pub async fn run(self, tasks: &TaskStore, output: &mut Output) -> anyhow::Result<()> {
        #[derive(Serialize)]
        struct Deleted<'a> {
            deleted: &'a str,
        }
        tasks.delete(&self.task_id, self.revision).await?;
        output.line(
            format_args!("deleted {}", self.task_id),
            &Deleted {
                deleted: &self.task_id,
            },
        )
    }
}

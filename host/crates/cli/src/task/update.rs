//! `mortise task update`

use mortise::Revision;
use mortise::agent::{TaskStore, Versioned};

use super::pages::written;
use crate::input::Input;
use crate::output::Output;

/// Replaces a task by the one given
///
/// With --revision only while it is unchanged since that revision, as `task get` shows it; otherwise
/// it ends with exit code 5. Without, whatever is there is replaced, and so what others wrote meanwhile.
/// When the task expires stays as it is.
///
/// Prints the id and the new revision; in json: {"task_id":ID,"revision":N}.
#[derive(Debug, clap::Args)]
pub struct Update {
    /// The file with the task as JSON, or - for stdin
    #[arg(default_value = "-")]
    file: Input,
    /// The revision that the task was read at
    #[arg(long, value_name = "N")]
    revision: Option<Revision>,
}

impl Update {
    pub async fn run(self, tasks: &TaskStore, output: &mut Output) -> anyhow::Result<()> {
        let task = self.file.task(output)?;
        let (task_id, revision) = match self.revision {
            None => {
                let revision = tasks.replace(&task).await?;
                (task.task_id, revision)
            }
            Some(revision) => {
                let there = tasks.load(&task.task_id).await?;
                let mut task = Versioned::new(task, revision);
                // If it is another record by then, the revision is another one too.
                task.expires_at = there.and_then(|there| there.expires_at);
                tasks.update(&mut task).await?;
                (task.value.task_id, task.revision)
            }
        };
        written(output, &task_id, revision)
    }
}

//! `mortise task create`

use anyhow::Context as _;
use mortise::agent::{AgentTask, TaskStore};
use mortise::{ErrorKind, Revision};

use super::pages::written;
use crate::input::Input;
use crate::output::Output;
use crate::progress::Progress;

/// How many tasks are created at once: one transaction each time.
const BATCH: u32 = 64;

/// Creates tasks
///
/// Takes one task as JSON, or any number one after another (JSON lines), and creates them in this order.
/// It stops at the first that fails: those before it are created, those after it are not.
///
/// Prints the id and the revision of each; in json: {"task_id":ID,"revision":N}.
#[derive(Debug, clap::Args)]
pub struct Create {
    /// The file, or - for stdin
    #[arg(default_value = "-")]
    file: Input,
}

impl Create {
    pub async fn run(self, tasks: &TaskStore, output: &mut Output) -> anyhow::Result<()> {
        let most = tasks.store().describe().max_batch.clamp(1, BATCH) as usize;
        let mut stream = self.file.values(output)?;
        let mut creation = Creation {
            tasks,
            from: &self.file,
            created: 0,
            progress: Progress::new(output, "tasks", true),
        };
        let mut damage = None;
        let mut ended = false;
        while !ended {
            let mut batch = Vec::with_capacity(most);
            while batch.len() < most && !ended {
                match stream.next() {
                    Some(Ok(task)) => batch.push(task),
                    end => {
                        damage = end.and_then(Result::err);
                        ended = true;
                    }
                }
            }
            creation.create(&batch, output).await?;
        }
        match damage {
            None => Ok(()),
            Some(error) => Err(error).with_context(|| {
                let at = creation.created + 1;
                format!(
                    "task {at} of {} is not understood; {} were created",
                    self.file,
                    at - 1
                )
            }),
        }
    }
}

/// A stream of tasks, under way.
struct Creation<'a> {
    tasks: &'a TaskStore,
    from: &'a Input,
    created: u64,
    progress: Progress,
}

impl Creation<'_> {
    async fn create(&mut self, batch: &[AgentTask], output: &mut Output) -> anyhow::Result<()> {
        if batch.len() < 2 {
            return self.create_each(batch, output).await;
        }
        match self.tasks.create_all(batch).await {
            Ok(revisions) => {
                for (task, revision) in batch.iter().zip(revisions) {
                    self.tell(task, revision, output)?;
                }
                output.arrive()
            }
            // One of them is at fault, or together they are too much. Nothing of the batch was created:
            // one at a time, those before the one at fault are.
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::AlreadyExists | ErrorKind::Invalid | ErrorKind::TooLarge
                ) =>
            {
                self.create_each(batch, output).await
            }
            Err(error) => Err(error).with_context(|| {
                let (first, last) = (self.created + 1, self.created + batch.len() as u64);
                format!(
                    "tasks {first} to {last} of {} failed together; {} were created before",
                    self.from, self.created
                )
            }),
        }
    }

    async fn create_each(
        &mut self,
        tasks: &[AgentTask],
        output: &mut Output,
    ) -> anyhow::Result<()> {
        for task in tasks {
            let revision = self.tasks.create(task).await.with_context(|| {
                let (at, id) = (self.created + 1, &task.task_id);
                format!(
                    "task {at} of {} ({id}) failed; {} were created before",
                    self.from, self.created
                )
            })?;
            self.tell(task, revision, output)?;
        }
        output.arrive()
    }

    fn tell(
        &mut self,
        task: &AgentTask,
        revision: Revision,
        output: &mut Output,
    ) -> anyhow::Result<()> {
        self.created += 1;
        self.progress.set(self.created);
        written(output, &task.task_id, revision)
    }
}

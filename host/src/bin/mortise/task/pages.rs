//! How tasks are printed.

use mortise::Revision;
use mortise::agent::{AgentTask, TaskQuery, TaskStore, Versioned};
use mortise::limits::MAX_PAGE_RECORDS;
use serde::Serialize;

use crate::output::{Format, Output, Table};

/// A task in json.
#[derive(Serialize)]
pub struct Shown<'a> {
    revision: Revision,
    task: &'a AgentTask,
}

impl<'a> Shown<'a> {
    pub fn new(task: &'a Versioned<AgentTask>) -> Self {
        Self {
            revision: task.revision,
            task: &task.value,
        }
    }
}

/// Tells that a task was written.
pub fn written(output: &mut Output, task_id: &str, revision: Revision) -> anyhow::Result<()> {
    #[derive(Serialize)]
    struct Written<'a> {
        task_id: &'a str,
        revision: Revision,
    }
    output.line(
        format_args!("{task_id}  revision {revision}"),
        &Written { task_id, revision },
    )
}

/// Prints the tasks that match, at most `most`, page by page; then, where there are more, how to go on.
pub async fn print_pages(
    tasks: &TaskStore,
    mut query: TaskQuery,
    most: Option<u64>,
    output: &mut Output,
) -> anyhow::Result<()> {
    let mut table = Table::new([
        "task",
        "status",
        "revision",
        "items",
        "last updated",
        "session",
    ]);
    let mut left = most.unwrap_or(u64::MAX);
    while left > 0 {
        query.limit = u32::try_from(left)
            .unwrap_or(u32::MAX)
            .min(MAX_PAGE_RECORDS);
        let page = tasks.list(query.clone()).await?;
        left = left.saturating_sub(page.tasks.len() as u64);
        match output.format() {
            Format::Text => table.rows(output, page.tasks.iter().map(row).collect())?,
            Format::Json => {
                page.tasks
                    .iter()
                    .try_for_each(|task| output.json(&Shown::new(task)))?;
            }
        }
        query.after = page.next;
        if query.after.is_none() || output.is_closed() {
            return Ok(());
        }
    }
    output.more(query.after.as_deref())
}

fn row(task: &Versioned<AgentTask>) -> [String; 6] {
    [
        task.task_id.clone(),
        task.status.to_string(),
        task.revision.to_string(),
        task.items.len().to_string(),
        task.last_updated.clone(),
        task.session_id.clone(),
    ]
}

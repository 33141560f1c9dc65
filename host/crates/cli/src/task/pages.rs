//! How tasks are printed.

use mortise::Revision;
use mortise::agent::{AgentTask, TaskQuery, TaskStore, Versioned};
use serde::Serialize;

use crate::output::{Format, Output, Table};
use crate::paging::Pages;

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

/// Prints the tasks that match, page by page; then, where there are more, how to go on.
pub async fn print_pages(
    tasks: &TaskStore,
    mut query: TaskQuery,
    mut pages: Pages,
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
    while let Some(limit) = pages.limit(output) {
        query.limit = limit;
        query.after = pages.after.take();
        let page = tasks.list(query.clone()).await?;
        match output.format() {
            Format::Text => table.rows(output, page.tasks.iter().map(row).collect())?,
            Format::Json => {
                page.tasks
                    .iter()
                    .try_for_each(|task| output.json(&Shown::new(task)))?;
            }
        }
        pages.turn(page.tasks.len(), page.next)?;
    }
    pages.end(output)
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

//! `mortise task get`

use mortise::agent::{AgentTask, AgentTaskItem, TaskStore, Versioned};
use serde::Deserialize;

use super::pages::Shown;
use crate::exit_code::CliError;
use crate::output::{Format, Output};

/// Shows a task
///
/// In json: {"revision":N,"task":{…}}, the task as it was written.
#[derive(Debug, clap::Args)]
pub struct Get {
    /// The task's id
    #[arg(value_name = "ID")]
    task_id: String,
}

impl Get {
    pub async fn run(self, tasks: &TaskStore, output: &mut Output) -> anyhow::Result<()> {
        match tasks.load(&self.task_id).await? {
            Some(task) => show(&task, output),
            None => Err(CliError::not_found(format!("there is no task {}", self.task_id)).into()),
        }
    }
}

/// Prints a whole task.
pub fn show(task: &Versioned<AgentTask>, output: &mut Output) -> anyhow::Result<()> {
    if output.format() == Format::Json {
        return output.json(&Shown::new(task));
    }
    let (revision, items) = (task.revision.to_string(), task.items.len().to_string());
    for (name, value) in [
        ("task", task.task_id.as_str()),
        ("revision", &revision),
        ("status", task.status.as_str()),
        ("session", &task.session_id),
        ("user", &task.user_id),
        ("created", &task.created_at),
        ("last updated", &task.last_updated),
        ("items", &items),
    ] {
        output.text(format_args!("{name:<12}  {value}"))?;
    }
    task.items
        .iter()
        .try_for_each(|item| show_item(item, output))
}

fn show_item(item: &AgentTaskItem, output: &mut Output) -> anyhow::Result<()> {
    /// What most items are.
    #[derive(Deserialize)]
    struct Content {
        content_type: String,
        content: String,
    }
    output.text("")?;
    output.text(format_args!(
        "{}  {}  request {}",
        item.updated, item.role, item.request_id
    ))?;
    let text = match item.item.parse::<Content>() {
        Ok(Content {
            content_type,
            content,
        }) if content_type == "text" => content,
        _ => item.item.as_str().to_owned(),
    };
    text.lines()
        .try_for_each(|line| output.text(format_args!("  {line}")))?;
    match &item.pending_tool_calls {
        Some(calls) if calls.as_str() != "null" => {
            output.text(format_args!("  pending tool calls: {}", calls.as_str()))
        }
        _ => Ok(()),
    }
}

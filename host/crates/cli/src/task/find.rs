//! `mortise task find`

use mortise::agent::{TaskQuery, TaskStore};

use super::get::show;
use super::pages::print_pages;
use crate::exit_code::CliError;
use crate::output::Output;
use crate::paging::Pages;

/// Finds the task that a request belongs to
///
/// Shows the oldest one, as `task get` does; where there is none, it ends with exit code 3. With --all
/// it lists every one, oldest first, as `task list` does.
#[derive(Debug, clap::Args)]
pub struct Find {
    /// The request's id
    #[arg(long, value_name = "ID")]
    request_id: String,
    /// Every task, not only the oldest
    #[arg(long)]
    all: bool,
}

impl Find {
    pub async fn run(self, tasks: &TaskStore, output: &mut Output) -> anyhow::Result<()> {
        if self.all {
            let query = TaskQuery {
                request_id: Some(self.request_id),
                ..TaskQuery::default()
            };
            return print_pages(tasks, query, Pages::all(), output).await;
        }
        match tasks.load_by_request_id(&self.request_id).await? {
            Some(task) => show(&task, output),
            None => {
                let message = format!("there is no task with a request {}", self.request_id);
                Err(CliError::not_found(message).into())
            }
        }
    }
}

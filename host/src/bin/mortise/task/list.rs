//! `mortise task list`

use mortise::agent::{TaskQuery, TaskStatus, TaskStore};

use super::pages::print_pages;
use crate::output::Output;

/// Lists tasks, oldest first
///
/// In json one {"revision":N,"task":{…}} a line; where there are more, a last line {"next":CURSOR}.
#[derive(Debug, clap::Args)]
pub struct List {
    /// Only those with this status: Running, Paused, Completed, Failed, Canceled, or another
    #[arg(long, value_name = "STATUS")]
    status: Option<String>,
    /// Only those of this session
    #[arg(long, value_name = "ID")]
    session_id: Option<String>,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    limit: u64,
    /// Newest first
    #[arg(long)]
    newest_first: bool,
    /// All of them
    #[arg(long, conflicts_with = "limit")]
    all: bool,
    /// Goes on after an earlier list of the same tasks in the same order
    #[arg(long, value_name = "CURSOR")]
    after: Option<String>,
}

impl List {
    pub async fn run(self, tasks: &TaskStore, output: &mut Output) -> anyhow::Result<()> {
        let query = TaskQuery {
            status: self.status.map(TaskStatus::from),
            session_id: self.session_id,
            newest_first: self.newest_first,
            after: self.after,
            ..TaskQuery::default()
        };
        print_pages(tasks, query, (!self.all).then_some(self.limit), output).await
    }
}

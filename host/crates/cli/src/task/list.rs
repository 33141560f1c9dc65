//! `mortise task list`

use mortise::agent::{TaskQuery, TaskStatus, TaskStore};

use super::pages::print_pages;
use crate::output::Output;
use crate::paging::Paging;

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
    /// Newest first
    #[arg(long)]
    newest_first: bool,
    #[command(flatten)]
    paging: Paging,
}

impl List {
    pub async fn run(self, tasks: &TaskStore, output: &mut Output) -> anyhow::Result<()> {
        let query = TaskQuery {
            status: self.status.map(TaskStatus::from),
            session_id: self.session_id,
            newest_first: self.newest_first,
            ..TaskQuery::default()
        };
        print_pages(tasks, query, self.paging.pages(), output).await
    }
}

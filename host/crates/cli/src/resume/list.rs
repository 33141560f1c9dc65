//! `mortise resume list`

use mortise::agent::{LeaseHolder, Object, Resume, Scope, Versioned};
use mortise::{Revision, Timestamp};
use serde::Serialize;

use crate::context::Context;
use crate::lifecycle::MachineOption;
use crate::output::{Format, Output, Table, time};
use crate::paging::Paging;

/// Lists what was running, and who has it
///
/// The states come one after the other, in each the oldest first. In json one {"id":ID,"state":STATE,
/// "revision":N,"owner":NAME,"until":MS} a line, `owner` and `until` null where nobody has it; where there are
/// more, a last line {"next":CURSOR}.
#[derive(Debug, clap::Args)]
pub struct List {
    /// The collection
    collection: String,
    /// What is in this state, instead of what is running; may be given several times
    #[arg(long, value_name = "STATE")]
    state: Vec<String>,
    /// What is in any state
    #[arg(long, conflicts_with = "state")]
    any_state: bool,
    #[command(flatten)]
    paging: Paging,
    #[command(flatten)]
    machine: MachineOption,
}

#[derive(Serialize)]
struct Shown<'a> {
    id: &'a str,
    state: Option<String>,
    revision: Revision,
    owner: Option<&'a str>,
    until: Option<Timestamp>,
}

impl List {
    pub async fn run(self, context: &Context, output: &mut Output) -> anyhow::Result<()> {
        let lifecycle = self
            .machine
            .lifecycle(context.store().await?, &self.collection)?;
        let resume = Resume::new(lifecycle);
        let scope = match (self.any_state, self.state.is_empty()) {
            (true, _) => Scope::All,
            (false, true) => Scope::Running,
            (false, false) => Scope::States(self.state),
        };
        let mut table = Table::new(["id", "state", "revision", "owner", "until"]);
        let mut pages = self.paging.pages();
        while let Some(limit) = pages.limit(output) {
            let page = resume.list(&scope, pages.after.as_deref(), limit).await?;
            let holders = resume.holders(&page.ids).await?;
            let found = page.ids.iter().zip(&page.entities).zip(&holders);
            let mut shown = found.map(|((id, entity), holder)| shown(&resume, id, entity, holder));
            match output.format() {
                Format::Text => table.rows(output, shown.map(row).collect())?,
                Format::Json => shown.try_for_each(|shown| output.json(&shown))?,
            }
            pages.turn(page.ids.len(), page.next)?;
        }
        pages.end(output)
    }
}

fn shown<'a>(
    resume: &Resume,
    id: &'a str,
    entity: &Versioned<Object>,
    holder: &'a Option<LeaseHolder>,
) -> Shown<'a> {
    Shown {
        id,
        state: resume.lifecycle().machine().state_of(entity),
        revision: entity.revision,
        owner: holder.as_ref().map(|holder| holder.owner.as_str()),
        until: holder.as_ref().map(|holder| holder.until),
    }
}

fn row(shown: Shown<'_>) -> [String; 5] {
    [
        shown.id.to_owned(),
        shown.state.unwrap_or_default(),
        shown.revision.to_string(),
        shown.owner.unwrap_or_default().to_owned(),
        shown.until.map(time).unwrap_or_default(),
    ]
}

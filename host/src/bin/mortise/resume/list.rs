//! `mortise resume list`

use mortise::agent::{LeaseHolder, Object, Resume, Scope, Versioned};
use mortise::limits::MAX_PAGE_RECORDS;
use mortise::{Revision, Timestamp};
use serde::Serialize;

use crate::context::Context;
use crate::lifecycle::MachineOption;
use crate::output::{Format, Output, Table, time};

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
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    limit: u64,
    /// All of them
    #[arg(long, conflicts_with = "limit")]
    all: bool,
    /// Goes on after an earlier list of the same
    #[arg(long, value_name = "CURSOR")]
    after: Option<String>,
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
        let mut left = if self.all { u64::MAX } else { self.limit };
        let mut after = self.after;
        while left > 0 {
            let limit = left.min(u64::from(MAX_PAGE_RECORDS));
            let limit = u32::try_from(limit).unwrap_or(MAX_PAGE_RECORDS);
            let page = resume.list(&scope, after.as_deref(), limit).await?;
            left = left.saturating_sub(page.ids.len() as u64);
            let holders = resume.holders(&page.ids).await?;
            let found = page.ids.iter().zip(&page.entities).zip(&holders);
            let mut shown = found.map(|((id, entity), holder)| shown(&resume, id, entity, holder));
            match output.format() {
                Format::Text => table.rows(output, shown.map(row).collect())?,
                Format::Json => shown.try_for_each(|shown| output.json(&shown))?,
            }
            after = page.next;
            if after.is_none() || output.is_closed() {
                return Ok(());
            }
        }
        output.more(after.as_deref())
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

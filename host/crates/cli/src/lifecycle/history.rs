//! `mortise lifecycle history`

use mortise::agent::{Lifecycle, Machine};

use crate::context::Context;
use crate::output::{Format, Output, Table};
use crate::paging::Pages;

/// Lists the transitions of an entity, oldest first
///
/// In json one {"entity":ID,"from":STATE,"event":NAME,"to":STATE,"by":WHO,"at":TIME} a line.
#[derive(Debug, clap::Args)]
pub struct History {
    /// The collection
    collection: String,
    /// The entity's id
    id: String,
}

impl History {
    pub async fn run(self, context: &Context, output: &mut Output) -> anyhow::Result<()> {
        let store = context.store().await?;
        // A history is what was, whatever machine it came from.
        let lifecycle = Lifecycle::new(store, &self.collection, Machine::entity());
        let mut table = Table::new(["at", "from", "event", "to", "by"]);
        let mut pages = Pages::all();
        while let Some(limit) = pages.limit(output) {
            let page = lifecycle
                .history_page(&self.id, pages.after.take(), limit)
                .await?;
            let count = page.transitions.len();
            let mut transitions = page.transitions.into_iter();
            match output.format() {
                Format::Json => transitions.try_for_each(|step| output.json(&step))?,
                Format::Text => {
                    let rows =
                        transitions.map(|step| [step.at, step.from, step.event, step.to, step.by]);
                    table.rows(output, rows.collect())?;
                }
            }
            pages.turn(count, page.next)?;
        }
        Ok(())
    }
}

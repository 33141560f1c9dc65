//! `mortise entity list`

use mortise::Attribute;
use mortise::agent::{EntityQuery, EntityStore, Object, Versioned};

use super::get::Shown;
use crate::output::{Format, Output, Table};
use crate::paging::Paging;

/// Lists the entities of a collection, oldest first
///
/// In json one {"id":ID,"revision":N,"entity":{…}} a line; where there are more, a last line {"next":CURSOR}.
#[derive(Debug, clap::Args)]
pub struct List {
    /// The collection
    collection: String,
    /// Only those with this value in this field: status=awaiting, job_id=…; may be given several times
    #[arg(long, value_name = "FIELD=VALUE", value_parser = attribute)]
    by: Vec<Attribute>,
    /// Newest first
    #[arg(long)]
    newest_first: bool,
    #[command(flatten)]
    paging: Paging,
}

fn attribute(text: &str) -> Result<Attribute, String> {
    let (name, value) = text.split_once('=').ok_or("expected FIELD=VALUE")?;
    Ok(Attribute::new(name, value))
}

impl List {
    pub async fn run(self, entities: &EntityStore, output: &mut Output) -> anyhow::Result<()> {
        let mut query = EntityQuery {
            attributes: self.by,
            newest_first: self.newest_first,
            ..EntityQuery::default()
        };
        let mut table = Table::new(["id", "status", "revision"]);
        let mut pages = self.paging.pages();
        while let Some(limit) = pages.limit(output) {
            query.limit = limit;
            query.after = pages.after.take();
            let page = entities.list(&self.collection, query.clone()).await?;
            let mut found = page.ids.iter().zip(&page.entities);
            match output.format() {
                Format::Text => table.rows(output, found.map(row).collect())?,
                Format::Json => {
                    found.try_for_each(|(id, entity)| output.json(&Shown::new(id, entity)))?;
                }
            }
            pages.turn(page.ids.len(), page.next)?;
        }
        pages.end(output)
    }
}

fn row((id, entity): (&String, &Versioned<Object>)) -> [String; 3] {
    let status = entity
        .text("status")
        .or_else(|| entity.text_at("status.state"));
    let revision = entity.revision.to_string();
    [id.clone(), status.unwrap_or_default(), revision]
}

//! `mortise entity list`

use mortise::Attribute;
use mortise::agent::{EntityQuery, EntityStore, Object, Versioned};
use mortise::limits::MAX_PAGE_RECORDS;

use super::get::Shown;
use crate::output::{Format, Output, Table};

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
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    limit: u64,
    /// Newest first
    #[arg(long)]
    newest_first: bool,
    /// All of them
    #[arg(long, conflicts_with = "limit")]
    all: bool,
    /// Goes on after an earlier list of the same entities in the same order
    #[arg(long, value_name = "CURSOR")]
    after: Option<String>,
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
            after: self.after,
            ..EntityQuery::default()
        };
        let mut table = Table::new(["id", "status", "revision"]);
        let mut left = if self.all { u64::MAX } else { self.limit };
        while left > 0 {
            let limit = left.min(u64::from(MAX_PAGE_RECORDS));
            query.limit = u32::try_from(limit).unwrap_or(MAX_PAGE_RECORDS);
            let page = entities.list(&self.collection, query.clone()).await?;
            left = left.saturating_sub(page.ids.len() as u64);
            let mut found = page.ids.iter().zip(&page.entities);
            match output.format() {
                Format::Text => table.rows(output, found.map(row).collect())?,
                Format::Json => {
                    found.try_for_each(|(id, entity)| output.json(&Shown::new(id, entity)))?;
                }
            }
            query.after = page.next;
            if query.after.is_none() || output.is_closed() {
                return Ok(());
            }
        }
        output.more(query.after.as_deref())
    }
}

fn row((id, entity): (&String, &Versioned<Object>)) -> [String; 3] {
    let status = entity
        .text("status")
        .or_else(|| entity.text_at("status.state"));
    let revision = entity.revision.to_string();
    [id.clone(), status.unwrap_or_default(), revision]
}

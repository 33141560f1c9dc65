//! `mortise store stats`

use mortise::Store;
use serde::Serialize;

use crate::output::{Format, Output, Table};

/// Counts the records of each collection
///
/// In json one {"collection":…,"records":N,"body_bytes":N} a line.
#[derive(Debug, clap::Args)]
pub struct Stats {}

impl Stats {
    pub async fn run(self, store: &Store, output: &mut Output) -> anyhow::Result<()> {
        #[derive(Serialize)]
        struct Row<'a> {
            collection: &'a str,
            records: u64,
            body_bytes: u64,
        }
        let collections = store.statistics().await?;
        let mut collections = collections.iter();
        match output.format() {
            Format::Json => collections.try_for_each(|counts| {
                let collection = &counts.collection;
                output.json(&Row {
                    collection,
                    records: counts.records,
                    body_bytes: counts.body_bytes,
                })
            }),
            Format::Text => {
                let row = collections.map(|counts| {
                    let (records, bytes) =
                        (counts.records.to_string(), counts.body_bytes.to_string());
                    [counts.collection.clone(), records, bytes]
                });
                Table::new(["collection", "records", "body bytes"]).rows(output, row.collect())
            }
        }
    }
}

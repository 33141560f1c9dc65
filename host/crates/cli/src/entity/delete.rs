//! `mortise entity delete`

use mortise::agent::EntityStore;
use serde::Serialize;

use crate::exit_code::CliError;
use crate::output::Output;

/// Deletes an entity, with its history and its lease
///
/// Prints the id; in json: {"deleted":ID}. Where there is none, it ends with exit code 3.
#[derive(Debug, clap::Args)]
pub struct Delete {
    /// The collection
    collection: String,
    /// The entity's id
    id: String,
}

impl Delete {
    pub async fn run(self, entities: &EntityStore, output: &mut Output) -> anyhow::Result<()> {
        #[derive(Serialize)]
        struct Deleted<'a> {
            deleted: &'a str,
        }
        let Self { collection, id } = &self;
        if !entities.delete(collection, id).await? {
            let message = format!("there is no {collection} {id}");
            return Err(CliError::not_found(message).into());
        }
        output.line(format_args!("deleted {id}"), &Deleted { deleted: id })
    }
}

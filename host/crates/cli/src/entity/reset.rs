//! `mortise entity reset`

use mortise::agent::EntityStore;
use serde::Serialize;

use crate::output::{self, Output};

/// Removes every entity of a collection, with their histories and leases
///
/// Asks first on a terminal, and refuses elsewhere, unless --yes is given. Prints how many entities went; in
/// json: {"removed":N}.
#[derive(Debug, clap::Args)]
pub struct Reset {
    /// The collection
    collection: String,
    /// Does not ask
    #[arg(long)]
    yes: bool,
}

impl Reset {
    pub async fn run(self, entities: &EntityStore, output: &mut Output) -> anyhow::Result<()> {
        #[derive(Serialize)]
        struct Removed {
            removed: u64,
        }
        if !self.yes {
            let store = entities.store();
            let (name, namespace) = (store.name(), store.namespace());
            let collection = &self.collection;
            let question =
                format!("remove every {collection} of the store {name}, namespace {namespace}?");
            output::confirm(&question, "removed")?;
        }
        let removed = entities.reset(Some(&self.collection)).await?;
        output.line(
            format_args!("removed {removed} entities"),
            &Removed { removed },
        )
    }
}

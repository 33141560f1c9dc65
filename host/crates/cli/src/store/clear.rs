//! `mortise store clear`

use mortise::Store;
use serde::Serialize;

use crate::output::{self, Output};

/// Removes every record of a collection, or of the whole store
///
/// Asks first on a terminal, and refuses elsewhere, unless --yes is given. Prints how many records went;
/// in json: {"removed":N}.
#[derive(Debug, clap::Args)]
pub struct Clear {
    /// Only this collection
    #[arg(long, value_name = "NAME")]
    collection: Option<String>,
    /// Does not ask
    #[arg(long)]
    yes: bool,
}

impl Clear {
    pub async fn run(self, store: &Store, output: &mut Output) -> anyhow::Result<()> {
        #[derive(Serialize)]
        struct Removed {
            removed: u64,
        }
        if !self.yes {
            let what = match &self.collection {
                Some(collection) => format!("the collection {collection}"),
                None => "every collection".to_owned(),
            };
            let (name, namespace) = (store.name(), store.namespace());
            let question = format!("remove {what} of the store {name}, namespace {namespace}?");
            output::confirm(&question, "removed")?;
        }
        let removed = store.clear(self.collection.as_deref()).await?;
        output.line(
            format_args!("removed {removed} records"),
            &Removed { removed },
        )
    }
}

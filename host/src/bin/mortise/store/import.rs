//! `mortise store import`

use mortise::{Store, transfer};
use serde::Serialize;

use crate::input::Input;
use crate::output::Output;
use crate::progress::Progress;

/// Writes the records of an export to the store, with their revisions and times
///
/// What is there already and the same is left alone, so that an import that failed can be run again.
/// Nothing after a damaged line is written. Prints how many records the file had; in json: {"imported":N}.
#[derive(Debug, clap::Args)]
pub struct Import {
    /// The file, or - for stdin
    #[arg(default_value = "-")]
    file: Input,
}

impl Import {
    pub async fn run(self, store: &Store, output: &mut Output) -> anyhow::Result<()> {
        #[derive(Serialize)]
        struct Imported {
            imported: u64,
        }
        let file = self.file.open(output)?;
        let mut progress = Progress::new(output, "records", false);
        let imported = transfer::import(store, file, |records| progress.set(records)).await?;
        drop(progress);
        output.line(
            format_args!("imported {imported} records"),
            &Imported { imported },
        )
    }
}

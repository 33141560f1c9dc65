//! `mortise store export`

use std::path::PathBuf;

use anyhow::Context as _;
use mortise::{Store, transfer};
use serde::Serialize;

use crate::compression::{Compression, Encoder};
use crate::output::Output;
use crate::progress::Progress;
use crate::target::Target;

/// Writes every record to a file or to stdout, as lines of JSON
///
/// A file whose name ends in .gz or .zst is compressed. It is there whole or not at all: it is written
/// beside its place under another name first. What others write to the store meanwhile may be missing:
/// see `store backup`.
///
/// After a file it prints how many records there are; in json: {"exported":N}.
#[derive(Debug, clap::Args)]
pub struct Export {
    /// The file, or - for stdout
    #[arg(default_value = "-")]
    file: PathBuf,
}

impl Export {
    pub async fn run(self, store: &Store, output: &mut Output) -> anyhow::Result<()> {
        #[derive(Serialize)]
        struct Exported {
            exported: u64,
        }
        let to_stdout = self.file.as_os_str() == "-";
        let mut progress = Progress::of_store(output, store, to_stdout).await;
        let told = |records| progress.set(records);
        if to_stdout {
            return match transfer::export(store, &mut *output, told).await {
                Err(_) if output.is_closed() => Ok(()),
                done => Ok(done.map(drop)?),
            };
        }
        let place = self.file.display();
        let cannot = || format!("{place} cannot be written");
        let target = Target::open(&self.file).with_context(cannot)?;
        let compression = Compression::of_name(&self.file);
        let mut encoder = Encoder::new(compression, &target.file).with_context(cannot)?;
        let exported = transfer::export(store, &mut encoder, told).await?;
        encoder.finish().with_context(cannot)?;
        target.keep().with_context(cannot)?;
        drop(progress);
        output.line(
            format_args!("exported {exported} records to {place}"),
            &Exported { exported },
        )
    }
}

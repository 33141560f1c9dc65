//! `mortise store export`

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use mortise::{Store, transfer};
use serde::Serialize;

use crate::output::Output;
use crate::progress::Progress;

/// Writes every record to a file or to stdout, as lines of JSON
///
/// The file is there whole or not at all: it is written beside its place under another name first. What
/// others write to the store meanwhile may be missing.
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
        let mut progress = Progress::new(output, "records", to_stdout);
        let told = |records| progress.set(records);
        if to_stdout {
            return match transfer::export(store, &mut *output, told).await {
                Err(_) if output.is_closed() => Ok(()),
                done => Ok(done.map(drop)?),
            };
        }
        let mut target = Target::open(&self.file)
            .with_context(|| format!("{} cannot be written", self.file.display()))?;
        let exported = transfer::export(store, &mut target.file, told).await?;
        target
            .keep()
            .with_context(|| format!("{} cannot be written", self.file.display()))?;
        drop(progress);
        let place = self.file.display();
        output.line(
            format_args!("exported {exported} records to {place}"),
            &Exported { exported },
        )
    }
}

/// A file that takes its place only once it is whole.
struct Target<'a> {
    file: File,
    place: &'a Path,
    /// Where it is until then; none where the place is no regular file, but a device or a pipe.
    temporary: Option<PathBuf>,
}

impl<'a> Target<'a> {
    fn open(place: &'a Path) -> io::Result<Self> {
        if fs::metadata(place).is_ok_and(|there| !there.is_file()) {
            let file = File::options().write(true).open(place)?;
            return Ok(Self {
                file,
                place,
                temporary: None,
            });
        }
        let name = place.file_name().ok_or(io::ErrorKind::IsADirectory)?;
        let mut temporary = name.to_os_string();
        temporary.push(format!(".{}.partial", std::process::id()));
        let temporary = place.with_file_name(temporary);
        let file = File::create(&temporary)?;
        Ok(Self {
            file,
            place,
            temporary: Some(temporary),
        })
    }

    /// Puts the file into its place, on disk.
    fn keep(mut self) -> io::Result<()> {
        let Some(temporary) = &self.temporary else {
            return self.file.flush();
        };
        self.file.sync_all()?;
        fs::rename(temporary, self.place)?;
        self.temporary = None;
        match self.place.parent() {
            // The name is the folder's. Not every system can sync a folder.
            Some(folder) if cfg!(unix) => {
                let here = folder.as_os_str().is_empty();
                File::open(if here { Path::new(".") } else { folder })?.sync_all()
            }
            _ => Ok(()),
        }
    }
}

/// Removes what is not whole.
impl Drop for Target<'_> {
    fn drop(&mut self) {
        if let Some(temporary) = &self.temporary {
            let _ = fs::remove_file(temporary);
        }
    }
}

//! `mortise store backup`

use std::fs::File;
use std::io::{self, BufRead, BufReader, Seek as _, Write};
use std::path::PathBuf;

use anyhow::Context as _;
use mortise::transfer::{self, BackupFile, BackupOptions};
use mortise::{Digest, Revision, Store};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::compression::{Compression, Encoder, decoded};
use crate::exit_code::CliError;
use crate::output::Output;
use crate::progress::Progress;
use crate::target::Target;

/// Writes every record to a file as of one instant, and proves that it is there
///
/// A backup is an export that was read back and compared with what was read from the store, by number and
/// digest, before it takes its place. A file whose name ends in .gz or .zst is compressed. It is begun
/// anew, up to three times in all, if others write to the store meanwhile.
///
/// Prints the records, the bytes and the sha256 of the file, and the store's revision; in json:
/// {"records":N,"bytes":N,"sha256":…,"revision":N,"writes_meanwhile":N}.
#[derive(Debug, clap::Args)]
pub struct Backup {
    /// The file
    file: PathBuf,
    /// Takes the backup while others write, too: then it may not be as of one instant
    #[arg(long)]
    allow_writes: bool,
}

impl Backup {
    pub async fn run(self, store: &Store, output: &mut Output) -> anyhow::Result<()> {
        #[derive(Serialize)]
        struct BackedUp {
            records: u64,
            bytes: u64,
            sha256: Digest,
            revision: Revision,
            writes_meanwhile: u64,
        }
        let place = self.file.display();
        let cannot = || format!("{place} cannot be written");
        let target = Target::open(&self.file).with_context(cannot)?;
        if self.file.as_os_str() == "-" || !target.is_regular() {
            let message = format!("{place} is no file that can be read back");
            let hint = "name a file; `mortise store export` writes to a pipe";
            return Err(CliError::usage(message, hint).into());
        }
        let mut file = Compressed {
            file: &target.file,
            compression: Compression::of_name(&self.file),
            bytes: 0,
            sha256: Digest::of(&[]),
        };
        let mut options = BackupOptions::default();
        options.allow_writes = self.allow_writes;
        let mut progress = Progress::of_store(output, store, false).await;
        let told = |phase, records| progress.set_in(phase, records);
        let report = transfer::backup(store, &mut file, &options, told).await;
        drop(progress);
        let report = report?;
        let (bytes, sha256) = (file.bytes, file.sha256);
        target.keep().with_context(cannot)?;
        let (records, revision) = (report.records, report.revision);
        let writes_meanwhile = report.writes_meanwhile;
        output.line(
            format_args!(
                "backed up {records} records of revision {revision} to {place}, {bytes} bytes, sha256 {sha256}"
            ),
            &BackedUp {
                records,
                bytes,
                sha256,
                revision,
                writes_meanwhile,
            },
        )?;
        if writes_meanwhile > 0 {
            output.note(format_args!(
                "warning: others made {writes_meanwhile} writes meanwhile: the backup may not be as of one instant"
            ));
        }
        Ok(())
    }
}

/// A file, compressed, and what it came to.
struct Compressed<'a> {
    file: &'a File,
    compression: Compression,
    bytes: u64,
    sha256: Digest,
}

impl BackupFile for Compressed<'_> {
    type Writer = Encoder<Counted>;
    type Reader = Box<dyn BufRead>;

    fn create(&mut self) -> io::Result<Self::Writer> {
        let mut file = self.file.try_clone()?;
        file.set_len(0)?;
        file.rewind()?;
        let counted = Counted {
            file,
            bytes: 0,
            sha256: Sha256::new(),
        };
        Encoder::new(self.compression, counted)
    }

    fn close(&mut self, writer: Self::Writer) -> io::Result<()> {
        let counted = writer.finish()?;
        counted.file.sync_all()?;
        self.bytes = counted.bytes;
        self.sha256 = <[u8; 32]>::from(counted.sha256.finalize()).into();
        Ok(())
    }

    fn open(&mut self) -> io::Result<Self::Reader> {
        let mut file = self.file.try_clone()?;
        file.rewind()?;
        decoded(Box::new(BufReader::new(file)))
    }
}

/// A file, and what was written to it.
struct Counted {
    file: File,
    bytes: u64,
    sha256: Sha256,
}

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.bytes += written as u64;
        self.sha256.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

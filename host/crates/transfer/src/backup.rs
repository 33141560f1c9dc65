//! From a store to a backup: an export that is proven.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Seek as _, Write};

use serde::Serialize;

use mortise_store::inside::{ErrorInside as _, StoreInside as _};
use mortise_store::{Digest, Error, ErrorKind, Operation, Result, Revision, Store};

use crate::check::check;
use crate::copy::must_be_itself;
use crate::export::write;
use crate::line::longest_line;
use crate::phase::Phase;

/// How often a backup is begun anew because others wrote meanwhile.
const ATTEMPTS: u32 = 3;

/// What a backup is written to and read back from. A file is one; a compressed file can be.
pub trait BackupFile {
    /// What is written to.
    type Writer: Write;
    /// What is read from.
    type Reader: BufRead;

    /// Begins it anew, without what was written before.
    fn create(&mut self) -> io::Result<Self::Writer>;

    /// Ends it: from here on, all of it is there to be read.
    fn close(&mut self, writer: Self::Writer) -> io::Result<()>;

    /// Reads it from its beginning.
    fn open(&mut self) -> io::Result<Self::Reader>;
}

/// Opened for reading and writing.
impl BackupFile for File {
    type Writer = Self;
    type Reader = BufReader<Self>;

    fn create(&mut self) -> io::Result<Self> {
        self.set_len(0)?;
        self.rewind()?;
        self.try_clone()
    }

    fn close(&mut self, writer: Self) -> io::Result<()> {
        writer.sync_all()
    }

    fn open(&mut self) -> io::Result<BufReader<Self>> {
        self.rewind()?;
        Ok(BufReader::new(self.try_clone()?))
    }
}

/// How a backup is made.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct BackupOptions {
    /// Makes it while others write, too: then it may not be as of one instant. Default: no.
    pub allow_writes: bool,
}

/// A backup that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct BackupReport {
    /// How many records it has.
    pub records: u64,
    /// The store's last revision when it was begun, which its header names.
    pub revision: Revision,
    /// SHA-256 of its lines but the trailer, which names it.
    pub sha256: Digest,
    /// How many writes others made meanwhile: with none, it is as of one instant.
    pub writes_meanwhile: u64,
}

/// Writes every record to a file as an [`export`](crate::export()) does, reads the file back, and compares
/// it with what was read from the store by number and digest.
///
/// It is as of one instant: an empty write before and after shows whether others wrote meanwhile. Where
/// they did, it is begun anew, up to three times in all. The header names the revision.
///
/// What takes the file's place, if anything is there yet, is the caller's: let it be another file until
/// the backup is made. `progress` is told how many records were dealt with so far, in each phase. Reading
/// and writing block the thread that polls the future: in a server, hand it one of its own. Reading back
/// takes some 60 bytes of memory for each record.
///
/// # Errors
///
/// `Unavailable` where others wrote each time, or the store stands in for a backend that does not open;
/// `Io` where the file cannot be written or read; `Internal` where it has other records than it was given;
/// those of [`Store::export`].
pub async fn backup<F: BackupFile>(
    store: &Store,
    file: &mut F,
    options: &BackupOptions,
    mut progress: impl FnMut(Phase, u64),
) -> Result<BackupReport> {
    let operation = Operation::Backup;
    must_be_itself(store, operation)?;
    let failed = |what: &str, error: io::Error| {
        Error::new(ErrorKind::Io, operation, what).with_source(error)
    };
    for _ in 0..ATTEMPTS {
        let revision = store.take_revision().await?;
        let written = {
            let cannot = |error| failed("the backup cannot be written", error);
            let mut writer = file.create().map_err(cannot)?;
            let told = |records| progress(Phase::Write, records);
            let written = write(store, &mut writer, Some(revision), operation, told).await?;
            file.close(writer).map_err(cannot)?;
            written
        };
        let after = store.take_revision().await?;
        let writes_meanwhile = after.saturating_sub(revision + 1);
        if writes_meanwhile > 0 && !options.allow_writes {
            continue;
        }
        let reader = file
            .open()
            .map_err(|error| failed("the backup cannot be read back", error))?;
        let told = |records| progress(Phase::Verify, records);
        let longest = longest_line(store);
        let back = check(reader, longest, operation, |_| Ok(()), told)?;
        if back.written != written {
            let what = format!(
                "of {} records, the file gives back {}, or others",
                written.records, back.written.records
            );
            return Err(Error::new(ErrorKind::Internal, operation, what)
                .with_hint("the disk does not keep what is written to it: take another"));
        }
        return Ok(BackupReport {
            records: written.records,
            revision,
            sha256: written.digest,
            writes_meanwhile,
        });
    }
    let what = format!("others wrote to the store during each of {ATTEMPTS} attempts");
    Err(
        Error::new(ErrorKind::Unavailable, operation, what).with_hint(
            "stop them, or allow writes (--allow-writes): then it may not be as of one instant",
        ),
    )
}

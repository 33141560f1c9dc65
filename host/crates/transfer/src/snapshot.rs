//! Snapshots of a singleton: its records on disk, from which it starts when it is opened.

use std::collections::HashMap;
use std::fs::{self, File, TryLockError};
use std::io::{BufRead, BufReader, BufWriter, Read as _, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mortise_store::inside::{
    ErrorInside as _, Later, Measures, NotHeld, StoreInside as _, beside, blocking, snapshot_of,
    sync_folder_of,
};
use mortise_store::{Error, ErrorKind, Operation, Result, Revision, Snapshot, Store, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;
use tokio::time::Instant;

use crate::hand_over::{LEAP, continue_above};

/// What the first line calls the format, and the version of it that this is.
const FORMAT: &str = "mortise-snapshot";
const VERSION: u64 = 1;
/// How long its first line may be.
const MAX_HEADER_BYTES: u64 = 4096;

/// The first line of the file; an export follows.
#[derive(Serialize, Deserialize)]
struct Header {
    format: String,
    version: u64,
    /// The last that was taken.
    revision: Revision,
}

/// Locks of snapshots that another process holds, too, and hands over to this one.
#[derive(Default)]
pub struct InheritedLocks(Mutex<HashMap<PathBuf, File>>);

impl InheritedLocks {
    /// The lock of the snapshot in this file.
    pub fn add(&self, file: PathBuf, lock: File) {
        self.locks().insert(file, lock);
    }

    fn take(&self, file: &Path) -> Option<File> {
        self.locks().remove(file)
    }

    fn locks(&self) -> std::sync::MutexGuard<'_, HashMap<PathBuf, File>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The snapshots of one store.
pub struct Snapshots {
    file: PathBuf,
    /// How often one is to be taken.
    pub interval: Duration,
    /// Held by this process: two that write the same file would lose each other's records.
    lock: File,
    /// Whether something was written since the last one.
    changed: AtomicBool,
    taking: tokio::sync::Mutex<()>,
    past: Mutex<Past>,
}

/// What became of the snapshots since the store was opened.
#[derive(Default)]
struct Past {
    last: Option<Result<Snapshot, Arc<Error>>>,
    /// When the last one was taken that did not fail.
    taken_at: Option<Timestamp>,
}

impl Snapshots {
    /// Takes possession of the file. Blocks for a moment.
    pub fn open(file: PathBuf, interval: Duration, inherited: &InheritedLocks) -> Result<Self> {
        let lock_file = beside(&file, ".lock");
        let failed = |error: std::io::Error| {
            let what = format!(
                "the snapshot's lock {} cannot be taken",
                lock_file.display()
            );
            Error::config(what).with_source(error)
        };
        let lock = match inherited.take(&file) {
            Some(lock) => lock,
            None => File::create(&lock_file).map_err(failed)?,
        };
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::Error(error)) => return Err(failed(error)),
            Err(TryLockError::WouldBlock) => {
                let what = format!(
                    "another store, or process, keeps the snapshot {}",
                    file.display()
                );
                return Err(Error::new(ErrorKind::Unavailable, Operation::Open, what)
                    .with_hint("close it, or name another file"));
            }
        }
        Ok(Self {
            file,
            interval,
            lock,
            changed: AtomicBool::new(false),
            taking: tokio::sync::Mutex::default(),
            past: Mutex::default(),
        })
    }

    /// The file, and what keeps other processes off it.
    pub fn lock(&self) -> (&Path, &File) {
        (&self.file, &self.lock)
    }

    /// Tells that something was written.
    pub fn note_change(&self) {
        self.changed.store(true, Ordering::Release);
    }

    /// Whether something was written that no snapshot has.
    pub fn is_behind(&self) -> bool {
        self.changed.load(Ordering::Acquire)
    }

    /// What became of the last one, since the store was opened.
    pub fn last(&self) -> Option<Result<Snapshot, Arc<Error>>> {
        self.past().last.clone()
    }

    /// When the last one was taken that did not fail, since the store was opened.
    pub fn taken_at(&self) -> Option<Timestamp> {
        self.past().taken_at
    }

    /// Writes the snapshot's records to a store that is empty; nothing where there is no snapshot.
    pub fn restore<'a>(&'a self, to: &'a Store) -> Later<'a, Result<()>> {
        Box::pin(self.restore_to(to))
    }

    async fn restore_to(&self, to: &Store) -> Result<()> {
        let failed = |what: &str| {
            Error::config(format!("the snapshot {} {what}", self.file.display()))
                .with_hint("move it away to start without records; nothing was changed in it")
        };
        let unreadable = |error| failed("cannot be read").with_source(error);
        let lines = match File::open(&self.file) {
            Ok(file) => BufReader::new(file),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(unreadable(error)),
        };
        // What was written after it was taken, and lost, took revisions that must not be given again.
        read(to, lines, LEAP, failed).await
    }

    /// Writes all records of `store` to disk, as of one instant: its writes are held back until they are
    /// read. What becomes of it is counted in `measures`.
    pub fn take<'a>(
        &'a self,
        store: &'a Store,
        measures: &'a Measures,
    ) -> Later<'a, Result<Snapshot>> {
        Box::pin(self.take_of(store, measures))
    }

    async fn take_of(&self, store: &Store, measures: &Measures) -> Result<Snapshot> {
        let _alone = self.taking.lock().await;
        let taken = self.write(store).await.map_err(|error| {
            self.note_change();
            tracing::error!(store = store.name(), ?error, "no snapshot was taken");
            Arc::new(error)
        });
        let mut past = self.past();
        match &taken {
            Ok(snapshot) => {
                measures.snapshots_taken.add();
                past.taken_at = Some(snapshot.at);
            }
            Err(_) => measures.snapshots_failed.add(),
        }
        past.last = Some(taken.clone());
        drop(past);
        taken.map_err(|error| {
            let what = format!("the snapshot {} was not written", self.file.display());
            Error::new(error.kind(), Operation::Snapshot, what).with_source(error)
        })
    }

    async fn write(&self, store: &Store) -> Result<Snapshot> {
        let partial = beside(&self.file, ".partial");
        let file = File::create(&partial).map_err(unwritten)?;
        let begun = || self.changed.store(false, Ordering::Release);
        let (snapshot, file) = write(store, BufWriter::new(file), begun).await?;
        let file = file
            .into_inner()
            .map_err(|error| unwritten(error.into_error()))?;
        let name = self.file.clone();
        let keeping = move || {
            file.sync_all()
                .and_then(|()| fs::rename(&partial, &name))
                .and_then(|()| sync_folder_of(&name))
                .map_err(unwritten)
        };
        blocking(keeping).await?;
        Ok(snapshot)
    }

    fn past(&self) -> std::sync::MutexGuard<'_, Past> {
        self.past.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes all records of a singleton, as of one instant: its writes are held back until they are read. Tells
/// `begun` when no write goes on.
pub async fn write<W: Write + Send + 'static>(
    store: &Store,
    mut to: W,
    begun: impl FnOnce(),
) -> Result<(Snapshot, W)> {
    let deadline = Instant::now() + store.limits().upkeep_deadline;
    let held = match store.here() {
        Some(here) => here.hold_writes(deadline).await,
        None => Err(NotHeld::Pooled),
    };
    let _held = held.map_err(|reason| match reason {
        NotHeld::Busy => {
            let what = "writes under way did not end within the limit upkeep-deadline";
            Error::new(ErrorKind::Deadline, Operation::Snapshot, what)
        }
        NotHeld::Pooled => Error::config("only a singleton has a snapshot"),
    })?;
    begun();
    let header = Header {
        format: FORMAT.to_owned(),
        version: VERSION,
        revision: store.take_revision().await?,
    };
    let at = store.now();
    let writing = {
        let (handle, store) = (Handle::current(), store.clone());
        move || {
            serde_json::to_writer(&mut to, &header).map_err(|error| unwritten(error.into()))?;
            to.write_all(b"\n").map_err(unwritten)?;
            let export = crate::export(&store, &mut to, |_| {});
            let records = handle.block_on(export)?;
            Ok((snapshot_of(at, records), to))
        }
    };
    blocking(writing).await
}

/// Writes the records of a snapshot to a store that is empty, which goes on with revisions that are more than
/// `leap` above the last one. `failed` makes an error of what is wrong with the snapshot.
pub async fn read<R: BufRead + Send + 'static>(
    to: &Store,
    mut lines: R,
    leap: Revision,
    failed: impl Fn(&str) -> Error,
) -> Result<()> {
    let mut first = Vec::new();
    (&mut lines)
        .take(MAX_HEADER_BYTES)
        .read_until(b'\n', &mut first)
        .map_err(|error| failed("cannot be read").with_source(error))?;
    let header = serde_json::from_slice(&first).ok();
    let header = header
        .filter(|header: &Header| header.format == FORMAT)
        .ok_or_else(|| failed("is none: its first line is another"))?;
    if header.version != VERSION {
        let what = format!(
            "has version {}, this program knows {VERSION}",
            header.version
        );
        return Err(failed(&what));
    }
    let handle = Handle::current();
    let restored = {
        let to = to.clone();
        let import = move || handle.block_on(crate::import(&to, lines, |_| {}));
        blocking(import).await
    };
    restored.map_err(|error| failed("is not restored").with_source(error))?;
    continue_above(to, header.revision.saturating_add(leap)).await
}

fn unwritten(error: std::io::Error) -> Error {
    let what = "the file cannot be written";
    Error::new(ErrorKind::Io, Operation::Snapshot, what).with_source(error)
}

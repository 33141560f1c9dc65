//! Snapshots of a singleton: its records on disk, from which it starts when it is opened.

use std::fs::{self, File, TryLockError};
use std::io::{BufRead as _, BufReader, BufWriter, Write as _};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;
use tokio::time::Instant;

use crate::config::namespace_file;
use crate::error::{Error, ErrorKind, Operation, Result};
use crate::files::{beside, sync_folder_of};
use crate::handover::{LEAP, continue_above};
use crate::record::{Revision, Timestamp};
use crate::store::{Local, Store};
use crate::transfer;
use crate::work::blocking;

/// What the first line calls the format, and the version of it that this is.
const FORMAT: &str = "mortise-snapshot";
const VERSION: u64 = 1;

/// Where and how often a singleton's records are written to disk. In `mortise.toml`:
/// `snapshot = { path = "tasks.snapshot", interval = "30s" }`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub struct SnapshotConfig {
    /// The file. A namespace other than `default` has one of its own beside it: `tasks+NAME.snapshot`.
    pub path: PathBuf,
    /// How often one is taken, if something was written since. Default: every minute.
    #[serde(
        default = "default_interval",
        deserialize_with = "crate::config::interval"
    )]
    pub interval: Duration,
}

fn default_interval() -> Duration {
    Duration::from_secs(60)
}

impl SnapshotConfig {
    /// Snapshots in the file at `path`, every minute.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            interval: default_interval(),
        }
    }
}

/// A snapshot that was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Snapshot {
    /// When, by the host's clock.
    pub at: Timestamp,
    /// How many records it has.
    pub records: u64,
}

/// The first line of the file; an export follows.
#[derive(Serialize, Deserialize)]
struct Header {
    format: String,
    version: u64,
    /// The last that was taken.
    revision: Revision,
}

/// The snapshots of one store.
pub(crate) struct Snapshots {
    file: PathBuf,
    pub(crate) interval: Duration,
    /// Held by this process: two that write the same file would lose each other's records.
    _lock: File,
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
    pub(crate) fn open(config: &SnapshotConfig, namespace: &str) -> Result<Self> {
        let file = namespace_file(&config.path, namespace);
        let lock_file = beside(&file, ".lock");
        let failed = |error: std::io::Error| {
            let what = format!(
                "the snapshot's lock {} cannot be taken",
                lock_file.display()
            );
            Error::config(what).with_source(error)
        };
        let lock = File::create(&lock_file).map_err(failed)?;
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
            interval: config.interval,
            _lock: lock,
            changed: AtomicBool::new(false),
            taking: tokio::sync::Mutex::default(),
            past: Mutex::default(),
        })
    }

    /// Tells that something was written.
    pub(crate) fn note_change(&self) {
        self.changed.store(true, Ordering::Release);
    }

    /// Whether something was written that no snapshot has.
    pub(crate) fn is_behind(&self) -> bool {
        self.changed.load(Ordering::Acquire)
    }

    /// What became of the last one, since the store was opened.
    pub(crate) fn last(&self) -> Option<Result<Snapshot, Arc<Error>>> {
        self.past().last.clone()
    }

    /// When the last one was taken that did not fail, since the store was opened.
    pub(crate) fn taken_at(&self) -> Option<Timestamp> {
        self.past().taken_at
    }

    /// Writes the snapshot's records to a store that is empty; nothing where there is no snapshot.
    pub(crate) async fn restore(&self, to: &Store) -> Result<()> {
        let failed = |what: &str| {
            Error::config(format!("the snapshot {} {what}", self.file.display()))
                .with_hint("move it away to start without records; nothing was changed in it")
        };
        let unreadable = |error| failed("cannot be read").with_source(error);
        let mut lines = match File::open(&self.file) {
            Ok(file) => BufReader::new(file),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(unreadable(error)),
        };
        let mut first = Vec::new();
        lines.read_until(b'\n', &mut first).map_err(unreadable)?;
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
            let import = move || handle.block_on(transfer::import(&to, lines, |_| {}));
            blocking(import).await
        };
        restored.map_err(|error| failed("is not restored").with_source(error))?;
        continue_above(to, header.revision.saturating_add(LEAP)).await
    }

    /// Writes all records of `store` to disk, as of one instant: its writes are held back until they are
    /// read.
    pub(crate) async fn take(&self, store: &Local) -> Result<Snapshot> {
        let _alone = self.taking.lock().await;
        let taken = self.write(store).await.map_err(|error| {
            self.note_change();
            tracing::error!(store = store.name(), ?error, "no snapshot was taken");
            Arc::new(error)
        });
        let measures = &store.0.context.measures;
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

    async fn write(&self, local: &Local) -> Result<Snapshot> {
        let failed = |error: std::io::Error| {
            Error::new(
                ErrorKind::Io,
                Operation::Snapshot,
                "the file cannot be written",
            )
            .with_source(error)
        };
        let running = local.running();
        let deadline = Instant::now() + local.limits().upkeep_deadline;
        let held = match running.singleton() {
            Some(singleton) => singleton.hold_writes(deadline).await.ok_or_else(|| {
                let what = "writes under way did not end within the limit upkeep-deadline";
                Error::new(ErrorKind::Deadline, Operation::Snapshot, what)
            })?,
            None => return Err(Error::config("only a singleton has a snapshot")),
        };
        self.changed.store(false, Ordering::Release);
        let store = Store::from(local);
        let header = Header {
            format: FORMAT.to_owned(),
            version: VERSION,
            revision: store.take_revision().await?,
        };
        let at = local.now();
        let partial = beside(&self.file, ".partial");
        let writing = {
            let (partial, handle) = (partial.clone(), Handle::current());
            move || {
                let mut file = BufWriter::new(File::create(&partial).map_err(failed)?);
                serde_json::to_writer(&mut file, &header).map_err(|error| failed(error.into()))?;
                file.write_all(b"\n").map_err(failed)?;
                let export = transfer::export(&store, &mut file, |_| {});
                let records = handle.block_on(export)?;
                let file = file
                    .into_inner()
                    .map_err(|error| failed(error.into_error()))?;
                Ok((records, file))
            }
        };
        let (records, file) = blocking(writing).await?;
        drop(held);
        let name = self.file.clone();
        let keeping = move || {
            file.sync_all()
                .and_then(|()| fs::rename(&partial, &name))
                .and_then(|()| sync_folder_of(&name))
                .map_err(failed)
        };
        blocking(keeping).await?;
        Ok(Snapshot { at, records })
    }

    fn past(&self) -> std::sync::MutexGuard<'_, Past> {
        self.past.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

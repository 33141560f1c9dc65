//! What sets off a restart by itself: SIGHUP, and files that changed.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mortise_store::inside::{ErrorInside as _, folder_of};
use mortise_store::{Error, Result};
use notify_debouncer_mini::notify::{RecommendedWatcher, RecursiveMode};
use notify_debouncer_mini::{DebounceEventResult, DebouncedEventKind, Debouncer, new_debouncer};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use crate::event::{Request, Trigger};
use crate::restarts::Restarts;

/// How long nothing may have been written to a file before it is taken for whole.
const STABLE: Duration = Duration::from_millis(500);

/// What sets off restarts by itself.
pub(super) struct Triggers {
    hangups: Signal,
    changes: Option<Changes>,
}

impl Triggers {
    /// From now on, SIGHUP does not end the process any more.
    pub(super) fn new() -> Result<Self> {
        let failed = |error| Error::config("SIGHUP cannot be handled").with_source(error);
        Ok(Self {
            hangups: signal(SignalKind::hangup()).map_err(failed)?,
            changes: None,
        })
    }

    /// Watches these files, too, from now on.
    pub(super) fn watch(&mut self, files: impl Iterator<Item = PathBuf>) -> Result<()> {
        self.changes = Some(Changes::watch(files)?);
        Ok(())
    }

    /// Restarts whenever the process was sent SIGHUP or a file was changed; also for what was before this was called.
    pub(super) async fn run(self, restarts: Restarts) {
        let Self {
            mut hangups,
            changes,
        } = self;
        let on_hangup = async {
            while hangups.recv().await.is_some() {
                // Refused or not, it is told in the log.
                let _ = restarts.begin(Request::of(Trigger::Signal, "SIGHUP")).await;
            }
        };
        let on_change = async {
            if let Some(changes) = changes {
                changes.restart(&restarts).await;
            }
        };
        tokio::join!(on_hangup, on_change);
    }
}

/// Watches files.
struct Changes {
    files: BTreeSet<PathBuf>,
    /// Watches as long as it lives.
    _debouncer: Debouncer<RecommendedWatcher>,
    told: mpsc::UnboundedReceiver<DebounceEventResult>,
}

impl Changes {
    /// Watches these files, from now on.
    fn watch(files: impl Iterator<Item = PathBuf>) -> Result<Self> {
        let failed = |error| Error::config("the files cannot be watched").with_source(error);
        let files: io::Result<BTreeSet<_>> = files.map(std::path::absolute).collect();
        let files = files.map_err(|error| {
            Error::config("a file to be watched has no absolute path").with_source(error)
        })?;
        let (tell, told) = mpsc::unbounded_channel();
        let mut debouncer = new_debouncer(STABLE, move |events: DebounceEventResult| {
            // Nobody listens any more where the server stops.
            let _ = tell.send(events);
        })
        .map_err(failed)?;
        // A file that is replaced is another one: its folder tells.
        let folders: BTreeSet<&Path> = files.iter().map(|file| folder_of(file)).collect();
        for folder in folders {
            let watcher = debouncer.watcher();
            let watched = watcher.watch(folder, RecursiveMode::NonRecursive);
            watched.map_err(failed)?;
        }
        Ok(Self {
            files,
            _debouncer: debouncer,
            told,
        })
    }

    /// Restarts whenever one of the files was written, or another put into its place.
    async fn restart(mut self, restarts: &Restarts) {
        while let Some(events) = self.told.recv().await {
            let events = events.unwrap_or_else(|error| {
                tracing::warn!(%error, "files are not watched well");
                Vec::new()
            });
            let mut stable = events
                .into_iter()
                .filter(|event| event.kind == DebouncedEventKind::Any);
            if let Some(changed) = stable.find(|event| self.files.contains(&event.path)) {
                let by = changed.path.display().to_string();
                // Refused or not, it is told in the log.
                let _ = restarts.begin(Request::of(Trigger::Change, by)).await;
            }
        }
    }
}

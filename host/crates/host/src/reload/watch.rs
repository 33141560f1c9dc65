//! What sets off a reload by itself: a file that changed in the plug-in folder, and SIGHUP.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Weak;
use std::time::Duration;

use mortise_store::inside::ErrorInside as _;
use mortise_store::{Error, Result};
use notify_debouncer_mini::notify::RecursiveMode;
use notify_debouncer_mini::{DebounceEventResult, DebouncedEventKind, new_debouncer};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use crate::host::{Host, Inner};

/// How long nothing may have been written to a file before it is loaded.
const STABLE: Duration = Duration::from_millis(300);

/// Reloads go on as long as this is kept.
#[derive(Debug)]
#[must_use = "dropped at once, it watches nothing"]
pub struct Watch(AbortHandle);

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Host {
    /// Reloads a backend when its file in the plug-in folder changed, or was added, and nothing more has been
    /// written to it for 300 ms. A file that is removed changes nothing for the stores that are open.
    ///
    /// What came of it is told in the log, in [`Store::status`](mortise_store::Store::status) and by
    /// [`refusal`](Self::refusal). Needs a tokio runtime.
    ///
    /// # Errors
    ///
    /// `Config`: there is no plug-in folder, or the system does not let it be watched.
    pub fn watch(&self) -> Result<Watch> {
        let Some(folder) = self.0.engine.registry().plugin_dir.clone() else {
            return Err(Error::config("there is no plug-in folder to watch")
                .with_hint("configure plugin-dir, or call reload"));
        };
        let failed = |error| {
            let what = format!("the plug-in folder {} cannot be watched", folder.display());
            Error::config(what).with_source(error)
        };
        let (tell, mut told) = mpsc::unbounded_channel();
        let mut debouncer = new_debouncer(STABLE, move |events: DebounceEventResult| {
            // Nobody listens any more where the watch was dropped.
            let _ = tell.send(events);
        })
        .map_err(failed)?;
        let watcher = debouncer.watcher();
        watcher
            .watch(&folder, RecursiveMode::NonRecursive)
            .map_err(failed)?;
        let host = std::sync::Arc::downgrade(&self.0);
        let watching = tokio::spawn(async move {
            // Watches as long as it lives.
            let _debouncer = debouncer;
            while let Some(events) = told.recv().await {
                let events = match events {
                    Ok(events) => events,
                    Err(error) => {
                        tracing::warn!(%error, "the plug-in folder is not watched well");
                        continue;
                    }
                };
                let stable = events
                    .into_iter()
                    .filter(|event| event.kind == DebouncedEventKind::Any);
                let changed: BTreeSet<_> =
                    stable.filter_map(|event| backend_of(&event.path)).collect();
                for backend in changed {
                    let Some(host) = strong(&host) else { return };
                    host.reload_changed(&backend).await;
                }
            }
        });
        Ok(Watch(watching.abort_handle()))
    }

    /// Reloads all backends whenever the process is sent SIGHUP, which then does not end it any more.
    ///
    /// # Errors
    ///
    /// `Config`: the system does not let the signal be handled.
    #[cfg(unix)]
    pub fn reload_on_sighup(&self) -> Result<Watch> {
        use tokio::signal::unix::{SignalKind, signal};
        let mut hangups = signal(SignalKind::hangup())
            .map_err(|error| Error::config("SIGHUP cannot be handled").with_source(error))?;
        let host = std::sync::Arc::downgrade(&self.0);
        let watching = tokio::spawn(async move {
            while hangups.recv().await.is_some() {
                let Some(host) = strong(&host) else { return };
                // Each is told in the log.
                host.reload_all().await;
            }
        });
        Ok(Watch(watching.abort_handle()))
    }

    /// Reloads a backend if stores of it are open, and its file is still there.
    async fn reload_changed(&self, backend: &str) {
        let is_there = self.0.engine.registry().file(backend).is_some();
        let generations = self.0.engine.backend(backend);
        // A store that is being opened may have read the file that was there before.
        drop(generations.swapping.write().await);
        if generations.current().is_none() {
            return;
        }
        if is_there {
            // What comes of it is told in the log.
            let _ = self.reload(backend).await;
        } else {
            tracing::warn!(
                backend,
                "the file is gone; the generation that serves goes on"
            );
        }
    }
}

fn strong(host: &Weak<Inner>) -> Option<Host> {
    host.upgrade().map(Host)
}

/// The backend that a file is of: `NAME.wasm`, or its signature.
fn backend_of(path: &Path) -> Option<String> {
    let path = match path.extension()?.to_str()? {
        "minisig" => path.with_extension(""),
        _ => PathBuf::from(path),
    };
    let is_component = path.extension()? == "wasm";
    is_component.then(|| path.file_stem()?.to_str().map(str::to_owned))?
}

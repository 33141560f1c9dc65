//! What became of a reload, told to whoever asks: the log, the host's health, and other processes.

use std::fs;
use std::path::PathBuf;

use mortise_store::inside::refused_component;
use mortise_store::{Digest, Refusal, Result};

use super::Reload;
use crate::host::Host;

impl Host {
    /// Why the component that a backend's name leads to now was refused when it was to take over; none where it
    /// was not.
    ///
    /// A host that refuses a file writes so beside it, as `NAME.refused.json`, if it may: other processes
    /// are told the same, as long as the file is that one.
    pub fn refusal(&self, backend: &str) -> Option<Refusal> {
        let file = self.refusal_file(backend)?;
        let refusal: Refusal = serde_json::from_slice(&fs::read(file).ok()?).ok()?;
        (refusal.sha256 == self.sha256(backend)).then_some(refusal)
    }

    /// Tells the log, the backend's stores and other processes what a swap came to.
    pub(super) fn settle(&self, backend: &str, result: &Result<Reload>) {
        let refusal = match result {
            Ok(Reload { swapped: 0, .. }) => None,
            Ok(reload) => {
                tracing::info!(
                    backend,
                    generation = reload.generation,
                    digest = %reload.digest,
                    stores = reload.swapped,
                    held = ?reload.held,
                    "a new generation serves"
                );
                None
            }
            Err(error) => {
                tracing::error!(backend, ?error, "the generation that served goes on");
                if error.needs_migration() {
                    let backend = Some(backend.to_owned());
                    self.0.unmigrated.send_replace(backend);
                }
                let (sha256, reason) = (self.sha256(backend), error.with_causes());
                let now = self.0.engine.clock().now();
                Some(refused_component(sha256, reason, now))
            }
        };
        if let Some(file) = self.refusal_file(backend) {
            let written = match &refusal {
                Some(refusal) => serde_json::to_vec(refusal)
                    .map_err(Into::into)
                    .and_then(|text| fs::write(&file, text)),
                None if file.exists() => fs::remove_file(&file),
                None => Ok(()),
            };
            if let Err(error) = written {
                tracing::warn!(file = %file.display(), %error, "other processes are not told");
            }
        }
        self.0.engine.backend(backend).settle(refusal);
    }

    /// What serves is not refused any more: it was opened, and its store migrated.
    pub(crate) fn take_back_refusal(&self, backend: &str, serving: &Digest) {
        let Some(file) = self.refusal_file(backend) else {
            return;
        };
        let refused = fs::read(&file).ok();
        let refused = refused.and_then(|text| serde_json::from_slice::<Refusal>(&text).ok());
        let sha256 = refused.and_then(|refusal| refusal.sha256);
        if sha256.is_some_and(|sha256| sha256 == serving.to_string())
            && let Err(error) = fs::remove_file(&file)
        {
            tracing::warn!(file = %file.display(), %error, "other processes are not told");
        }
    }

    /// Where it is written that a file of the plug-in folder was refused.
    fn refusal_file(&self, backend: &str) -> Option<PathBuf> {
        let file = self.0.engine.registry().file(backend)?;
        Some(file.with_extension("refused.json"))
    }

    fn sha256(&self, backend: &str) -> Option<String> {
        let bytes = fs::read(self.0.engine.registry().file(backend)?).ok()?;
        Some(Digest::of(&bytes).to_string())
    }
}

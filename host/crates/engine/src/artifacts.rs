//! Machine code of components, in files: what was compiled once is mapped into memory the next time.
//!
//! wasmtime's own cache compresses what it keeps, and copies it twice: a backend took 2 ms from there, and
//! takes 0.2 ms as a file that is mapped.
//!
//! A file is never changed once it has its name, because it may be mapped: it is written beside it, brought
//! to the disk, and renamed.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use etcetera::BaseStrategy as _;
use mortise_store::Digest;
use wasmtime::Engine;
use wasmtime::component::Component;

/// How much of the disk the files may take. A backend of Rust takes under 1 MiB, one that carries a
/// language's runtime many times that.
const MAX_BYTES: u64 = 1 << 30;
/// What a file's name ends in.
const SUFFIX: &str = ".cwasm";

/// A folder of them. Who can write to it decides what is run as machine code.
pub(crate) struct Artifacts {
    folder: PathBuf,
    max_bytes: u64,
}

impl Artifacts {
    /// In this folder, or in the user's own. Where there can be none, everything still works, and a start is
    /// slower.
    pub(crate) fn open(folder: Option<&Path>) -> Option<Self> {
        let folder = match folder {
            Some(folder) => Ok(folder.to_owned()),
            None => users_folder(),
        };
        folder
            .and_then(|folder| {
                create_private(&folder)?;
                Ok(Self {
                    folder,
                    max_bytes: MAX_BYTES,
                })
            })
            .inspect_err(|error| {
                tracing::warn!(%error, "no compilation cache: every start compiles");
            })
            .ok()
    }

    /// The machine code of the component with this digest, if it was kept by an engine like this one.
    pub(crate) fn load(&self, engine: &Engine, digest: Digest) -> Option<Component> {
        let path = self.path(engine, digest);
        // What is used stays longer.
        let used = File::open(&path).and_then(|file| file.set_modified(SystemTime::now()));
        if used.is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
            return None;
        }
        // SAFETY: the file was written by `keep` and is never changed. That nobody else writes to the folder
        // is what the operator is told to see to, as with wasmtime's own cache.
        unsafe { Component::deserialize_file(engine, &path) }
            .inspect_err(|error| {
                tracing::debug!(path = %path.display(), error = format!("{error:#}"), "compiled anew");
            })
            .ok()
    }

    /// Keeps the machine code of a component. Where that fails, the next start compiles again.
    pub(crate) fn keep(&self, engine: &Engine, digest: Digest, component: &Component) {
        let path = self.path(engine, digest);
        let kept = component.serialize().map_err(io::Error::other);
        let kept = kept.and_then(|code| {
            let mut file = tempfile::Builder::new()
                .suffix(SUFFIX)
                .tempfile_in(&self.folder)?;
            file.write_all(&code)?;
            file.as_file().sync_all()?;
            file.persist(&path).map_err(io::Error::from)?;
            self.make_room()
        });
        if let Err(error) = kept {
            tracing::warn!(path = %path.display(), %error, "the compiled component is not kept");
        }
    }

    /// Of another engine's settings or release, the machine code is another.
    fn path(&self, engine: &Engine, digest: Digest) -> PathBuf {
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        let engine = hasher.finish();
        self.folder.join(format!("{digest}-{engine:016x}{SUFFIX}"))
    }

    /// Removes what was not used for longest, and what a process that was killed left half written.
    fn make_room(&self) -> io::Result<()> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            if entry.path().to_string_lossy().ends_with(SUFFIX) {
                let metadata = entry.metadata()?;
                files.push((metadata.modified()?, metadata.len(), entry.path()));
            }
        }
        files.sort_unstable();
        let mut bytes: u64 = files.iter().map(|(_, bytes, _)| bytes).sum();
        for (_, size, path) in files {
            if bytes <= self.max_bytes {
                break;
            }
            // Another process may have been quicker.
            let _ = fs::remove_file(path);
            bytes -= size;
        }
        Ok(())
    }
}

fn users_folder() -> io::Result<PathBuf> {
    let strategy = etcetera::choose_base_strategy().map_err(io::Error::other)?;
    Ok(strategy.cache_dir().join("mortise"))
}

/// Makes a folder that nobody else may write to.
fn create_private(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &[u8] = b"\0asm\x0d\0\x01\0";

    fn artifacts(max_bytes: u64) -> (tempfile::TempDir, Artifacts) {
        let folder = tempfile::tempdir().unwrap();
        let artifacts = Artifacts {
            folder: folder.path().to_owned(),
            max_bytes,
        };
        (folder, artifacts)
    }

    fn files(artifacts: &Artifacts) -> usize {
        fs::read_dir(&artifacts.folder).unwrap().count()
    }

    #[test]
    fn what_was_kept_is_loaded_by_an_engine_like_it_and_by_no_other() {
        let (_folder, artifacts) = artifacts(MAX_BYTES);
        let engine = Engine::default();
        let (digest, other) = (Digest::of(EMPTY), Digest::of(b"other"));
        assert!(artifacts.load(&engine, digest).is_none());
        let component = Component::from_binary(&engine, EMPTY).unwrap();
        artifacts.keep(&engine, digest, &component);
        assert_eq!(files(&artifacts), 1);
        assert!(artifacts.load(&engine, digest).is_some());
        assert!(artifacts.load(&engine, other).is_none());
        let mut config = wasmtime::Config::new();
        config.epoch_interruption(true);
        let interrupted = Engine::new(&config).unwrap();
        assert!(artifacts.load(&interrupted, digest).is_none());
    }

    #[test]
    fn a_file_that_is_no_machine_code_is_written_anew() {
        let (_folder, artifacts) = artifacts(MAX_BYTES);
        let engine = Engine::default();
        let digest = Digest::of(EMPTY);
        fs::write(artifacts.path(&engine, digest), "not machine code").unwrap();
        assert!(artifacts.load(&engine, digest).is_none());
        let component = Component::from_binary(&engine, EMPTY).unwrap();
        artifacts.keep(&engine, digest, &component);
        assert!(artifacts.load(&engine, digest).is_some());
    }

    #[test]
    fn what_was_not_used_for_longest_makes_room() {
        let engine = Engine::default();
        let component = Component::from_binary(&engine, EMPTY).unwrap();
        let size = component.serialize().unwrap().len() as u64;
        let (_folder, artifacts) = artifacts(2 * size);
        let digests: Vec<Digest> = [1_u8, 2, 3].map(|byte| Digest::of(&[byte])).into();
        for (age, digest) in [(3, digests[0]), (2, digests[1])] {
            artifacts.keep(&engine, digest, &component);
            let then = SystemTime::now() - std::time::Duration::from_secs(age);
            let file = File::open(artifacts.path(&engine, digest)).unwrap();
            file.set_modified(then).unwrap();
        }
        // Used last.
        assert!(artifacts.load(&engine, digests[0]).is_some());
        artifacts.keep(&engine, digests[2], &component);
        assert_eq!(files(&artifacts), 2);
        assert!(artifacts.load(&engine, digests[0]).is_some());
        assert!(artifacts.load(&engine, digests[1]).is_none());
    }
}

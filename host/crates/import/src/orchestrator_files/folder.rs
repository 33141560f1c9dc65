//! A folder that is not left.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use mortise_store::Result;

use crate::source;

/// What is expected of the source.
const EXPECTED: &str =
    "the folder orchestrator-files of MCP Task Orchestrator, with .task_orchestrator/tasks";
/// The folder in it that all is in.
const INNER: &str = ".task_orchestrator";
/// The largest file of a task that is read, in bytes (64 MiB).
pub(super) const MAX_TASK_BYTES: u64 = 64 << 20;

/// The orchestrator's folder. Paths are relative to it.
pub(super) struct Folder {
    root: PathBuf,
}

impl Folder {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let root = source::folder(path, EXPECTED)?;
        let mut folder = Self { root };
        if folder.is_folder(INNER) {
            folder.root.push(INNER);
            // Where it is a link that stays inside.
            folder.root = source::folder(&folder.root, EXPECTED)?;
        }
        match folder.is_folder("tasks") {
            true => Ok(folder),
            false => Err(source::wrong(path, "it has no tasks", EXPECTED)),
        }
    }

    pub(super) fn is_file(&self, path: &Path) -> bool {
        self.inside(path).is_ok_and(|path| path.is_file())
    }

    fn is_folder(&self, path: &str) -> bool {
        self.inside(path.as_ref()).is_ok_and(|path| path.is_dir())
    }

    /// The paths of what is in a folder, by name; none where there is no such folder.
    pub(super) fn list(&self, path: &Path) -> Result<Vec<PathBuf>, String> {
        let names = match self.inside(path).and_then(fs::read_dir) {
            Ok(entries) => entries
                .map(|entry| Ok(entry?.file_name()))
                .collect::<io::Result<Vec<_>>>(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error),
        };
        let mut names = names.map_err(|error| format!("the folder cannot be read: {error}"))?;
        names.sort();
        Ok(names.iter().map(|name| path.join(name)).collect())
    }

    /// The bytes of a file that has no more than `most`.
    pub(super) fn read(&self, path: &Path, most: u64) -> Result<Vec<u8>, String> {
        let unreadable = |error: io::Error| format!("the file cannot be read: {error}");
        let whole = self.inside(path).map_err(unreadable)?;
        // What is no file may have no end, or keep its reader waiting.
        if !whole.is_file() {
            return Err("it is no file".to_owned());
        }
        let bytes = source::bytes(&whole, most).map_err(unreadable)?;
        bytes.ok_or_else(|| format!("the file has more than {most} bytes"))
    }

    /// The whole path of something in the folder.
    fn inside(&self, path: &Path) -> io::Result<PathBuf> {
        let whole = fs::canonicalize(self.root.join(path))?;
        match whole.starts_with(&self.root) {
            true => Ok(whole),
            false => Err(io::Error::other("it leads out of the folder")),
        }
    }
}

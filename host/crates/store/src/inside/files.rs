//! Files beside others, and what makes a rename last.

use std::fs::File;
use std::path::{Path, PathBuf};

/// `FILE` and a suffix.
pub fn beside(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// The folder that a file is in.
pub fn folder_of(file: &Path) -> &Path {
    match file.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

/// A renamed file is there after a power failure once its folder is on disk.
pub fn sync_folder_of(file: &Path) -> std::io::Result<()> {
    File::open(folder_of(file))?.sync_all()
}

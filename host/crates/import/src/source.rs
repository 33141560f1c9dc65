//! Files and folders of older stores.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use mortise_store::inside::ErrorInside as _;
use mortise_store::{Error, ErrorKind, Operation, Result};

/// The whole path of a file, which must be there. `expected` says what it is.
pub(crate) fn file(path: &Path, expected: &str) -> Result<PathBuf> {
    let (whole, is_file) = look(path, expected, fs::Metadata::is_file)?;
    match is_file {
        true => Ok(whole),
        false => Err(wrong(path, "it is no file", expected)),
    }
}

/// The whole path of a folder, which must be there.
pub(crate) fn folder(path: &Path, expected: &str) -> Result<PathBuf> {
    let (whole, is_folder) = look(path, expected, fs::Metadata::is_dir)?;
    match is_folder {
        true => Ok(whole),
        false => Err(wrong(path, "it is no folder", expected)),
    }
}

fn look(path: &Path, expected: &str, is: fn(&fs::Metadata) -> bool) -> Result<(PathBuf, bool)> {
    let found = fs::canonicalize(path).and_then(|whole| {
        let is = is(&fs::metadata(&whole)?);
        Ok((whole, is))
    });
    found.map_err(|error| unreadable(path, expected, error))
}

/// A source that is not what was asked for.
pub(crate) fn wrong(path: &Path, what: &str, expected: &str) -> Error {
    let message = format!("{}: {what}, expected {expected}", path.display());
    Error::invalid(Operation::Import, message)
}

/// A source that is not there, or that this process may not read.
pub(crate) fn unreadable(path: &Path, expected: &str, error: io::Error) -> Error {
    let message = format!("{} cannot be read, expected {expected}", path.display());
    Error::new(ErrorKind::Io, Operation::Import, message).with_source(error)
}

/// The bytes of a file; none where they are more than `most`.
pub(crate) fn bytes(path: &Path, most: u64) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    let file = File::open(path)?;
    file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 <= most).then_some(bytes))
}

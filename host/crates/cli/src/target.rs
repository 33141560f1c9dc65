//! Files that take their place only once they are whole.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// A file that takes its place only once it is whole.
pub struct Target<'a> {
    pub file: File,
    place: &'a Path,
    /// Where it is until then; none where the place is no regular file, but a device or a pipe.
    temporary: Option<PathBuf>,
}

impl<'a> Target<'a> {
    pub fn open(place: &'a Path) -> io::Result<Self> {
        if fs::metadata(place).is_ok_and(|there| !there.is_file()) {
            let file = File::options().write(true).open(place)?;
            return Ok(Self {
                file,
                place,
                temporary: None,
            });
        }
        let name = place.file_name().ok_or(io::ErrorKind::IsADirectory)?;
        let mut temporary = name.to_os_string();
        temporary.push(format!(".{}.partial", std::process::id()));
        let temporary = place.with_file_name(temporary);
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(true);
        let file = options.open(&temporary)?;
        Ok(Self {
            file,
            place,
            temporary: Some(temporary),
        })
    }

    /// Whether what was written can be read back: not from a device or a pipe.
    pub fn is_regular(&self) -> bool {
        self.temporary.is_some()
    }

    /// Puts the file into its place, on disk.
    pub fn keep(mut self) -> io::Result<()> {
        let Some(temporary) = &self.temporary else {
            return self.file.flush();
        };
        self.file.sync_all()?;
        fs::rename(temporary, self.place)?;
        self.temporary = None;
        match self.place.parent() {
            // The name is the folder's. Not every system can sync a folder.
            Some(folder) if cfg!(unix) => {
                let here = folder.as_os_str().is_empty();
                File::open(if here { Path::new(".") } else { folder })?.sync_all()
            }
            _ => Ok(()),
        }
    }
}

/// Removes what is not whole.
impl Drop for Target<'_> {
    fn drop(&mut self) {
        if let Some(temporary) = &self.temporary {
            let _ = fs::remove_file(temporary);
        }
    }
}

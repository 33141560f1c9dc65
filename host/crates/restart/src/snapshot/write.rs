//! How the old process writes a snapshot.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use mortise_store::Timestamp;
use mortise_store::inside::{beside, sync_folder_of};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::format::{
    CHUNK_BYTES, Content, Contents, FORMAT, Header, Section, VERSION, digest, trailer,
};

/// A snapshot that is being written. What is written to it belongs to the section that was begun last.
pub(crate) struct Writer {
    place: PathBuf,
    partial: PathBuf,
    file: BufWriter<File>,
    sha256: Sha256,
    written: u64,
    ends_with: u8,
    sections: Vec<Section>,
}

impl Writer {
    /// Begins the snapshot that is to take the name `place`. Blocks, as all that follow.
    pub(crate) fn create(
        place: &Path,
        restart: u64,
        at: Timestamp,
        process: u32,
    ) -> io::Result<Self> {
        let partial = beside(place, ".partial");
        let mut options = File::options();
        options.write(true).create(true).truncate(true);
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&partial)?;
        let mut writer = Self {
            place: place.to_owned(),
            partial,
            file: BufWriter::with_capacity(CHUNK_BYTES, file),
            sha256: Sha256::new(),
            written: 0,
            ends_with: 0,
            sections: Vec::new(),
        };
        writer.line(&Header {
            format: FORMAT.to_owned(),
            version: VERSION,
            restart,
            at,
            process,
        })?;
        Ok(writer)
    }

    /// Begins a section.
    pub(crate) fn begin(&mut self, content: Content) -> io::Result<()> {
        self.end_section()?;
        self.sections.push(Section {
            content,
            offset: self.written,
            bytes: 0,
        });
        Ok(())
    }

    /// Ends the file, brings it to the disk, and gives it its name; how many bytes it has.
    pub(crate) fn keep(mut self) -> io::Result<u64> {
        self.end_section()?;
        let sections = std::mem::take(&mut self.sections);
        self.line(&Contents { sections })?;
        let trailer = trailer(digest(self.sha256.clone()));
        self.write_all(trailer.as_bytes())?;
        let file = self
            .file
            .into_inner()
            .map_err(io::IntoInnerError::into_error)?;
        file.sync_all()?;
        fs::rename(&self.partial, &self.place)?;
        sync_folder_of(&self.place)?;
        Ok(self.written)
    }

    /// Notes how long the section is that was begun last, and begins a new line.
    fn end_section(&mut self) -> io::Result<()> {
        let Some(section) = self.sections.last_mut() else {
            return Ok(());
        };
        section.bytes = self.written - section.offset;
        match self.ends_with {
            b'\n' => Ok(()),
            _ => self.write_all(b"\n"),
        }
    }

    fn line(&mut self, line: &impl Serialize) -> io::Result<()> {
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        self.write_all(&text)
    }
}

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.file.write(bytes)?;
        let written = &bytes[..count];
        self.sha256.update(written);
        self.written += count as u64;
        self.ends_with = written.last().copied().unwrap_or(self.ends_with);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

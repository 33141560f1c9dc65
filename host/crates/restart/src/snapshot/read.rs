//! How the new process finds a snapshot whole, and reads it.

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use mortise_store::inside::{ErrorInside as _, beside, sync_folder_of};
use mortise_store::{Digest, Error, ErrorKind, Operation, Result};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::format::{CHUNK_BYTES, Contents, FORMAT, Header, Section, VERSION, digest, trailer};

/// How long the header may be.
const MAX_HEADER_BYTES: u64 = 4096;

/// A snapshot that was read to its end and found to be whole.
#[derive(Debug)]
pub(crate) struct Luggage {
    pub(crate) header: Header,
    pub(crate) sections: Vec<Section>,
    place: PathBuf,
    file: File,
}

impl Luggage {
    /// Opens and verifies the snapshot at `place`; none where there is none. Blocks.
    ///
    /// # Errors
    ///
    /// `Invalid` where it was cut, changed, or is of another version: nothing of it is used then. `Io` where it
    /// cannot be read.
    pub(crate) fn open(place: &Path) -> Result<Option<Self>> {
        let file = match File::open(place) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unreadable(place, error)),
        };
        match verify(&file) {
            Ok(Ok((header, sections))) => Ok(Some(Self {
                header,
                sections,
                place: place.to_owned(),
                file,
            })),
            Ok(Err(what)) => Err(refused(place, &what)),
            Err(error) => Err(unreadable(place, error)),
        }
    }

    /// Reads a section. One at a time: they share the file's position.
    pub(crate) fn read(&self, section: &Section) -> Result<BufReader<io::Take<File>>> {
        let opened = self.file.try_clone().and_then(|mut file| {
            file.seek(SeekFrom::Start(section.offset))?;
            Ok(BufReader::new(file.take(section.bytes)))
        });
        opened.map_err(|error| unreadable(&self.place, error))
    }

    /// An error about this snapshot.
    pub(crate) fn refuse(&self, what: &str) -> Error {
        refused(&self.place, what)
    }
}

/// Removes the snapshot at `place`, if there is one, for good. Blocks.
pub(crate) fn remove(place: &Path) -> Result<()> {
    let removed = match fs::remove_file(place) {
        Ok(()) => sync_folder_of(place),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    };
    removed.map_err(|error| {
        let what = format!("the snapshot {} cannot be removed", place.display());
        Error::new(ErrorKind::Io, Operation::Restart, what).with_source(error)
    })
}

/// Moves a snapshot that was refused out of the way, for whoever wants to look at it; where to. Blocks.
pub(crate) fn set_aside(place: &Path) -> Result<PathBuf> {
    let aside = beside(place, ".refused");
    let moved = fs::rename(place, &aside).and_then(|()| sync_folder_of(place));
    moved.map_err(|error| {
        let what = format!("the snapshot {} cannot be moved away", place.display());
        Error::new(ErrorKind::Io, Operation::Restart, what).with_source(error)
    })?;
    Ok(aside)
}

/// Reads all of a file; what is wrong with it, or what it has.
fn verify(file: &File) -> io::Result<Result<(Header, Vec<Section>), String>> {
    let mut reader = BufReader::with_capacity(CHUNK_BYTES, file);
    let mut first = Vec::new();
    (&mut reader)
        .take(MAX_HEADER_BYTES)
        .read_until(b'\n', &mut first)?;
    let header = match header(&first) {
        Ok(header) => header,
        Err(what) => return Ok(Err(what)),
    };
    let cut = || Ok(Err("is cut: it does not end as a snapshot does".to_owned()));
    let trailer_bytes = trailer(Digest::of(&[])).len() as u64;
    let length = file.metadata()?.len();
    let Some(body) = length.checked_sub(trailer_bytes) else {
        return cut();
    };
    let Some(rest) = body.checked_sub(first.len() as u64) else {
        return cut();
    };
    let mut sha256 = Sha256::new();
    sha256.update(&first);
    let last_line = hash(&mut reader, rest, &mut sha256)?;
    let mut found = Vec::new();
    reader.read_to_end(&mut found)?;
    if found != trailer(digest(sha256)).as_bytes() {
        return Ok(Err(
            "has another digest than its content: it was changed, or cut".to_owned(),
        ));
    }
    let Some(last_line) = last_line else {
        return cut();
    };
    let contents: Contents = match serde_json::from_slice(&last_line) {
        Ok(contents) => contents,
        Err(error) => return Ok(Err(format!("has no contents: {error}"))),
    };
    let inside = |section: &Section| {
        let end = section.offset.checked_add(section.bytes);
        end.is_some_and(|end| end <= body)
    };
    Ok(match contents.sections.iter().all(inside) {
        true => Ok((header, contents.sections)),
        false => Err("has a section that is outside of it".to_owned()),
    })
}

fn header(line: &[u8]) -> Result<Header, String> {
    /// What every version has.
    #[derive(Deserialize)]
    struct Known {
        format: String,
        version: u64,
    }
    let known = serde_json::from_slice(line).ok();
    let known = known.filter(|known: &Known| known.format == FORMAT);
    let version = known.ok_or("is none: its first line is another")?.version;
    if version != VERSION {
        return Err(format!(
            "has version {version}, this program knows {VERSION}"
        ));
    }
    serde_json::from_slice(line).map_err(|error| format!("has a header that is none: {error}"))
}

/// Hashes the next `bytes`; the last line of them, without its end, if they end with a line.
fn hash(
    reader: &mut impl io::BufRead,
    mut bytes: u64,
    sha256: &mut Sha256,
) -> io::Result<Option<Vec<u8>>> {
    let (mut line, mut ended) = (Vec::new(), false);
    while bytes > 0 {
        let available = reader.fill_buf()?;
        let count = available
            .len()
            .min(usize::try_from(bytes).unwrap_or(usize::MAX));
        if count == 0 {
            return Ok(None);
        }
        let chunk = &available[..count];
        sha256.update(chunk);
        for part in chunk.split_inclusive(|byte| *byte == b'\n') {
            if std::mem::take(&mut ended) {
                line.clear();
            }
            ended = part.ends_with(b"\n");
            line.extend_from_slice(part);
        }
        reader.consume(count);
        bytes -= count as u64;
    }
    Ok(ended.then_some(line))
}

fn refused(place: &Path, what: &str) -> Error {
    let what = format!("the snapshot {} {what}", place.display());
    Error::invalid(Operation::Restart, what)
        .with_hint("nothing of it is used, and what was in it is lost unless the old process lives")
}

fn unreadable(place: &Path, error: io::Error) -> Error {
    let what = format!("the snapshot {} cannot be read", place.display());
    Error::new(ErrorKind::Io, Operation::Restart, what).with_source(error)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::super::format::Content;
    use super::super::write::Writer;
    use super::*;

    fn place() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("restart.snapshot");
        (folder, place)
    }

    fn store(name: &str) -> Content {
        Content::Store {
            name: name.to_owned(),
            backend: "memory".to_owned(),
            namespace: "default".to_owned(),
        }
    }

    fn write(place: &Path, sections: &[(Content, &[u8])]) -> Vec<u8> {
        let mut writer = Writer::create(place, 7, 1_000, 4711).unwrap();
        for (content, bytes) in sections {
            writer.begin(content.clone()).unwrap();
            writer.write_all(bytes).unwrap();
        }
        let bytes = writer.keep().unwrap();
        let file = fs::read(place).unwrap();
        assert_eq!(file.len() as u64, bytes);
        file
    }

    fn what(place: &Path) -> String {
        Luggage::open(place).unwrap_err().to_string()
    }

    #[test]
    fn every_section_comes_back_as_it_was_written() {
        let (_folder, place) = place();
        let all: Vec<u8> = (0..=255).collect();
        let sections: [(Content, &[u8]); 5] = [
            (store("a"), b"{\"one\":1}\n{\"two\":2}\n"),
            (store("b"), b""),
            (Content::Part("stdin".to_owned()), b"half a li"),
            (Content::Part("bytes".to_owned()), &all),
            (Content::Part("lines".to_owned()), b"\n\n\n"),
        ];
        write(&place, &sections);
        let snapshot = Luggage::open(&place).unwrap().unwrap();
        assert_eq!(
            (snapshot.header.restart, snapshot.header.process),
            (7, 4711)
        );
        assert_eq!(snapshot.sections.len(), sections.len());
        for (section, (content, bytes)) in snapshot.sections.iter().zip(sections).rev() {
            let mut read = Vec::new();
            let mut reader = snapshot.read(section).unwrap();
            reader.read_to_end(&mut read).unwrap();
            assert_eq!((&section.content, &*read), (&content, bytes));
        }
    }

    #[test]
    fn a_snapshot_of_nothing_is_whole_and_where_there_is_none_there_is_none() {
        let (_folder, place) = place();
        assert!(Luggage::open(&place).unwrap().is_none());
        write(&place, &[]);
        assert_eq!(Luggage::open(&place).unwrap().unwrap().sections, []);
        remove(&place).unwrap();
        remove(&place).unwrap();
        assert!(Luggage::open(&place).unwrap().is_none());
    }

    #[test]
    fn wherever_it_is_cut_it_is_refused() {
        let (_folder, place) = place();
        let whole = write(&place, &[(store("a"), b"{\"one\":1}\n")]);
        for length in 0..whole.len() {
            fs::write(&place, &whole[..length]).unwrap();
            assert!(Luggage::open(&place).is_err(), "cut at {length}");
        }
        fs::write(&place, [&*whole, b"\n"].concat()).unwrap();
        assert!(Luggage::open(&place).is_err(), "longer");
    }

    #[test]
    fn whichever_bit_is_changed_it_is_refused() {
        let (_folder, place) = place();
        let whole = write(&place, &[(store("a"), b"{\"one\":1}\n")]);
        for index in 0..whole.len() {
            for bit in 0..8 {
                let mut changed = whole.clone();
                changed[index] ^= 1 << bit;
                fs::write(&place, changed).unwrap();
                assert!(Luggage::open(&place).is_err(), "bit {bit} of byte {index}");
            }
        }
    }

    #[test]
    fn what_is_refused_is_named_with_the_reason() {
        let (_folder, place) = place();
        let whole = write(&place, &[(store("a"), b"{\"one\":1}\n")]);
        let text = String::from_utf8(whole).unwrap();
        for (changed, expected) in [
            (String::new(), "is none: its first line is another"),
            (text.replace("mortise-restart", "mortise-export"), "is none"),
            (
                text.replace("\"version\":1", "\"version\":2"),
                "has version 2, this program knows 1",
            ),
            (text.replace("\"one\":1", "\"one\":2"), "it was changed"),
            (text[..text.len() / 2].to_owned(), "cut"),
        ] {
            fs::write(&place, changed).unwrap();
            let what = what(&place);
            assert!(what.contains(expected), "{what}");
            assert!(what.contains("restart.snapshot"), "{what}");
        }
        let aside = set_aside(&place).unwrap();
        assert!(aside.ends_with("restart.snapshot.refused") && aside.exists());
        assert!(Luggage::open(&place).unwrap().is_none());
    }

    #[test]
    fn one_that_is_not_whole_has_no_name_yet() {
        let (_folder, place) = place();
        let mut writer = Writer::create(&place, 7, 1_000, 4711).unwrap();
        writer.begin(store("a")).unwrap();
        writer.write_all(b"{}\n").unwrap();
        drop(writer);
        assert!(Luggage::open(&place).unwrap().is_none());
    }

    #[test]
    fn nobody_else_reads_it() {
        use std::os::unix::fs::PermissionsExt as _;
        let (_folder, place) = place();
        write(&place, &[]);
        let mode = fs::metadata(&place).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

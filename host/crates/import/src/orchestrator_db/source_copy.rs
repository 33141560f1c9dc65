//! A database as it is, read without a trace.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use mortise_store::inside::ErrorInside as _;
use mortise_store::{Error, ErrorKind, Operation, Result};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::{Connection, OpenFlags};
use tempfile::TempDir;

use super::EXPECTED;
use crate::source;

/// What SQLite keeps beside a file: commits that are not in it yet, and how to undo one that was cut off.
const COMPANIONS: [&str; 2] = ["-wal", "-journal"];
/// How the file begins.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";
/// How much of a companion tells one from the next: its header, with its salts.
const HEADER_BYTES: u64 = 32;
/// How often a copy is begun that others write into.
const COPIES: usize = 5;
/// What every row may have, so that the schema can always be read, in bytes (1 MiB).
const LEAST_ROW_BYTES: u64 = 1 << 20;
/// What a path has in SQLite's URIs as it is.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'.')
    .remove(b'_')
    .remove(b'-');

/// A database that is open for reading: the file itself, where nobody writes to it, else a copy.
pub(super) struct SourceCopy {
    pub(super) connection: Connection,
    /// Where the copy is. Dropped after the connection.
    copy: Option<TempDir>,
    file: PathBuf,
    state: State,
}

/// Whether a file was written to.
#[derive(PartialEq)]
struct State {
    bytes: u64,
    modified: Option<SystemTime>,
    /// The headers of the companions; none of one that is missing or empty.
    companions: [Option<Vec<u8>>; 2],
}

impl SourceCopy {
    /// `named` is what the caller calls the file `whole`. A row may have `most` bytes.
    pub(super) fn open(named: &Path, whole: &Path, most: u64) -> Result<Self> {
        let unreadable = |error: io::Error| source::unreadable(named, EXPECTED, error);
        let mut magic = Vec::new();
        let mut file = File::open(whole)
            .map_err(unreadable)?
            .take(MAGIC.len() as u64);
        file.read_to_end(&mut magic).map_err(unreadable)?;
        if magic != MAGIC {
            return Err(source::wrong(named, "it is no SQLite file", EXPECTED));
        }
        let (copy, state) = settle(whole).map_err(unreadable)?.ok_or_else(|| {
            let what = format!("{} is written to while it is copied", named.display());
            busy(what)
        })?;
        let connection = match &copy {
            None => read_only(whole),
            Some(folder) => Connection::open_with_flags(
                folder.path().join(COPY),
                OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
            ),
        };
        let connection = connection.and_then(|connection| {
            harden(&connection, most)?;
            Ok(connection)
        });
        let connection = connection.map_err(|error| {
            let what = format!("it cannot be opened: {error}");
            source::wrong(named, &what, EXPECTED)
        })?;
        Ok(Self {
            connection,
            copy,
            file: whole.to_owned(),
            state,
        })
    }

    /// Fails where the file was written to while it was read, which SQLite was told nobody does.
    pub(super) fn check(&self) -> Result<()> {
        if self.copy.is_some() || State::of(&self.file).is_ok_and(|state| state == self.state) {
            return Ok(());
        }
        Err(busy(
            "the database was written to while it was read".to_owned(),
        ))
    }
}

impl State {
    fn of(file: &Path) -> io::Result<Self> {
        let about = fs::metadata(file)?;
        let [wal, journal] = COMPANIONS.map(|suffix| header(&beside(file, suffix)));
        Ok(Self {
            bytes: about.len(),
            modified: about.modified().ok(),
            companions: [wal?, journal?],
        })
    }
}

/// What the file is called in a folder of copies.
const COPY: &str = "copy.db";

/// Copies a file that has companions, until nobody wrote to it meanwhile; none where somebody always did.
fn settle(file: &Path) -> io::Result<Option<(Option<TempDir>, State)>> {
    for _ in 0..COPIES {
        let state = State::of(file)?;
        if state.companions == [None, None] {
            return Ok(Some((None, state)));
        }
        let folder = private_folder()?;
        let copy = folder.path().join(COPY);
        // The file before its companions: what reaches the file only now is in them, unless they begin anew.
        copy_bytes(file, &copy)?;
        let companions = COMPANIONS.iter().zip(&state.companions);
        for (suffix, _) in companions.filter(|(_, header)| header.is_some()) {
            match copy_bytes(&beside(file, suffix), &beside(&copy, suffix)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                copied => copied?,
            }
        }
        if State::of(file)? == state {
            return Ok(Some((Some(folder), state)));
        }
    }
    Ok(None)
}

/// Not by `fs::copy`: the copy of a file that may only be read may be written to.
fn copy_bytes(from: &Path, to: &Path) -> io::Result<()> {
    let mut from = File::open(from)?;
    io::copy(&mut from, &mut File::create_new(to)?)?;
    Ok(())
}

/// A folder that nobody else may read.
fn private_folder() -> io::Result<TempDir> {
    let mut folder = tempfile::Builder::new();
    folder.prefix("mortise-import-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        folder.permissions(fs::Permissions::from_mode(0o700));
    }
    folder.tempdir()
}

/// A file that nobody writes to: without locks, and without the files that SQLite makes for readers.
fn read_only(file: &Path) -> rusqlite::Result<Connection> {
    let path = percent_encode(file.as_os_str().as_encoded_bytes(), PLAIN);
    Connection::open_with_flags(
        format!("file:{path}?mode=ro&immutable=1"),
        OpenFlags::SQLITE_OPEN_READ_ONLY
            | OpenFlags::SQLITE_OPEN_URI
            | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )
}

/// The file is somebody else's: nothing in its schema is run, and no row takes all memory.
fn harden(connection: &Connection, most: u64) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    let most = i32::try_from(most.max(LEAST_ROW_BYTES)).unwrap_or(i32::MAX);
    connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, most)?;
    connection.pragma_update(None, "cell_size_check", true)
}

fn header(file: &Path) -> io::Result<Option<Vec<u8>>> {
    let mut header = Vec::new();
    match File::open(file) {
        Ok(file) => file.take(HEADER_BYTES).read_to_end(&mut header)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
        Err(error) => return Err(error),
    };
    Ok((!header.is_empty()).then_some(header))
}

fn beside(file: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(file);
    name.push(suffix);
    name.into()
}

fn busy(what: String) -> Error {
    Error::new(ErrorKind::Unavailable, Operation::Import, what)
        .with_hint("import again while nobody writes to it")
}

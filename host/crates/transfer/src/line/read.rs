//! The lines of an export are read.

use std::io::{self, BufRead, Read as _};

use mortise_store::inside::{ErrorInside as _, json};
use mortise_store::{Digest, Error, ErrorKind, Operation, Revision, Store, Stored};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::{FORMAT, Trailer, VERSION, digest_of};

/// How many bytes of JSON a byte of a record can take: a control character is written `\u0000`.
const ESCAPED_BYTES: u64 = 6;
/// What a line can have beside the body: 4,096 attributes and the key, all of them escaped, and names.
const MAX_LINE_OVERHEAD: u64 = 32 << 20;
/// How much of what a line has wrong is quoted, in bytes.
const MAX_QUOTED_BYTES: usize = 400;

#[derive(Deserialize)]
struct HeaderIn {
    format: String,
    version: u64,
    #[serde(default)]
    revision: Option<Revision>,
}

/// Why an export cannot be read on.
#[derive(Debug)]
pub struct BadLine {
    /// The line, counted from 1.
    pub line: u64,
    /// What is there, and what was expected.
    pub what: String,
    /// Where reading itself failed.
    pub source: Option<io::Error>,
}

impl BadLine {
    /// As an error; `after` tells what was done before.
    pub fn into_error(self, operation: Operation, after: &str) -> Error {
        let message = format!("line {}: {}; {after}", self.line, self.what);
        match self.source {
            Some(source) => Error::new(ErrorKind::Io, operation, message).with_source(source),
            None => Error::invalid(operation, message),
        }
    }
}

/// How many bytes a line of a record can have that `store` takes.
pub fn longest_line(store: &Store) -> u64 {
    let body = store.max_body_bytes().saturating_mul(ESCAPED_BYTES);
    body.saturating_add(MAX_LINE_OVERHEAD)
}

/// Reads an export record by record.
pub struct Reader<R> {
    from: R,
    longest: u64,
    line: Vec<u8>,
    number: u64,
    records: u64,
    revision: Option<Revision>,
    /// Of the lines so far.
    sha256: Sha256,
    /// What the trailer says it is, once it was read.
    digest: Option<Digest>,
}

impl<R: BufRead> Reader<R> {
    /// Checks the header. A line may have `longest` bytes.
    pub fn new(from: R, longest: u64) -> Result<Self, BadLine> {
        let mut reader = Self {
            from,
            longest,
            line: Vec::new(),
            number: 0,
            records: 0,
            revision: None,
            sha256: Sha256::new(),
            digest: None,
        };
        if !reader.advance()? {
            return Err(reader.fault("the file is empty, expected the header of an export"));
        }
        let header: HeaderIn = serde_json::from_slice(&reader.line).map_err(|error| {
            reader.fault(format!(
                "expected the header of an export: {}",
                explain(&error)
            ))
        })?;
        if header.format != FORMAT {
            let found = quote(&header.format);
            return Err(reader.fault(format!("the format is {found:?}, expected {FORMAT:?}")));
        }
        if header.version != VERSION {
            let found = header.version;
            return Err(reader.fault(format!(
                "the format has version {found}, expected {VERSION}"
            )));
        }
        reader.revision = header.revision;
        reader.sha256.update(&reader.line);
        Ok(reader)
    }

    /// The line that was read last, counted from 1.
    pub fn line(&self) -> u64 {
        self.number
    }

    /// The revision that the header names.
    pub fn revision(&self) -> Option<Revision> {
        self.revision
    }

    /// Once the trailer was read: what it says of the lines before, which was found to be so.
    pub fn digest(&self) -> Option<Digest> {
        self.digest
    }

    /// The next record; none once the trailer was read, which must be right and the last line.
    pub fn next(&mut self) -> Result<Option<Stored>, BadLine> {
        if !self.advance()? {
            return Err(self.fault(
                "the file ends without the trailer of an export, expected {\"end\":…}: it was cut off",
            ));
        }
        let damage = match serde_json::from_slice::<json::Record>(&self.line) {
            Ok(record) => {
                self.records += 1;
                self.sha256.update(&self.line);
                return record
                    .into_stored()
                    .map(Some)
                    .map_err(|what| self.fault(what));
            }
            Err(damage) => damage,
        };
        let Ok(Trailer { end }) = serde_json::from_slice(&self.line) else {
            return Err(self.fault(format!("expected a record: {}", explain(&damage))));
        };
        if end.records != self.records {
            let (says, has) = (end.records, self.records);
            return Err(self.fault(format!(
                "the trailer counts {says} records, the file has {has}"
            )));
        }
        let found = digest_of(std::mem::take(&mut self.sha256));
        if end.sha256.is_some_and(|digest| digest != found) {
            return Err(self.fault(
                "the trailer has another sha256 than the lines before it: one of them was changed",
            ));
        }
        self.digest = end.sha256;
        if self.advance()? {
            return Err(self.fault("expected the end of the file after the trailer"));
        }
        Ok(None)
    }

    /// Reads the next line; false at the end.
    fn advance(&mut self) -> Result<bool, BadLine> {
        self.line.clear();
        // One byte more tells a line that is too long from one that just fits.
        let bytes = (&mut self.from)
            .take(self.longest.saturating_add(1))
            .read_until(b'\n', &mut self.line)
            .map_err(|error| BadLine {
                line: self.number + 1,
                what: "the file cannot be read".to_owned(),
                source: Some(error),
            })?;
        self.number += 1;
        if bytes as u64 > self.longest {
            return Err(self.fault(format!(
                "it has more than the {} bytes of a record",
                self.longest
            )));
        }
        Ok(bytes > 0)
    }

    fn fault(&self, what: impl Into<String>) -> BadLine {
        BadLine {
            line: self.number,
            what: what.into(),
            source: None,
        }
    }
}

/// What serde says, without its own count of lines: it sees one line.
fn explain(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rsplit_once(" at line ") {
        Some((what, _)) if error.line() > 0 => {
            format!("{} at column {}", quote(what), error.column())
        }
        _ => quote(&text).to_owned(),
    }
}

/// As much of it as an error shows.
pub fn quote(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_QUOTED_BYTES)]
}

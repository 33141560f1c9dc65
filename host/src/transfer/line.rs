//! The lines of an export: header, record, trailer.

use std::io::{self, BufRead, Read as _};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::error::{Error, ErrorKind, Operation};
use crate::manifest::{CONTRACT_VERSION, Digest};
use crate::record::{Revision, Stored};
use crate::store::Store;
use crate::wire;

/// What the header calls the format.
const FORMAT: &str = "mortise-export";
/// The version of the format that this is.
const VERSION: u64 = 1;
/// How many bytes of JSON a byte of a record can take: a control character is written `\u0000`.
const ESCAPED_BYTES: u64 = 6;
/// What a line can have beside the body: 4,096 attributes and the key, all of them escaped, and names.
const MAX_LINE_OVERHEAD: u64 = 32 << 20;
/// How much of what a line has wrong is quoted, in bytes.
const MAX_QUOTED_BYTES: usize = 400;

#[derive(Serialize)]
struct HeaderOut {
    format: &'static str,
    version: u64,
    contract: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    revision: Option<Revision>,
}

#[derive(Deserialize)]
struct HeaderIn {
    format: String,
    version: u64,
    #[serde(default)]
    revision: Option<Revision>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Trailer {
    end: End,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct End {
    records: u64,
    /// Of all lines before. What others wrote may lack it.
    #[serde(default)]
    sha256: Option<Digest>,
}

/// Appends the first line; `revision` is the store's last, where it is as of one.
pub(super) fn write_header(to: &mut Vec<u8>, revision: Option<Revision>) -> io::Result<()> {
    write(
        to,
        &HeaderOut {
            format: FORMAT,
            version: VERSION,
            contract: CONTRACT_VERSION,
            revision,
        },
    )
}

/// Appends a record's line.
pub(super) fn write_record(to: &mut Vec<u8>, stored: &Stored) -> io::Result<()> {
    write(to, &wire::Record::of(stored))
}

/// Appends the last line; `sha256` is of all lines before.
pub(super) fn write_trailer(to: &mut Vec<u8>, records: u64, sha256: Digest) -> io::Result<()> {
    let sha256 = Some(sha256);
    write(
        to,
        &Trailer {
            end: End { records, sha256 },
        },
    )
}

fn write(to: &mut Vec<u8>, line: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *to, line)?;
    to.push(b'\n');
    Ok(())
}

/// Why an export cannot be read on.
#[derive(Debug)]
pub(super) struct Fault {
    /// The line, counted from 1.
    pub(super) line: u64,
    /// What is there, and what was expected.
    pub(super) what: String,
    /// Where reading itself failed.
    pub(super) source: Option<io::Error>,
}

impl Fault {
    /// As an error; `after` tells what was done before.
    pub(super) fn into_error(self, operation: Operation, after: &str) -> Error {
        let message = format!("line {}: {}; {after}", self.line, self.what);
        match self.source {
            Some(source) => Error::new(ErrorKind::Io, operation, message).with_source(source),
            None => Error::invalid(operation, message),
        }
    }
}

/// How many bytes a line of a record can have that `store` takes.
pub(super) fn longest_line(store: &Store) -> u64 {
    let body = store.max_body_bytes().saturating_mul(ESCAPED_BYTES);
    body.saturating_add(MAX_LINE_OVERHEAD)
}

/// Reads an export record by record.
pub(super) struct Reader<R> {
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
    pub(super) fn new(from: R, longest: u64) -> Result<Self, Fault> {
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
    pub(super) fn line(&self) -> u64 {
        self.number
    }

    /// The revision that the header names.
    pub(super) fn revision(&self) -> Option<Revision> {
        self.revision
    }

    /// Once the trailer was read: what it says of the lines before, which was found to be so.
    pub(super) fn digest(&self) -> Option<Digest> {
        self.digest
    }

    /// The next record; none once the trailer was read, which must be right and the last line.
    pub(super) fn next(&mut self) -> Result<Option<Stored>, Fault> {
        if !self.advance()? {
            return Err(self.fault(
                "the file ends without the trailer of an export, expected {\"end\":…}: it was cut off",
            ));
        }
        let damage = match serde_json::from_slice::<wire::Record>(&self.line) {
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
        let found = Digest::finish(std::mem::take(&mut self.sha256));
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
    fn advance(&mut self) -> Result<bool, Fault> {
        self.line.clear();
        // One byte more tells a line that is too long from one that just fits.
        let bytes = (&mut self.from)
            .take(self.longest.saturating_add(1))
            .read_until(b'\n', &mut self.line)
            .map_err(|error| Fault {
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

    fn fault(&self, what: impl Into<String>) -> Fault {
        Fault {
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
pub(super) fn quote(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_QUOTED_BYTES)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Attribute, Draft, Key, Stamp};

    fn stored(id: &str, body: &[u8]) -> Stored {
        let mut draft = Draft::new(Key::new("task", id), body);
        draft.attributes = vec![
            Attribute::new("b", ""),
            Attribute::new("a", "\0\u{1F980}\n"),
        ];
        let stamp = Stamp {
            create_revision: 1,
            mod_revision: u64::MAX,
            created_at: 0,
            updated_at: 7,
        };
        Stored { draft, stamp }
    }

    fn exported(records: &[Stored]) -> Vec<u8> {
        let mut file = Vec::new();
        write_header(&mut file, None).unwrap();
        for record in records {
            write_record(&mut file, record).unwrap();
        }
        let sha256 = Digest::of(&file);
        write_trailer(&mut file, records.len() as u64, sha256).unwrap();
        file
    }

    fn read(file: &[u8]) -> Result<Vec<Stored>, Fault> {
        let mut reader = Reader::new(file, 1 << 20)?;
        let mut records = Vec::new();
        while let Some(record) = reader.next()? {
            records.push(record);
        }
        Ok(records)
    }

    fn fault(file: &str) -> (u64, String) {
        let fault = read(file.as_bytes()).unwrap_err();
        (fault.line, fault.what)
    }

    const HEADER: &str = r#"{"format":"mortise-export","version":1}"#;
    const RECORD: &str = r#"{"collection":"c","id":"i","body":"","attributes":[],"create_revision":1,"mod_revision":1,"created_at":1,"updated_at":1}"#;

    #[test]
    fn every_byte_survives() {
        let all: Vec<u8> = (0..=255).collect();
        let mut records = vec![
            stored("empty", b""),
            stored("nul", b"a\0b"),
            stored("lines", b"a\r\n\"b\"\\\x7f\x1b"),
            stored("emoji", "\u{1F980}\u{FEFF}\u{2028}e\u{301}".as_bytes()),
            stored("cut", b"\xf0\x9f\xa6"),
            stored("all", &all),
            stored("\0\u{1F980}\"\n", b"x"),
        ];
        records.extend(all.iter().map(|byte| stored(&byte.to_string(), &[*byte])));
        records[0].draft.expires_at = Some(0);
        let file = exported(&records);
        let again = read(&file).unwrap();
        assert_eq!(again, records);
        assert_eq!(exported(&again), file);
        assert_eq!(
            file.iter().filter(|byte| **byte == b'\n').count(),
            records.len() + 2
        );
    }

    #[test]
    fn a_record_is_one_readable_line() {
        let mut line = Vec::new();
        write_record(&mut line, &stored("i", b"{}")).unwrap();
        assert_eq!(
            String::from_utf8(line).unwrap(),
            concat!(
                r#"{"collection":"task","id":"i","body":"{}","attributes":[["b",""],["a","\u0000🦀\n"]],"#,
                r#""create_revision":1,"mod_revision":18446744073709551615,"created_at":0,"updated_at":7}"#,
                "\n"
            )
        );
    }

    #[test]
    fn an_export_of_nothing_is_whole() {
        assert_eq!(read(&exported(&[])).unwrap(), []);
    }

    #[test]
    fn a_file_that_was_cut_off_is_noticed_wherever_it_was_cut() {
        let file = exported(&[stored("a", b"x"), stored("b", b"\xff")]);
        // Only the last line's end may be missing.
        for end in 0..file.len() - 1 {
            assert!(read(&file[..end]).is_err(), "cut at {end}");
        }
        let (line, what) = fault(&format!("{HEADER}\n{RECORD}\n"));
        assert_eq!(line, 3);
        assert!(what.contains("cut off"), "{what}");
    }

    #[test]
    fn a_damaged_line_is_named_with_what_was_expected() {
        let lines = |second: &str| format!("{HEADER}\n{second}\n");
        for (file, at, expected) in [
            (String::new(), 1, "expected the header"),
            ("[]\n".to_owned(), 1, "expected the header"),
            (RECORD.to_owned(), 1, "missing field `format`"),
            (
                r#"{"format":"dump","version":1}"#.to_owned(),
                1,
                r#"expected "mortise-export""#,
            ),
            (
                r#"{"format":"mortise-export","version":2}"#.to_owned(),
                1,
                "version 2, expected 1",
            ),
            (lines(""), 2, "expected a record: EOF"),
            (
                lines(r#"{"collection":"c"}"#),
                2,
                "missing field `id` at column 18",
            ),
            (lines(&RECORD.replace(r#""body":"","#, "")), 2, "found none"),
            (
                lines(
                    &RECORD
                        .replace("body", "body_base64")
                        .replace(r#":"","#, r#":"=","#),
                ),
                2,
                "no base64",
            ),
            (
                lines(&RECORD.replace(r#""body""#, r#""body_base64":"","body""#)),
                2,
                "found both",
            ),
            (
                lines(&RECORD.replace("updated_at", "changed_at")),
                2,
                "unknown field `changed_at`",
            ),
            (
                lines(&RECORD.replace(":1", ":-1")),
                2,
                "invalid value: integer `-1`",
            ),
            (
                lines(r#"{"end":{"records":1}}"#),
                2,
                "counts 1 records, the file has 0",
            ),
            (
                lines(&format!(
                    r#"{{"end":{{"records":0,"sha256":"{}"}}}}"#,
                    Digest::of(b"another")
                )),
                2,
                "another sha256 than the lines before it",
            ),
            (
                format!("{HEADER}\n{{\"end\":{{\"records\":0}}}}\n{RECORD}\n"),
                3,
                "after the trailer",
            ),
        ] {
            let (line, what) = fault(&file);
            assert_eq!(line, at, "{file}");
            assert!(what.contains(expected), "{file}: {what}");
        }
    }

    #[test]
    fn a_line_without_end_does_not_fill_the_memory() {
        let endless = io::BufReader::new(io::repeat(b'['));
        let Err(fault) = Reader::new(endless, 1000) else {
            panic!("it was read")
        };
        assert!(
            fault.what.contains("more than the 1000 bytes"),
            "{}",
            fault.what
        );
        assert!(fault.line == 1);
        let deep = format!("{HEADER}\n{}", "[".repeat(100_000));
        assert!(read(deep.as_bytes()).is_err());
    }
}

//! The lines of an export are written.

use std::io;

use mortise_store::inside::json;
use mortise_store::{CONTRACT_VERSION, Digest, Revision, Stored};
use serde::Serialize;

use super::{End, FORMAT, Trailer, VERSION};

#[derive(Serialize)]
struct HeaderOut {
    format: &'static str,
    version: u64,
    contract: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    revision: Option<Revision>,
}

/// Appends the first line; `revision` is the store's last, where it is as of one.
pub fn write_header(to: &mut Vec<u8>, revision: Option<Revision>) -> io::Result<()> {
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
pub fn write_record(to: &mut Vec<u8>, stored: &Stored) -> io::Result<()> {
    write(to, &json::Record::of(stored))
}

/// Appends the last line; `sha256` is of all lines before.
pub fn write_trailer(to: &mut Vec<u8>, records: u64, sha256: Digest) -> io::Result<()> {
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

//! From a store to lines.

use std::io::Write;

use sha2::{Digest as _, Sha256};

use mortise_store::inside::ErrorInside as _;
use mortise_store::{Digest, Error, ErrorKind, Operation, Result, Revision, Store};

use crate::line::{self, digest_of};
use crate::pages::Pages;

/// Writes every record of every collection, in the [format](crate#format) of this module; how many.
///
/// `progress` is told after each page how many records were written so far. Writing is done a page at
/// a time, so that `to` needs no buffer of its own, and blocks the thread that polls the future: in a
/// server, hand it one of its own.
///
/// Each page is as of one instant. What is written to the store meanwhile may be missing or be there;
/// to have all as of one instant, let nobody write, or take a [`backup`](crate::backup()).
///
/// # Errors
///
/// Those of [`Store::export`]; `Io` where `to` cannot be written to; `Internal` where the backend does
/// not keep to the order of creation. What was written until then has no trailer, and so cannot be
/// taken for a whole export.
pub async fn export<W: Write>(store: &Store, to: W, progress: impl FnMut(u64)) -> Result<u64> {
    let written = write(store, to, None, Operation::Export, progress).await?;
    Ok(written.records)
}

/// What an export has.
#[derive(PartialEq, Eq)]
pub(super) struct Written {
    pub(super) records: u64,
    /// Of all lines but the trailer.
    pub(super) digest: Digest,
}

/// As [`export`], with a revision in the header where there is one.
pub(super) async fn write<W: Write>(
    store: &Store,
    mut to: W,
    revision: Option<Revision>,
    operation: Operation,
    mut progress: impl FnMut(u64),
) -> Result<Written> {
    let mut pieces = Pieces::new(store, revision, operation);
    while let Some(piece) = pieces.next().await? {
        to.write_all(&piece)
            .map_err(|error| not_written(operation, error))?;
        if !pieces.ended {
            progress(pieces.records);
        }
    }
    to.flush().map_err(|error| not_written(operation, error))?;
    let Pieces {
        records, sha256, ..
    } = pieces;
    let digest = digest_of(sha256);
    Ok(Written { records, digest })
}

fn not_written(operation: Operation, error: std::io::Error) -> Error {
    let what = format!("the {operation} cannot be written");
    Error::new(ErrorKind::Io, operation, what).with_source(error)
}

/// The lines of an export, some at a time.
pub struct Pieces {
    pages: Pages,
    operation: Operation,
    revision: Option<Revision>,
    begun: bool,
    ended: bool,
    records: u64,
    /// Of all lines so far but the trailer.
    sha256: Sha256,
}

impl Pieces {
    /// Those of an export, with a revision in the header where there is one.
    pub fn new(store: &Store, revision: Option<Revision>, operation: Operation) -> Self {
        Self {
            pages: Pages::of(store),
            operation,
            revision,
            begun: false,
            ended: false,
            records: 0,
            sha256: Sha256::new(),
        }
    }

    /// The next lines, each of them whole: those of a page, the header before the first; in the end the trailer; then
    /// none.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>> {
        if self.ended {
            return Ok(None);
        }
        let operation = self.operation;
        let failed = |error| not_written(operation, error);
        let mut text = Vec::new();
        if !std::mem::replace(&mut self.begun, true) {
            line::write_header(&mut text, self.revision).map_err(failed)?;
        }
        match self.pages.next().await? {
            Some(page) => {
                for stored in &page {
                    line::write_record(&mut text, stored).map_err(failed)?;
                }
                self.records += page.len() as u64;
                self.sha256.update(&text);
            }
            None => {
                self.ended = true;
                let digest = digest_of(self.sha256.clone());
                line::write_trailer(&mut text, self.records, digest).map_err(failed)?;
            }
        }
        Ok(Some(text))
    }
}

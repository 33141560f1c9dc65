//! From a store to lines.

use std::io::Write;

use sha2::{Digest as _, Sha256};

use super::line;
use super::pages::Pages;
use crate::error::{Error, ErrorKind, Operation, Result};
use crate::manifest::Digest;
use crate::record::Revision;
use crate::store::Store;

/// Writes every record of every collection, in the [format](super#format) of this module; how many.
///
/// `progress` is told after each page how many records were written so far. Writing is done a page at
/// a time, so that `to` needs no buffer of its own, and blocks the thread that polls the future: in a
/// server, hand it one of its own.
///
/// Each page is as of one instant. What is written to the store meanwhile may be missing or be there;
/// to have all as of one instant, let nobody write, or take a [`backup`](super::backup()).
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
    let failed = |error: std::io::Error| {
        let what = format!("the {operation} cannot be written");
        Error::new(ErrorKind::Io, operation, what).with_source(error)
    };
    let mut text = Vec::new();
    line::write_header(&mut text, revision).map_err(failed)?;
    let (mut pages, mut records, mut sha256) = (Pages::of(store), 0_u64, Sha256::new());
    while let Some(page) = pages.next().await? {
        for stored in &page {
            line::write_record(&mut text, stored).map_err(failed)?;
        }
        sha256.update(&text);
        to.write_all(&text).map_err(failed)?;
        text.clear();
        records += page.len() as u64;
        progress(records);
    }
    let digest = Digest::finish(sha256);
    line::write_trailer(&mut text, records, digest).map_err(failed)?;
    to.write_all(&text)
        .and_then(|()| to.flush())
        .map_err(failed)?;
    Ok(Written { records, digest })
}

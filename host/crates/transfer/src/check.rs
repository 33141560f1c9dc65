//! A backup is read through, and nothing is written.

use std::collections::HashSet;
use std::io::BufRead;

use sha2::{Digest as _, Sha256};

use mortise_store::inside::ErrorInside as _;
use mortise_store::{Error, Key, Operation, Result, Revision, Stored};

use crate::export::Written;
use crate::line::{BadLine, Reader};

/// A backup that is whole.
pub(super) struct Checked {
    pub(super) written: Written,
    /// The last revision that was taken when it was made; or, of an export, the highest that a record has.
    pub(super) revision: Revision,
}

/// Reads an export from its header to its trailer, and holds it to what a store would: each key and each
/// revision is there once, the records come in the order of their creation, and each passes `each`.
///
/// Takes some 60 bytes of memory for each record.
pub(super) fn check<R: BufRead>(
    from: R,
    longest: u64,
    operation: Operation,
    mut each: impl FnMut(&Stored) -> Result<()>,
    mut progress: impl FnMut(u64),
) -> Result<Checked> {
    let untouched = match operation {
        Operation::Restore => "nothing was restored",
        _ => "no backup was made",
    };
    let damaged = |fault: BadLine| fault.into_error(operation, untouched);
    let mut reader = Reader::new(from, longest).map_err(damaged)?;
    let (mut records, mut last, mut highest) = (0, 0, 0);
    let (mut keys, mut revisions) = (HashSet::new(), HashSet::new());
    while let Some(stored) = reader.next().map_err(damaged)? {
        let line = reader.line();
        let wrong = |what: String| {
            Error::invalid(operation, format!("line {line}: {what}; {untouched}"))
                .with_key(stored.key().clone())
        };
        let stamp = &stored.stamp;
        if stamp.create_revision <= last {
            let created = stamp.create_revision;
            return Err(wrong(format!(
                "create-revision {created} comes after {last}, expected them ascending"
            )));
        }
        last = stamp.create_revision;
        if !keys.insert(fingerprint(stored.key())) {
            return Err(wrong("the key is there twice".to_owned()));
        }
        let own = [
            Some(last),
            Some(stamp.mod_revision).filter(|own| *own != last),
        ];
        for revision in own.into_iter().flatten() {
            if !revisions.insert(revision) {
                return Err(wrong(format!("revision {revision} is there twice")));
            }
        }
        highest = highest.max(stamp.mod_revision);
        each(&stored).map_err(|error| wrong("no store takes it".to_owned()).with_source(error))?;
        records += 1;
        if records % 1000 == 0 {
            progress(records);
        }
    }
    progress(records);
    let digest = reader.digest().ok_or_else(|| {
        let what =
            format!("the trailer has no sha256, expected that of the lines before it; {untouched}");
        Error::invalid(operation, what)
            .with_hint("`mortise store import` takes an export without one")
    })?;
    let revision = reader.revision().unwrap_or(highest).max(highest);
    let written = Written { records, digest };
    Ok(Checked { written, revision })
}

/// As much of a key's SHA-256 as tells any two apart.
fn fingerprint(key: &Key) -> u128 {
    let mut sha256 = Sha256::new();
    sha256.update((key.collection.len() as u64).to_le_bytes());
    sha256.update(&key.collection);
    sha256.update(&key.id);
    let digest: [u8; 32] = sha256.finalize().into();
    u128::from_le_bytes(std::array::from_fn(|byte| digest[byte]))
}

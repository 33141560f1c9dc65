//! From a backup to a store.

use std::io::{self, BufRead};
use std::slice;

use serde::Serialize;

use mortise_store::inside::{ErrorInside as _, StoreInside as _};
use mortise_store::{Digest, Error, ErrorKind, Operation, Result, Revision, Store};

use crate::check::check;
use crate::copy::must_be_itself;
use crate::hand_over::{LEAP, continue_above};
use crate::import::Lines;
use crate::ledger::Ledger;
use crate::line::longest_line;
use crate::pages::Records;
use crate::phase::Phase;

/// How a backup is restored.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct RestoreOptions {
    /// Adds to what the store has; what is there already with the same stamp is left alone. Default: no,
    /// and the store must be empty.
    pub merge: bool,
}

/// What was restored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RestoreReport {
    /// How many records the backup has.
    pub records: u64,
    /// The last revision that was taken when it was made; of an export, the highest that a record has.
    pub revision: Revision,
    /// SHA-256 of its lines but the trailer, which names it.
    pub sha256: Digest,
    /// How many of its records have expired since: they are absent, as they would be without a restore.
    pub expired: u64,
}

/// Writes every record of a backup to a store, with its revisions and times, and makes sure that they are
/// there.
///
/// `open` reads the backup from its beginning, and is asked twice. At first all of it is checked: the
/// header, every line, the trailer, the digest, that every key and every revision is there once and in
/// order, and that the store takes such records. Only then the first record is written; in batches, each
/// all or nothing. In the end the store is read back and compared by number and digest.
///
/// The store's revisions go on 2^32 above the backup's: those that were taken after it was made, and are
/// lost, are not given again.
///
/// `progress` is told how many records were dealt with so far, in each phase. Reading blocks the thread
/// that polls the future: in a server, hand it one of its own. Some 60 bytes of memory are taken for
/// each record.
///
/// # Errors
///
/// `Invalid` where the backup is damaged, by its line and with what was expected, or the store is not
/// empty; `Io` where the backup cannot be read; `Unavailable` where the store stands in for a backend that
/// does not open. Then nothing was written. `Internal` where the store gives back other records than it was
/// given; those of [`Store::import`], whose error is the source.
pub async fn restore<R: BufRead>(
    store: &Store,
    mut open: impl FnMut() -> io::Result<R>,
    options: &RestoreOptions,
    mut progress: impl FnMut(Phase, u64),
) -> Result<RestoreReport> {
    let operation = Operation::Restore;
    must_be_itself(store, operation)?;
    let mut open = || {
        open().map_err(|error| {
            let what = "the backup cannot be opened";
            Error::new(ErrorKind::Io, operation, what).with_source(error)
        })
    };
    let checked = {
        let arguments = store.arguments(operation);
        let takes = |stored: &_| arguments.imported(slice::from_ref(stored));
        let told = |records| progress(Phase::Check, records);
        check(open()?, longest_line(store), operation, takes, told)?
    };
    if !options.merge && Records::of(store).next().await?.is_some() {
        let what = "the store has records, expected none; nothing was restored";
        return Err(Error::invalid(operation, what).with_hint(
            "empty it with `mortise store clear`, or restore with --merge to add to what is there",
        ));
    }
    let mut ledger = Ledger::new(operation);
    let lines = Lines::new(store, operation);
    let told = |records| progress(Phase::Write, records);
    let (records, digest) = lines
        .import(open()?, told, |stored| ledger.enter(stored))
        .await?;
    if digest != Some(checked.written.digest) {
        let what = "the backup became another file while it was read";
        return Err(Error::invalid(operation, what)
            .with_hint("clear the store, and restore a file that nobody writes to"));
    }
    continue_above(store, checked.revision.saturating_add(LEAP)).await?;
    let told = |records| progress(Phase::Verify, records);
    let expired = ledger.check(store, told).await?;
    Ok(RestoreReport {
        records,
        revision: checked.revision,
        sha256: checked.written.digest,
        expired,
    })
}

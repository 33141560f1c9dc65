//! From a store to a store.

use serde::Serialize;

use mortise_store::inside::{ErrorInside as _, StoreInside as _};
use mortise_store::{Digest, Error, ErrorKind, Operation, Result, Store, Stored};

use crate::batch::{Batch, refused};
use crate::hand_over::continue_above;
use crate::ledger::Ledger;
use crate::pages::Records;
use crate::phase::Phase;

/// How a store is copied.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CopyOptions {
    /// Reads both stores and reports what would be, but writes nothing. Default: no.
    pub dry_run: bool,
    /// Reads back what was written, and compares it with what was read. Default: yes.
    pub verify: bool,
}

impl Default for CopyOptions {
    fn default() -> Self {
        Self {
            dry_run: false,
            verify: true,
        }
    }
}

/// What was copied. Of a dry run: what would be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CopyReport {
    /// Whether nothing was written.
    pub dry_run: bool,
    /// Records that the source has: `written` and `already_there` together.
    pub records: u64,
    /// Records that were written.
    pub written: u64,
    /// Records that the target had already, with the same stamp.
    pub already_there: u64,
    /// Records that the target has, and the source has not. They were left alone.
    pub others: u64,
    /// SHA-256 of the records' lines as an [`export`](crate::export()) has them: two stores with the same
    /// records have the same.
    pub sha256: Digest,
    /// How many writes others made to the source meanwhile: with none, the copy is as of one instant. Not
    /// found out in a dry run, because that takes a revision.
    pub writes_meanwhile: Option<u64>,
    /// Whether what the target has was read back, and is what was read from the source.
    pub verified: bool,
    /// Records that had expired before they were read back.
    pub expired: u64,
}

/// Writes every record of one store to another, with its revisions, times, attributes and expiry.
///
/// Memory is taken for some pages of records. `progress` is told now and then how many records were dealt
/// with so far, in each phase.
///
/// **It can be made again** after it was interrupted at any instant: both stores are walked side by side,
/// and what the target has with the same stamp is not written again. Nothing in the target is written
/// over or removed.
///
/// **It is verified**: in the end the target is read back, and each record, their number and their digest
/// must be what was read.
///
/// **Whether it is as of one instant** is told by the report: an empty write before and after shows
/// whether others wrote to the source meanwhile. The target's next revision lies above every one that was
/// taken in the source.
///
/// # Errors
///
/// `Conflict` where the target has a record with another stamp, `Invalid` where it has another record
/// with the same revision, or where both are one store; `Unavailable` where one of them stands in for a
/// backend that does not open; `Internal` where the target gives back other records than it was given, or
/// a backend does not keep to the order of creation; those of [`Store::export`] and [`Store::import`],
/// whose error is the source.
pub async fn copy(
    from: &Store,
    to: &Store,
    options: &CopyOptions,
    mut progress: impl FnMut(Phase, u64),
) -> Result<CopyReport> {
    let operation = Operation::Copy;
    if from.shares_storage_with(to) {
        let what = "the source and the target are the same store";
        return Err(Error::invalid(operation, what)
            .with_hint("name two: another file, another server, or another namespace"));
    }
    for store in [from, to] {
        must_be_itself(store, operation)?;
    }
    let before = match options.dry_run {
        true => None,
        false => Some(from.take_revision().await?),
    };
    let mut ledger = Ledger::new(operation);
    let told = |records| progress(Phase::Write, records);
    let walked = walk(from, to, options.dry_run, &mut ledger, told).await?;
    let mut report = CopyReport {
        dry_run: options.dry_run,
        records: ledger.records(),
        written: walked.written,
        already_there: walked.already_there,
        others: walked.others,
        sha256: ledger.digest(),
        writes_meanwhile: None,
        verified: false,
        expired: 0,
    };
    let Some(before) = before else {
        return Ok(report);
    };
    let after = from.take_revision().await?;
    report.writes_meanwhile = Some(after.saturating_sub(before + 1));
    continue_above(to, after).await?;
    if options.verify {
        let told = |records| progress(Phase::Verify, records);
        report.expired = ledger.check(to, told).await?;
        report.verified = true;
    }
    Ok(report)
}

/// Refuses a store that stands in for one that does not open: what is not there would count as copied,
/// and what is written there would be gone.
pub(super) fn must_be_itself(store: &Store, operation: Operation) -> Result<()> {
    match store.status().fallback {
        None => Ok(()),
        Some(reason) => {
            let what = format!(
                "the store {} does not open, and what stands in for it keeps nothing: {reason}",
                store.name()
            );
            Err(Error::new(ErrorKind::Unavailable, operation, what)
                .with_hint("mend what keeps it from being opened"))
        }
    }
}

/// What became of the records of two stores.
#[derive(Default)]
pub struct Walked {
    written: u64,
    already_there: u64,
    others: u64,
}

/// Walks two stores side by side, in the order of creation, and writes what `to` has not. Every record of
/// `from` is entered in the ledger. `progress` is told how many were.
pub async fn walk(
    from: &Store,
    to: &Store,
    dry_run: bool,
    ledger: &mut Ledger,
    mut progress: impl FnMut(u64),
) -> Result<Walked> {
    let mut walk = Walk {
        to,
        dry_run,
        batch: Batch::new(to),
        walked: Walked::default(),
    };
    // What is written lies before the record that was read last from the target, and so does not come up.
    let (mut given, mut kept) = (Records::of(from), Records::of(to));
    let mut there = kept.next().await?;
    while let Some(stored) = given.next().await? {
        ledger.enter(&stored)?;
        let revision = stored.stamp.create_revision;
        while let Some(other) = there.take_if(|there| there.stamp.create_revision < revision) {
            drop(other);
            walk.walked.others += 1;
            there = kept.next().await?;
        }
        match there.take_if(|there| there.stamp.create_revision == revision) {
            Some(same) => {
                walk.compare(&stored, same)?;
                walk.walked.already_there += 1;
                there = kept.next().await?;
            }
            None => {
                if !walk.batch.has_room_for(&stored.draft) {
                    walk.write().await?;
                }
                walk.batch.push(stored);
            }
        }
        if ledger.records().is_multiple_of(1000) {
            progress(ledger.records());
        }
    }
    walk.write().await?;
    progress(ledger.records());
    while there.is_some() {
        walk.walked.others += 1;
        there = kept.next().await?;
    }
    Ok(walk.walked)
}

/// The target's side of a copy.
struct Walk<'a> {
    to: &'a Store,
    dry_run: bool,
    batch: Batch,
    walked: Walked,
}

impl Walk<'_> {
    /// Refuses a record of the target that has the create-revision of one of the source, and is another.
    fn compare(&self, stored: &Stored, there: Stored) -> Result<()> {
        if there.key() != stored.key() {
            let what = format!(
                "its create-revision {} is that of {} in the target",
                stored.stamp.create_revision,
                there.key()
            );
            let error = Error::invalid(Operation::Copy, what).with_key(stored.key().clone());
            return Err(self.refused(error));
        }
        if there.stamp != stored.stamp {
            return Err(self.refused(in_the_way(there)));
        }
        Ok(())
    }

    async fn write(&mut self) -> Result<()> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let records = self.batch.take();
        let count = records.len() as u64;
        let written = match self.dry_run {
            true => self.find_in_the_way(&records).await,
            false => self.to.import(records).await,
        };
        written.map_err(|error| self.refused(error))?;
        self.walked.written += count;
        Ok(())
    }

    /// Refuses what an import would refuse because another record is under a key.
    async fn find_in_the_way(&self, records: &[Stored]) -> Result<()> {
        let keys: Vec<_> = records.iter().map(|stored| stored.key().clone()).collect();
        let there = match self.to.load_many(keys.clone()).await {
            Ok(there) => there.into_iter().flatten().next(),
            // Too much for one answer is more than nothing.
            Err(error) if error.kind() == ErrorKind::TooLarge => {
                let mut there = None;
                for key in &keys {
                    there = self.to.load(key).await?;
                    if there.is_some() {
                        break;
                    }
                }
                there
            }
            Err(error) => return Err(error),
        };
        there.map_or(Ok(()), |there| Err(in_the_way(there)))
    }

    fn refused(&self, error: Error) -> Error {
        let done = match self.dry_run {
            true => "would be written",
            false => "were written",
        };
        let what = format!(
            "the target does not take what the source has; {} records {done} before",
            self.walked.written
        );
        refused(error, Operation::Copy, self.to, what)
    }
}

fn in_the_way(there: Stored) -> Error {
    Error::conflict(Operation::Copy, there)
}

//! A singleton's records, handed over to another instance: from generation to generation.

use std::hash::{BuildHasher as _, RandomState};

use crate::error::{Error, ErrorKind, Operation, Result};
use crate::record::{Draft, Key, Revision, Stamp, Stored, Timestamp, Write};
use crate::store::Store;
use crate::transfer::{Pages, copy_each};

/// A record that is never there for a caller to see: it carries a revision from store to store.
const REVISION_COLLECTION: &str = "mortise.revision";
/// Records that expire so soon may be gone before they are counted again, in milliseconds.
const SOON: u64 = 600_000;

/// Copies every record to a store that is empty, makes sure that they are there, and has it go on
/// with higher revisions than any that was ever taken. Nobody may write to `from` meanwhile; it is left as
/// it was, but for one revision.
pub(crate) async fn hand_over(from: &Store, to: &Store) -> Result<()> {
    let last = from.take_revision().await?;
    let mut given = Tally::new(from);
    let mut kept = given.clone();
    copy_each(from, to, |_| {}, |record| given.count(record)).await?;
    continue_above(to, last).await?;
    let mut pages = Pages::of(to);
    while let Some(page) = pages.next().await? {
        page.iter().for_each(|record| kept.count(record));
    }
    if (given.records, given.sum) != (kept.records, kept.sum) {
        let what = format!(
            "of {} records that were handed over, the new generation gives back {}, or changed some",
            given.records, kept.records
        );
        return Err(Error::new(ErrorKind::Internal, Operation::Import, what));
    }
    Ok(())
}

/// Has a store take no revision up to `last` any more: its next is a later one.
pub(crate) async fn continue_above(store: &Store, last: Revision) -> Result<()> {
    // An import with this revision moves the store's own on; the removal takes the record away again.
    let now = store.now();
    let stamp = Stamp {
        create_revision: last,
        mod_revision: last,
        created_at: now,
        updated_at: now,
    };
    let draft = Draft::new(mark(), []);
    store.import(vec![Stored { draft, stamp }]).await?;
    if store.take_revision().await? > last {
        return Ok(());
    }
    let what = "the new generation takes revisions that were taken before";
    Err(Error::new(ErrorKind::Internal, Operation::Import, what))
}

/// A write that changes nothing and takes a revision: removing what is not there, or the mark.
pub(crate) fn nothing() -> Write {
    Write::remove(mark())
}

fn mark() -> Key {
    Key::new(REVISION_COLLECTION, "last")
}

/// What a store holds, without regard to its order.
#[derive(Clone)]
struct Tally {
    hasher: RandomState,
    until: Timestamp,
    records: u64,
    sum: u64,
}

impl Tally {
    fn new(store: &Store) -> Self {
        Self {
            hasher: RandomState::new(),
            until: store.now().saturating_add(SOON),
            records: 0,
            sum: 0,
        }
    }

    fn count(&mut self, stored: &Stored) {
        let Stored { draft, stamp } = stored;
        if draft.expires_at.is_some_and(|at| at < self.until) {
            return;
        }
        let attributes: Vec<_> = draft
            .attributes
            .iter()
            .map(|pair| (&pair.name, &pair.value))
            .collect();
        let hash = self.hasher.hash_one((
            (&draft.key.collection, &draft.key.id, &draft.body),
            (attributes, draft.expires_at),
            (stamp.create_revision, stamp.mod_revision),
            (stamp.created_at, stamp.updated_at),
        ));
        self.records += 1;
        self.sum = self.sum.wrapping_add(hash);
    }
}

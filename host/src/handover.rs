//! A singleton's records, handed over to another instance: from generation to generation.

use crate::error::{Error, ErrorKind, Operation, Result};
use crate::record::{Draft, Key, Revision, Stamp, Stored, Write};
use crate::store::Store;
use crate::transfer::{Ledger, walk};

/// A record that is never there for a caller to see: it carries a revision from store to store.
const REVISION_COLLECTION: &str = "mortise.revision";
/// How far revisions go on above those of a store as it was some time ago: more than can have been taken
/// since, so that none of those that are lost is given again.
pub(crate) const LEAP: Revision = 1 << 32;

/// Copies every record to a store that is empty, makes sure that they are there, and has it go on
/// with higher revisions than any that was ever taken. Nobody may write to `from` meanwhile; it is left as
/// it was, but for one revision.
pub(crate) async fn hand_over(from: &Store, to: &Store) -> Result<()> {
    let last = from.take_revision().await?;
    let mut ledger = Ledger::new(Operation::Import);
    walk(from, to, false, &mut ledger, |_| {}).await?;
    continue_above(to, last).await?;
    ledger.check(to, |_| {}).await?;
    Ok(())
}

/// Has a store take no revision up to `last` any more: its next is a later one.
pub(crate) async fn continue_above(store: &Store, last: Revision) -> Result<()> {
    // This also removes the record of a call that was interrupted.
    if store.take_revision().await? > last {
        return Ok(());
    }
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
    let what = "the store takes revisions that were taken before";
    Err(Error::new(ErrorKind::Internal, Operation::Import, what))
}

/// A write that changes nothing and takes a revision: removing what is not there, or the mark.
pub(crate) fn nothing() -> Write {
    Write::remove(mark())
}

fn mark() -> Key {
    Key::new(REVISION_COLLECTION, "last")
}

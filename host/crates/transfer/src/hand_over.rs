//! A singleton's records, handed over to another instance: from generation to generation.

use mortise_store::inside::{ErrorInside as _, Later, StoreInside as _, revision_mark};
use mortise_store::{Draft, Error, ErrorKind, Operation, Result, Revision, Stamp, Store, Stored};

use crate::copy::walk;
use crate::ledger::Ledger;

/// How far revisions go on above those of a store as it was some time ago: more than can have been taken
/// since, so that none of those that are lost is given again.
pub const LEAP: Revision = 1 << 32;

/// Copies every record to a store that is empty, makes sure that they are there, and has it go on
/// with higher revisions than any that was ever taken. Nobody may write to `from` meanwhile; it is left as
/// it was, but for one revision.
pub fn hand_over<'a>(from: &'a Store, to: &'a Store) -> Later<'a, Result<()>> {
    Box::pin(async move {
        let last = from.take_revision().await?;
        let mut ledger = Ledger::new(Operation::Import);
        walk(from, to, false, &mut ledger, |_| {}).await?;
        continue_above(to, last).await?;
        ledger.check(to, |_| {}).await?;
        Ok(())
    })
}

/// Has a store take no revision up to `last` any more: its next is a later one.
pub fn continue_above(store: &Store, last: Revision) -> Later<'_, Result<()>> {
    Box::pin(async move {
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
        let draft = Draft::new(revision_mark(), []);
        store.import(vec![Stored { draft, stamp }]).await?;
        if store.take_revision().await? > last {
            return Ok(());
        }
        let what = "the store takes revisions that were taken before";
        Err(Error::new(ErrorKind::Internal, Operation::Import, what))
    })
}

//! Restarts that a migration asks for.
//!
//! A hot swap never migrates, because another generation serves the store meanwhile. A restart does: nobody is served
//! while the new process opens its stores. One that fails after it migrated leaves the old process with a database of
//! the new component's schema; the swap that was refused is then made, so that the component serves that knows it.

use mortise_store::inside::{Later, Opener};

use crate::control::Desk;
use crate::event::{Outcome, Request, Trigger};

/// Restarts whenever a swap of one of the opener's backends was refused because a store has to be migrated first;
/// also for what was before this was called. Not where the migration is left to the operator, or would lose
/// something: the new process would not open the store.
pub fn restart_to_migrate<'a>(desk: &'a Desk, opener: &'a dyn Opener) -> Later<'a, ()> {
    Box::pin(async move {
        let mut unmigrated = opener.unmigrated();
        unmigrated.mark_changed();
        desk.restarts.opened().await;
        while unmigrated.changed().await.is_ok() {
            let Some(backend) = unmigrated.borrow_and_update().clone() else {
                continue;
            };
            let reason = format!("the new component of {backend} has to migrate a store first");
            let request = Request {
                reason: Some(reason),
                ..Request::of(Trigger::Migration, &*backend)
            };
            // Refused or not, it is told in the log.
            let Ok(mut told) = desk.restarts.begin(request).await else {
                continue;
            };
            let ended = told.wait_for(|restart| restart.outcome.is_some()).await;
            let failed = ended.is_ok_and(|restart| restart.outcome != Some(Outcome::Done));
            if failed {
                // Told in the log, too. Where it still has to migrate, asking once more would lead to the same end.
                let _ = opener.reload(&backend).await;
                unmigrated.mark_unchanged();
            }
        }
    })
}

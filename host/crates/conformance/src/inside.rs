//! What a host needs to run the clauses, and no embedder does: the world that it makes for each of them.

pub use crate::clause::Finding;
#[cfg(feature = "kit")]
pub use crate::job::{ATTRIBUTE, BATCH, CALLERS, COLLECTION, Job};
#[cfg(feature = "kit")]
pub use crate::model::{DEFAULT_CASES, Script};
#[cfg(feature = "kit")]
pub use crate::report::report;
#[cfg(feature = "kit")]
pub use crate::run::{check, chosen};
pub use crate::world::{Bare, Faults, Meeting, START, Said, Settings, Subject, World, died};

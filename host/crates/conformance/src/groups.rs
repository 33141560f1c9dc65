//! Every clause there is.

use super::clause::Clause;
use super::{
    batch, clear, delete, describe, expiry, export, find, import, isolation, paging, put,
    revisions, update, values,
};
#[cfg(feature = "kit")]
use super::{concurrency, durability, faults, model};

/// Every group of clauses.
const GROUPS: &[&[Clause]] = &[
    describe::CLAUSES,
    values::CLAUSES,
    revisions::CLAUSES,
    update::CLAUSES,
    delete::CLAUSES,
    put::CLAUSES,
    find::CLAUSES,
    paging::CLAUSES,
    expiry::CLAUSES,
    batch::CLAUSES,
    export::CLAUSES,
    import::CLAUSES,
    clear::CLAUSES,
    isolation::CLAUSES,
    #[cfg(feature = "kit")]
    concurrency::CLAUSES,
    #[cfg(feature = "kit")]
    durability::CLAUSES,
    #[cfg(feature = "kit")]
    faults::CLAUSES,
    #[cfg(feature = "kit")]
    model::CLAUSES,
];

/// Every clause, in the order in which they are checked.
pub fn clauses() -> impl Iterator<Item = &'static Clause> {
    GROUPS.iter().copied().flatten()
}

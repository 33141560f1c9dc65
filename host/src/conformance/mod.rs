//! The conformance kit: whether a component keeps the contract.
//!
//! Each promise of `wit/` is one [`Clause`]: an id, the sentence that it checks, and the check. [`Kit`]
//! runs them on any component, alone: what it imports is granted on a storage that is made for the run,
//! and the clock is turned by the kit.
//!
//! ```no_run
//! use mortise::conformance::Kit;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let component = std::fs::read("my-backend.wasm")?;
//! let report = Kit::new().run(&component, |_| {}).await?;
//! for (clause, found) in report.failures() {
//!     println!("{}: {}: {found}", clause.id(), clause.sentence());
//! }
//! assert!(report.conforms());
//! # Ok(())
//! # }
//! ```
//!
//! The clauses that need no more than a store on any clock are the *smoke* clauses: a component that is
//! swapped in passes them as a canary first. They are compiled without the feature `conformance` too.
//!
//! - `clause`: what a clause is. `subject`: the world that it runs in. `shelf`: what makes it short.
//! - `kit`, `redis_server`, `report`, `junit`: running them, and what was found.
//! - One file for each group of clauses, with a table of its promises first.
#![cfg_attr(
    not(feature = "conformance"),
    allow(
        dead_code,
        unused_imports,
        reason = "without the kit, the smoke clauses alone are called"
    )
)]

mod clause;
#[cfg(feature = "conformance")]
mod junit;
#[cfg(feature = "conformance")]
mod kit;
#[cfg(feature = "conformance")]
mod redis_server;
mod report;
mod shelf;
mod smoke;
mod subject;

mod batch;
mod describe;
mod expiry;
mod find;
mod isolation;
mod paging;
mod revisions;
mod transfer;
mod values;
mod writes;

pub use self::clause::Clause;
#[cfg(feature = "conformance")]
pub use self::kit::Kit;
pub use self::report::{ClauseResult, Report, Verdict};
pub use self::smoke::smoke;
use self::subject::Subject;

/// Every group of clauses.
const GROUPS: &[&[Clause]] = &[
    describe::CLAUSES,
    values::CLAUSES,
    revisions::CLAUSES,
    writes::CLAUSES,
    find::CLAUSES,
    paging::CLAUSES,
    expiry::CLAUSES,
    batch::CLAUSES,
    transfer::CLAUSES,
    isolation::CLAUSES,
];

/// Every clause, in the order in which they are checked.
pub fn clauses() -> impl Iterator<Item = &'static Clause> {
    GROUPS.iter().copied().flatten()
}

//! The promises of the Mortise persistence contract, as clauses that check a backend.
//!
//! Each promise of `wit/` is one [`Clause`]: an id, the sentence that it checks, and the check. A check
//! needs a [`Store`](mortise_store::Store) alone, or a world of its own, whose clock and storage it can
//! turn. The kit of the host runs all of them on a component.
//!
//! The clauses that need no more than a store on any clock are the [`smoke()`] clauses: a component that is
//! swapped in passes them as a canary first. They are compiled without the feature `kit` too.
//!
//! The model that random calls are compared with is a place of stores, too: [`ModelPlace`]. What stands
//! on stores is tested on it, without a component.
//!
//! Uses: mortise-store, mortise-config. Never: wasmtime, mortise-engine: who checks promises does not
//! know how they are kept.
//!
//! - `clause`: what a clause is. `world`: the world that it runs in. `shelf`: what makes it short.
//! - `job`: what the process is told that `durability/kill` kills.
//! - One file for each group of clauses, with a table of its promises first.
//! - `groups`, `smoke`, `run`: all of them, and checking one. `report`, `junit`: what was found.
#![cfg_attr(
    not(feature = "kit"),
    allow(
        dead_code,
        reason = "without the kit, the smoke clauses alone are called"
    )
)]

mod clause;
mod world;

#[cfg(feature = "kit")]
mod job;
mod shelf;

mod batch;
mod clear;
mod delete;
mod describe;
mod expiry;
mod export;
mod find;
mod import;
mod isolation;
mod paging;
mod put;
mod revisions;
mod update;
mod values;

#[cfg(feature = "kit")]
mod concurrency;
#[cfg(feature = "kit")]
mod durability;
#[cfg(feature = "kit")]
mod fault_calls;
#[cfg(feature = "kit")]
mod faults;
#[cfg(feature = "kit")]
mod history;
mod model;

mod groups;
#[cfg(feature = "kit")]
mod junit;
#[cfg(feature = "kit")]
mod report;
#[cfg(feature = "kit")]
mod run;
mod smoke;

#[doc(hidden)]
pub mod inside;

pub use self::clause::Clause;
pub use self::groups::clauses;
pub use self::model::ModelPlace;
#[cfg(feature = "kit")]
pub use self::model::Step;
#[cfg(feature = "kit")]
pub use self::report::{ClauseResult, Report, Verdict};
pub use self::smoke::smoke;

//! The conformance kit: whether a component keeps the contract (feature `conformance`).
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

pub use mortise_conformance::{Clause, ClauseResult, Report, Step, Verdict, clauses, smoke};
pub use mortise_host::{Kit, run_worker};

//! Random sequences of calls, compared with a model of the contract.
//!
//! - `contract`: the model, a readable form of what `wit/` says.
//! - `script`: sequences of calls as text. `session`: running one on a store and on the model.
//!   `answer`: what the store said, and what the model allows.
//! - `generate`, `random`: random ones. A sequence that fails is shrunk, and told as a script that
//!   [`Kit::replay`](super::Kit::replay) runs again.

mod answer;
mod contract;
mod generate;
mod random;
mod script;
mod session;

pub(super) use self::random::{CLAUSES, DEFAULT_CASES, Script};
pub use self::session::Step;

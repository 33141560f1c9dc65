//! The model of the contract, and random sequences of calls that are compared with it.
//!
//! - `contract`: the model, a readable form of what `wit/` says. `place`: stores of it.
//! - `script`: sequences of calls as text. `session`: running one on a store and on the model.
//!   `answer`: what the store said, and what the model allows.
//! - `generate`, `random`: random ones. A sequence that fails is shrunk, and told as a script that
//!   `Kit::replay` of the host runs again.

#[cfg(feature = "kit")]
mod answer;
mod contract;
#[cfg(feature = "kit")]
mod generate;
mod place;
#[cfg(feature = "kit")]
mod random;
#[cfg(feature = "kit")]
mod script;
#[cfg(feature = "kit")]
mod session;

pub use self::place::ModelPlace;
#[cfg(feature = "kit")]
pub(crate) use self::random::CLAUSES;
#[cfg(feature = "kit")]
pub use self::random::{DEFAULT_CASES, Script};
#[cfg(feature = "kit")]
pub use self::session::Step;

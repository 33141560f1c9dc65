//! What the crates of this project move records by. No part of what embedders see: it may change with any release.

pub use crate::batch::Room;
pub use crate::copy::walk;
pub use crate::export::Pieces;
pub use crate::hand_over::{LEAP, continue_above, hand_over};
pub use crate::ledger::Ledger;
pub use crate::line::quote;
pub use crate::pages::Pages;
pub use crate::snapshot::{InheritedLocks, Snapshots, read, write};

//! What the crates of this project tell each other about stores. No part of what embedders see: it may change with any
//! release.

mod arguments;
mod blocking;
mod files;
mod injected;
pub mod json;
pub mod schema;

pub use crate::contract::{ContractError, Rejection};
pub use crate::error::{CORRUPT_HINT, ErrorInside};
pub use crate::limits::{LimitsInside, MAX_EMPTY_PAGES, optional_duration};
pub use crate::measures::{Calls, Commits, Counted, Counter, Histogram, Measures, UnderWay, Waits};
pub use crate::place::{Held, Here, Later, Measured, NotHeld, Opener, Place};
pub use crate::quarantine::entry_of;
pub use crate::record::DraftInside;
pub use crate::status::{breaker_name, refused_component, snapshot_of, status_of};
pub use crate::store::{StoreInside, report, revision_mark};
pub use crate::transition::transition_refusal;
pub use arguments::Arguments;
pub use blocking::{blocking, finished, permit};
pub use files::{beside, folder_of, sync_folder_of};
pub use injected::Injected;

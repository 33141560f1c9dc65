//! Stores and their records, whoever keeps them: the types, the rules and the errors of Mortise.
//!
//! A [`Store`] is a handle on a place: an engine here, a server elsewhere, a model in a test. What uses stores stands on
//! this crate alone, and so does what keeps records.
//!
//! Uses: nothing of ours. Never: wasmtime, rusqlite, redis, toml, rustls: whoever speaks of records compiles none of them.

mod clock;
mod contract;
mod digest;
mod error;
pub mod limits;
mod measures;
mod place;
mod quarantine;
mod record;
pub mod schema;
mod status;
mod store;
mod transition;

#[doc(hidden)]
pub mod inside;

pub use clock::{Clock, ManualClock, SystemClock};
pub use digest::Digest;
pub use error::{Error, ErrorKind, Operation, Result};
pub use limits::Limits;
pub use quarantine::{
    QUARANTINE, QUARANTINE_COLLECTION, QUARANTINE_ID, QUARANTINE_REASON, Quarantine,
    QuarantineEntry, QuarantinePage,
};
pub use record::{
    Attribute, CollectionStatistics, Description, Draft, Instances, Key, Order, Page, Precondition,
    Put, Query, Remove, Revision, Stamp, Stored, Timestamp, Write,
};
pub use status::{BreakerState, InstanceCounts, Refusal, Snapshot, Status};
pub use store::Store;
pub use transition::{Move, RefusalReason, TransitionRefusal};

/// The version of the contract that this host speaks: it runs every component of the same major and minor version.
pub const CONTRACT_VERSION: &str = "0.1.0";

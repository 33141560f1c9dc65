//! What Mortise says over HTTP, as JSON.
//!
//! What `serve` writes a client reads, and the other way round: both by these types, so that they cannot differ. A
//! record is `mortise_store`'s, as the lines of an export have it.
//!
//! Uses: mortise-store. Never: axum, reqwest, mortise-engine, mortise-serve: who writes and who reads stand on it.
#![allow(
    missing_docs,
    reason = "comments on fields are the description of the HTTP API: a field whose name says it all has none"
)]

#[cfg(feature = "schema")]
mod record;

mod problem;
mod search;
mod store;
mod write;

pub use mortise_store::inside::json::Record;
pub use problem::{About, Problem, type_of};
#[cfg(feature = "schema")]
pub use record::RecordSchema;
pub use search::{Order, Search};
pub use store::{
    Collection, Found, Imported, Lookup, Page, Records, Refused, Removed, Revisions, StampOut,
    Statistics, StoreInfo, Stores,
};
pub use write::{Batch, Content, Expect, WriteLine};

//! What goes over HTTP, as JSON, and the lines of an export.
//!
//! What `serve` writes a client reads, and the other way round: both by these types, so that they cannot differ.

#[cfg(any(feature = "client", feature = "serve"))]
mod problem;
mod record;
#[cfg(any(feature = "client", feature = "serve"))]
mod search;
#[cfg(any(feature = "client", feature = "serve"))]
mod store;
#[cfg(any(feature = "client", feature = "serve"))]
mod write;

#[cfg(any(feature = "client", feature = "serve"))]
pub(crate) use problem::Problem;
#[cfg(feature = "serve")]
pub(crate) use problem::{About, type_of};
pub(crate) use record::Record;
#[cfg(feature = "serve")]
pub(crate) use search::Order;
#[cfg(any(feature = "client", feature = "serve"))]
pub(crate) use search::Search;
#[cfg(feature = "serve")]
pub(crate) use store::Imported;
#[cfg(any(feature = "client", feature = "serve"))]
pub(crate) use store::{
    Found, Lookup, Page, Records, Removed, Revisions, StampOut, Statistics, StoreInfo, Stores,
};
#[cfg(any(feature = "client", feature = "serve"))]
pub(crate) use write::{Batch, Content, WriteLine};

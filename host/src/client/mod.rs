//! Stores that a server has, over HTTP (feature `client`).
//!
//! `mortise serve` gives a store to others; here it is opened from there, and is a [`Store`] as any other: tasks,
//! entities, lifecycles, copies and backups stand on it unchanged.
//!
//! ```no_run
//! use mortise::agent::TaskStore;
//!
//! # async fn example() -> mortise::Result<()> {
//! let store = mortise::client::connect("http://127.0.0.1:7337/tasks").await?;
//! let task = TaskStore::new(store).load_by_request_id("req-7").await?;
//! # Ok(())
//! # }
//! ```
//!
//! [`Host::open`](crate::Host::open) takes the same URLs. [`connect`] needs no host, and so no engine.
//!
//! # URLs
//!
//! `http://HOST:PORT/STORE`, or `https://…`. The last part of the path is the store's name at the server; a prefix
//! before it is for servers behind a proxy. Where the name is left out, it is the only store that the server has.
//!
//! | parameter | value |
//! |---|---|
//! | `token-env`, `token-file` | the environment variable, or the file, that has the bearer token; a token never stands in a URL |
//! | `ca-file` | certificates (PEM) of the authorities to trust, in the place of the system's |
//! | `timeout` | how long a call may take with all of its attempts; default 20 s |
//! | `attempt-timeout` | how long one attempt may take; default 10 s |
//! | `upkeep-timeout` | how long `clear` and `statistics` may take; default 310 s |
//!
//! # What is tried again
//!
//! | what is known of the request | a read | a write |
//! |---|---|---|
//! | no connection came about | again | again |
//! | the server says that it did nothing: 503 with a problem of its own, 429 | again, after its `Retry-After` | again, after its `Retry-After` |
//! | it was sent, and no whole answer came | again | `Ambiguous` |
//! | the answer is none of `mortise serve`: a proxy's page | `Internal` | `Ambiguous` |
//! | any other problem | the error that it says | the error that it says |
//!
//! Pauses grow from 50 ms to 2 s and are of uneven length. A write whose answer was lost is never made again, not even
//! one that compares: the second attempt would be told of a conflict with the first.
//!
//! # What only the server's host can do
//!
//! Backends are swapped and snapshots are taken where the store is opened: `Store::reopen` and `Store::snapshot` are
//! `Unsupported`. `Store::status` tells what the server said when the store was opened, or its health was asked for
//! last. Leases and times of transitions go by the clock of the host that asks for them.

mod address;
mod answer;
mod problem;
mod remote;
mod retry;
mod server;
mod told;

use std::sync::Arc;

pub(crate) use address::is_url;
pub(crate) use remote::Remote;

use crate::capability::clock::{Clock, SystemClock};
use crate::error::Result;
use crate::store::Store;

/// Opens a store that a server has, by its [URL](self#urls).
///
/// Needs a tokio runtime with time and I/O enabled.
///
/// # Errors
///
/// `Config`: the URL, the token, the file of authorities, a certificate that is not trusted, no such store;
/// `Unavailable`, where the server cannot be reached within `timeout`; `Internal`, where what answers is no server of
/// this kind.
pub async fn connect(url: &str) -> Result<Store> {
    connect_with(url, Arc::new(SystemClock)).await
}

/// The same by another clock.
pub(crate) async fn connect_with(url: &str, clock: Arc<dyn Clock>) -> Result<Store> {
    let address = address::Address::parse(url)?;
    let remote = Remote::open(address, clock).await?;
    Ok(Store::from(remote))
}

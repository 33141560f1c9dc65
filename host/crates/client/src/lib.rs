//! Mortise stores that a server has, over HTTP.
//!
//! Uses: mortise-store, mortise-wire, mortise-config. Never: wasmtime, rusqlite, redis, mortise-engine, mortise-serve: a
//! program that asks a server compiles no engine.
//!
//! `mortise serve` gives a store to others; here it is opened from there, and is a [`Store`] as any other: tasks,
//! entities, lifecycles, copies and backups stand on it unchanged.
//!
//! ```no_run
//! use mortise_store::Key;
//!
//! # async fn example() -> mortise_store::Result<()> {
//! let store = mortise_client::connect("http://127.0.0.1:7337/tasks").await?;
//! let record = store.load(&Key::new("notes", "note-7")).await?;
//! # Ok(())
//! # }
//! ```
//!
//! `Host::open` takes the same URLs. [`connect`] needs no host, and so no engine.
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
mod retry;
mod store_info;

mod server;

mod remote;

pub mod inside;

use std::sync::Arc;

use mortise_store::{Result, Store, SystemClock};

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
    inside::connect_with(url, Arc::new(SystemClock)).await
}

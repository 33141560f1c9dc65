//! Stores that a server has, over HTTP (feature `client`).
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
//! [`Host::open`](crate::Host::open) takes the same URLs, which [`mortise_client`] describes. [`connect`] needs no host,
//! and so no engine: a program that needs no more depends on the crate `mortise-client` alone.

pub use mortise_client::connect;

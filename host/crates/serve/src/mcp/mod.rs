//! The stores as tools of the Model Context Protocol, over stdio and streamable HTTP.
//!
//! ```no_run
//! use mortise_serve::Served;
//! use mortise_serve::mcp::{Mcp, standard_io};
//!
//! # async fn example(store: mortise_store::Store) -> Result<(), Box<dyn std::error::Error>> {
//! let mcp = Mcp::new(Served::new([store])?);
//! mcp.stdio(standard_io()?, None, None)?.run().await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Errors
//!
//! What a store refuses, and arguments that a tool does not take, are results with `isError`, so that a model reads
//! them and mends its call: their structured content is a problem (`kind`, `detail`, `hint`, and of a conflict the
//! record as it is now), their text is the same as JSON. An unknown tool is an error of the protocol.
//!
//! # Numbers
//!
//! Arguments reach the store digit by digit, and so does an answer's text reach the client. An answer's structured
//! content has the numbers that any JSON library reads: 64-bit integers, and else the nearest double; one beyond
//! every double is there as a text.
//!
//! # Versions
//!
//! The revisions from 2024-11-05 to 2025-11-25. The one after, 2026-07-28, has no sessions and no messages outside
//! of a request: its clients could not be told of a restart. They fall back on a revision that has both.
//!
//! # Restarts
//!
//! [`Sessions::export`] and [`Sessions::restore`] carry sessions over HTTP to another process, [`Stdio::pause`] and
//! [`Stdio::state`] the one over stdio; [`Mcp::notify`] tells clients what is going on. [`stdio`](crate::stdio())
//! does all of it.

mod answer;
mod arguments;
mod call;
mod entities;
mod http;
mod input;
mod lifecycle;
mod lines;
mod notice;
mod problem;
mod restarts;
mod server;
mod sessions;
mod stdio;
mod stores;
mod tasks;
mod tool;

pub use http::{HttpConfig, HttpService};
pub use notice::{Notice, NoticeEvent};
pub use restarts::{
    PhaseDuration, RestartOutcome, RestartRequest, RestartStatus, RestartTicket, Restarts,
};
pub use server::Mcp;
pub use sessions::{SessionState, Sessions};
pub use stdio::{Pipes, Stdio, StdioState, standard_io};

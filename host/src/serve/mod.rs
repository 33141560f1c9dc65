//! Stores as a service, over HTTP and, in [`mcp`], over the Model Context Protocol.
//!
//! ```no_run
//! # async fn example(host: mortise::Host) -> mortise::Result<()> {
//! use mortise::serve::Server;
//!
//! let store = host.open("sqlite:tasks.db").await?;
//! let server = Server::new([store])?.bind("127.0.0.1:7337").await?;
//! println!("http://{}", server.address());
//! let stop = std::future::pending(); // until a signal comes, for one
//! server.run(stop).await;
//! # Ok(())
//! # }
//! ```
//!
//! # Paths
//!
//! `/openapi.json` describes all of them ([`openapi()`]).
//!
//! | path | what it is |
//! |---|---|
//! | `/v1/stores`, `/v1/stores/{store}` | the stores, and how each is doing |
//! | `…/records/{collection}/{id}`, `…/records`, `…/lookup`, `…/batch` | records of any kind |
//! | `…/tasks/{id}`, `…/tasks?request_id=` | agent tasks |
//! | `…/entities/{collection}/{id}`, `…/events`, `…/history` | jobs, cases and others, their lifecycle and its history |
//! | `…/export`, `…/import` | all records, one a line ([format](crate::transfer#format)) |
//! | `/mcp` | the same stores as tools of the Model Context Protocol ([`mcp`]) |
//! | `/healthz`, `/readyz` | whether the process runs, and whether its stores answer |
//! | `/metrics` | what the server and its [stores](crate::metrics#series) did, for Prometheus |
//!
//! # Conventions
//!
//! An `ETag` is a record's revision in quotes. A write says what it expects to be there: `If-None-Match: *` to create,
//! `If-Match` with an `ETag` to replace or remove what was read, `If-Match: *` to do so whatever is there. One that
//! does not say is refused (428), but for a `PATCH` of an entity, which merges. A conflict (412) has the record as it is
//! now in `current`, where its sender may read it.
//!
//! Lists come page by page: `next`, and a `Link` to the page after. Errors are `application/problem+json` (RFC 9457)
//! whose `type`, `urn:mortise:problem:KIND`, does not change; KIND is that of [`ErrorKind`](crate::ErrorKind), or one
//! of the server's own. A 503 says in `Retry-After` when to come again.

mod access;
mod app;
mod connections;
mod entities;
mod expect;
mod extract;
mod figures;
mod health;
mod limits;
pub mod mcp;
mod openapi;
mod paging;
mod paths;
mod problem;
mod rate;
mod records;
mod request;
mod served;
mod server;
mod stores;
mod tasks;
mod tls;
mod tokens;
mod transfer;

#[cfg(unix)]
pub mod restart;

pub use limits::ServeLimits;
pub use openapi::openapi;
pub use served::Served;
pub use server::{BoundServer, Server};
pub use tokens::Token;

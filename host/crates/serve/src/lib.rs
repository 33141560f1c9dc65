//! Stores as a service, over HTTP and, in [`mcp`], over the Model Context Protocol.
//!
//! ```no_run
//! # async fn example(store: mortise_store::Store) -> mortise_store::Result<()> {
//! use mortise_serve::Server;
//!
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
//! | `…/export`, `…/import` | all records, one a line ([format](mortise_transfer#format)) |
//! | `/mcp` | the same stores as tools of the Model Context Protocol ([`mcp`]) |
//! | `/healthz`, `/readyz` | whether the process runs, and whether its stores answer |
//! | `/metrics` | what the server and its [stores](mortise_metrics#series) did, for Prometheus |
//!
//! # Conventions
//!
//! An `ETag` is a record's revision in quotes. A write says what it expects to be there: `If-None-Match: *` to create,
//! `If-Match` with an `ETag` to replace or remove what was read, `If-Match: *` to do so whatever is there. One that
//! does not say is refused (428), but for a `PATCH` of an entity, which merges. A conflict (412) has the record as it is
//! now in `current`, where its sender may read it.
//!
//! Lists come page by page: `next`, and a `Link` to the page after. Errors are `application/problem+json` (RFC 9457)
//! whose `type`, `urn:mortise:problem:KIND`, does not change; KIND is that of [`ErrorKind`](mortise_store::ErrorKind), or one
//! of the server's own. A 503 says in `Retry-After` when to come again.
//!
//! Uses: mortise-store, mortise-config, mortise-wire, mortise-agent, mortise-transfer, mortise-metrics, mortise-restart.
//! Never: mortise-host, mortise-engine, wasmtime: a server asks its stores, whoever keeps their records.

mod access;

pub mod mcp;

mod http;
mod seat;

mod stdio;

pub mod restart;

pub use access::{Served, Token};
pub use http::{BoundServer, ServeLimits, Server, openapi};
pub use stdio::stdio;

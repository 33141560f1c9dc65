//! Everything that needs a component: one binary, so that wasmtime is linked once.
//!
//! `contract` and `concurrency` run on every backend by the same code; the other modules are about one
//! part of the host each.

mod breaker;
mod cli;
mod concurrency;
mod conformance;
mod contract;
mod entities;
mod fallback;
mod faults;
mod fuzz;
mod importers;
mod lifecycle;
mod migrate;
mod processes;
mod quarantine;
mod redis;
mod reload;
mod resume;
mod sandbox;
mod snapshot;
mod sqlite;
mod support;
mod tasks;
mod teal_redis;
mod transfer;
mod trust;
mod zoo;

//! Everything that needs a component: one binary, so that wasmtime is linked once.
//!
//! `contract` and `concurrency` run on every backend by the same code; the other modules are about one
//! part of the host each.

mod cli;
mod concurrency;
mod conformance;
mod contract;
mod faults;
mod processes;
mod quarantine;
mod redis;
mod sandbox;
mod sqlite;
mod support;
mod tasks;
mod teal_redis;
mod transfer;

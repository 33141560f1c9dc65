//! The capability `sqlite` of Mortise: one database for one store, and the migration of its schema.
//!
//! Uses: mortise-store, mortise-config. Never: wasmtime, mortise-engine: a database knows no component, so that
//! migrations are tested without one.

mod sql;
mod statement;

mod connection;
mod writer;

mod database;

pub mod migrate;

#[doc(hidden)]
pub mod inside;

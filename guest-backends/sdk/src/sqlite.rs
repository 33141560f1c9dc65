//! The `sqlite` capability: the one database that the operator gave this store.
//!
//! A component that calls [`query`] or [`transact`] imports it, and runs only where it is granted.
//! Outside of a component both panic.

pub use crate::bindings::sqlite::mortise::persistence::sqlite::{
    Error, Failure, Outcome, Rows, Statement, Value, query, transact,
};

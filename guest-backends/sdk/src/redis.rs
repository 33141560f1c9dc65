//! The `redis` capability: the records of this store in the Redis that the operator gave it.
//!
//! A component that calls one of the functions imports it, and runs only where it is granted. Outside of
//! a component they panic.

pub use crate::bindings::redis::mortise::persistence::redis::{
    Count, Range, Run, clear, commit, find, import, load, load_many, ping, statistics, sweep,
};

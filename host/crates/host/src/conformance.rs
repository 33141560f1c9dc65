//! The conformance kit: whether a component keeps the contract.
//!
//! [`Kit`] runs the clauses of `mortise-conformance` on any component, alone: what it imports is granted on a storage
//! that is made for the run, and the clock is turned by the kit.
//!
//! - `world`: what a clause works on. `redis_server`: its Redis. `kit`: running the clauses. `worker`: the process that
//!   one of them kills.

mod redis_server;
mod worker;
mod world;

mod kit;

pub use self::kit::Kit;
pub use self::worker::run_worker;

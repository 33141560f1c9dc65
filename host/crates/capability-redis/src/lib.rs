//! The capability `redis` of Mortise: the records of one store in one Redis deployment.
//!
//! Uses: mortise-store, mortise-config. Never: wasmtime, mortise-engine: a program that imports from Redis, or
//! tests this layout, compiles no engine.
//!
//! All calls share one connection, and with it one pipeline. Each write is one script, which the server
//! runs as a whole: it checks the preconditions, takes the store's next revision, writes the records and
//! brings their index entries in step. The keys and the scripts are the host's; a guest hands over
//! records and gets records.
//!
//! - `login`: how the host gets in. `topology`: which of the deployment's servers has the store. `connection`:
//!   the way there, over one `link` after another, and what became of a command.
//! - `layout`, `script`, `lua/`: how a store lies in Redis.
//! - `store/records`: what a guest can call. `store/answer`: what an answer means, and what becomes of bytes
//!   that make no record.

mod layout;
mod link;
mod login;
mod range;

mod topology;

mod connection;

mod script;

mod store;

#[doc(hidden)]
pub mod inside;

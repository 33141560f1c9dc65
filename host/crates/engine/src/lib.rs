//! Runs the backends of Mortise: components, instances, pools and breakers.
//!
//! Uses: mortise-store, mortise-config, mortise-transfer, mortise-capability-sqlite, mortise-capability-redis. Never:
//! mortise-host, mortise-agent, mortise-client, mortise-conformance: whoever changes the engine compiles none of them.
//!
//! From the bottom: the WIT's types (`bindings`); what a component is and whether it is trusted; how a call fails; what
//! an instance may call (`state`); instances, the calls into them, pools; a generation at work (`running`); a store
//! that is opened here (`local`); all of them (`engine`), and how one is opened (`opening`).

mod bindings;
mod source;
mod wasm;

mod artifacts;
mod manifest;
mod trust;

mod component;
mod registry;

mod fault;
mod injector;
mod log;

mod breaker;
mod context;
mod wasi;

mod state;

mod instance;

mod calls;

mod bare;
mod generation;
mod pool;

mod running;

mod local;

mod engine;

mod opening;

#[doc(hidden)]
pub mod inside;

pub use manifest::Manifest;
pub use source::Source;
pub use trust::{Pin, SignatureCheck, Verification};

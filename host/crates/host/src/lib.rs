//! Loads the backends of Mortise, opens stores, swaps and migrates them.
//!
//! Uses: mortise-store, mortise-config, mortise-transfer, mortise-capability-sqlite, mortise-conformance, mortise-engine,
//! mortise-client, mortise-metrics. Never: mortise-serve, mortise-agent: a program that opens stores compiles no server.
//!
//! Features: `client` opens the stores of servers, by their http URLs; `metrics` shows what stores measured;
//! `conformance` is the kit that checks whether a component keeps the contract.

mod host;

mod migration;

mod reload;

#[cfg(feature = "conformance")]
mod conformance;

mod opener;

#[cfg(feature = "conformance")]
pub use conformance::{Kit, run_worker};
pub use host::{Host, HostBuilder};
pub use reload::{Reload, Watch};

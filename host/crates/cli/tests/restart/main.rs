//! Restarts of real processes: under load, killed in every phase, with binaries that do not start, with a snapshot that
//! was changed, for a backend that has to migrate.

mod broken;
#[path = "../mcp/by_hand.rs"]
#[allow(dead_code, reason = "other areas use the rest of it")]
mod by_hand;
mod killed;
mod load;
mod mcp;
mod now;
mod process;
#[path = "../mcp/raw.rs"]
#[allow(dead_code, reason = "other areas use the rest of it")]
mod raw;
mod session;
mod snapshots;
mod stdio;
mod supervised;
mod tls;
mod triggered;
mod watched;

use mortise_tests as support;

//! Restarts of real processes: under load, killed in every phase, with binaries that do not start, with a snapshot that
//! was changed, for a backend that has to migrate.

mod broken;
mod killed;
mod load;
mod mcp;
mod now;
pub mod process;
mod session;
mod snapshots;
mod stdio;
mod supervised;
mod tls;
mod triggered;
mod watched;

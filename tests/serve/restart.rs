//! Restarts of real processes: under load, killed in every phase, with binaries that do not start, with a snapshot that
//! was changed, for a backend that has to migrate.

mod broken;
mod killed;
mod load;
mod mcp;
pub mod process;
mod triggered;
mod watched;

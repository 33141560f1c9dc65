//! The command line: `mortise --help`.
//!
//! Uses: mortise, mortise-backends. Never: mortise-guest: it does what any embedder can do.

mod cli;
mod compression;
mod context;
mod entity;
mod exit_code;
mod input;
mod lifecycle;
mod mcp;
mod migrate;
mod output;
mod paging;
mod plugin;
mod progress;
mod restart;
mod restarts;
mod resume;
mod serve;
mod signals;
mod store;
mod target;
mod task;
mod token;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    match cli::Cli::try_parse() {
        Ok(cli) => cli.run().into(),
        Err(told) => output::usage(&told).into(),
    }
}

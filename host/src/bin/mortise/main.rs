//! The command line: `mortise --help`.

mod cli;
mod context;
mod exit_code;
mod input;
mod migrate;
mod output;
mod plugin;
mod progress;
mod store;
mod task;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    match cli::Cli::try_parse() {
        Ok(cli) => cli.run().into(),
        Err(told) => output::usage(&told).into(),
    }
}

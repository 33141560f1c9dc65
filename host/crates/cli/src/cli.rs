//! What the command line takes, and which subcommand does it.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{ArgAction, Parser, Subcommand};
use tracing_subscriber::EnvFilter;

use crate::context::Context;
use crate::exit_code::{self, MortiseExitCode};
use crate::output::{self, Format, Output};
use crate::{entity, lifecycle, mcp, migrate, plugin, restart, resume, serve, store, task, token};

/// Keeps the state of agents through sandboxed storage backends.
///
/// What you asked for goes to stdout, all else to stderr.
#[derive(Debug, Parser)]
#[command(name = "mortise", version, max_term_width = 100, after_help = exit_code::HELP)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    command: Command,
}

/// What every subcommand takes.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// The store: a URL such as sqlite:tasks.db or http://127.0.0.1:7337/tasks, or a name in the
    /// configuration; default: its default-store
    #[arg(
        long,
        global = true,
        value_name = "URL|NAME",
        env = "MORTISE_STORE",
        hide_env_values = true
    )]
    pub store: Option<String>,
    /// The configuration; default: mortise.toml in the current folder, if it is there
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "MORTISE_CONFIG",
        hide_env_values = true
    )]
    pub config: Option<PathBuf>,
    /// Where backends are found as NAME.wasm; they take precedence over the built-in ones
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        env = "MORTISE_PLUGIN_DIR",
        hide_env_values = true
    )]
    pub plugin_dir: Option<PathBuf>,
    /// How data is written to stdout; json is one object a line
    #[arg(long, global = true, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    /// How the log is written to stderr; json is one object a line
    #[arg(
        long,
        global = true,
        value_enum,
        value_name = "FORMAT",
        env = "MORTISE_LOG_FORMAT",
        hide_env_values = true,
        default_value_t = Format::Text
    )]
    pub log_format: Format,
    /// Logs more: -v what an operator may want to know, -vv every call, -vvv every step
    #[arg(short, long, global = true, action = ArgAction::Count, conflicts_with = "quiet")]
    pub verbose: u8,
    /// Says nothing on stderr but errors
    #[arg(short, long, global = true)]
    pub quiet: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Creates, reads, updates, deletes and finds agent tasks
    #[command(subcommand)]
    Task(task::TaskCommand),
    /// Saves, reads, lists and deletes entities: jobs, cases, and objects of any kind
    #[command(subcommand)]
    Entity(entity::EntityCommand),
    /// Leads entities from state to state, and tells how they came to be where they are
    #[command(subcommand)]
    Lifecycle(lifecycle::LifecycleCommand),
    /// Shows what was running, and claims it
    #[command(subcommand)]
    Resume(resume::ResumeCommand),
    /// Looks after whole stores: health, counts, copies, backups, export and import, quarantine
    #[command(subcommand)]
    Store(store::StoreCommand),
    /// Brings a store's database to the schema that its backend wants, or back
    #[command(subcommand)]
    Migrate(migrate::MigrateCommand),
    Serve(Box<serve::Serve>),
    Mcp(mcp::Mcp),
    Restart(restart::Restart),
    /// Shows backends, checks whether they keep the contract, and begins new ones
    #[command(subcommand)]
    Plugin(plugin::PluginCommand),
    /// Makes tokens for the clients of a server, and tells their hashes
    #[command(subcommand)]
    Token(token::TokenCommand),
}

impl Cli {
    /// Does what was asked for, and tells how it ended.
    pub fn run(self) -> MortiseExitCode {
        self.log();
        let mut output = Output::new(self.global.format, self.global.quiet);
        let done = self.dispatch(&mut output).and_then(|()| output.finish());
        match done {
            Ok(()) => MortiseExitCode::Success,
            Err(error) => {
                output::error(&error);
                MortiseExitCode::of(&error)
            }
        }
    }

    fn dispatch(self, output: &mut Output) -> anyhow::Result<()> {
        // A server's tokens are made before its configuration is complete, which is refused without them.
        if let Command::Token(command) = self.command {
            return command.run(output);
        }
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .context("the runtime does not start")?;
        let command = match self.command {
            // It asks a server, which has a host of its own.
            Command::Restart(command) => return runtime.block_on(command.run(output)),
            command => command,
        };
        let context = match (Context::new(self.global), &command) {
            (Err(error), command) => {
                match command {
                    Command::Serve(command) => runtime.block_on(command.decline(&error)),
                    Command::Mcp(command) => runtime.block_on(command.decline(&error)),
                    _ => {}
                }
                return Err(error.into());
            }
            (Ok(context), _) => context,
        };
        runtime.block_on(async {
            let done = match command {
                Command::Task(command) => command.run(&context, output).await,
                Command::Entity(command) => command.run(&context, output).await,
                Command::Lifecycle(command) => command.run(&context, output).await,
                Command::Resume(command) => command.run(&context, output).await,
                Command::Store(command) => command.run(&context, output).await,
                Command::Migrate(command) => command.run(&context, output).await,
                Command::Serve(command) => command.run(&context, output).await,
                Command::Mcp(command) => command.run(&context).await,
                Command::Restart(command) => command.run(output).await,
                Command::Plugin(command) => command.run(&context, output).await,
                Command::Token(command) => command.run(output),
            };
            let closed = context.close().await;
            done.and(closed.map_err(Into::into))
        })
    }

    /// Sends the log to stderr. `-v` and `-q` take precedence over `RUST_LOG`.
    fn log(&self) {
        let filter = match (self.global.quiet, self.global.verbose) {
            (true, _) => EnvFilter::new("error"),
            (_, 1) => EnvFilter::new("warn,mortise=info"),
            (_, 2) => EnvFilter::new("warn,mortise=debug"),
            (_, 3..) => EnvFilter::new("info,mortise=trace"),
            (_, 0) => EnvFilter::builder()
                .with_default_directive(tracing::Level::WARN.into())
                .from_env_lossy(),
        };
        let log = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_ansi(output::stderr_has_color())
            // Where the log cannot be written, because its disk is full or its reader is gone, the line is lost.
            // To say so on stderr would panic in whatever wrote it.
            .log_internal_errors(false)
            .with_writer(std::io::stderr);
        match self.global.log_format {
            Format::Text => log.init(),
            // With what a line is within, outermost first: the request, the call.
            Format::Json => log
                .json()
                .flatten_event(true)
                .with_current_span(false)
                .init(),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_arguments_do_not_contradict_each_other() {
        Cli::command().debug_assert();
    }
}

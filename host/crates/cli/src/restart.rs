//! `mortise restart`: a server, while its clients stay.

use std::path::PathBuf;

use anyhow::anyhow;
use clap::Subcommand;
use mortise::serve::restart::{
    ControlClient, Outcome, PhaseEntry, Restart as Told, ServerStatus, StateDir, history,
};

use crate::output::{Format, Output, Table, time};

/// Restarts the server that runs: another process takes over, and no client notices
///
/// The new process is the program as it is on the disk now, with the same arguments and the configuration as it is now.
/// It compiles, takes over the state, migrates what is to be migrated and proves that its stores are healthy; only then
/// it serves. Whatever fails before leaves the old one serving. Prints each phase, in json the restart as it is so far:
/// {"number":N,"at":MS,"trigger":…,"by":…,"graceful":…,"preserve_state":…,"from":PID,"to":PID,
/// "phases":[{"phase":…,"at":MS,"milliseconds":N}],"outcome":"done"|{"given-up":WHY}|…}.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Restart {
    #[command(subcommand)]
    command: Option<RestartCommand>,
    #[command(flatten)]
    begin: Begin,
}

#[derive(Debug, Subcommand)]
enum RestartCommand {
    /// Shows who serves, and where a restart stands
    Status(Place),
    /// Lists the restarts, the last ones first: who, why, the phases and what came of them
    History(History),
}

#[derive(Debug, clap::Args)]
struct Begin {
    /// Why, for the history
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Drops calls that do not end in time, instead of giving the restart up
    #[arg(long)]
    now: bool,
    /// Starts stores that keep their records in memory without records
    #[arg(long)]
    drop_state: bool,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, clap::Args)]
struct History {
    /// How many
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: usize,
    #[command(flatten)]
    place: Place,
}

/// Which server.
#[derive(Debug, clap::Args)]
struct Place {
    /// The server's state directory; default: that of the server at --port
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// The port at which the server listens
    #[arg(long, value_name = "PORT", default_value_t = 7337)]
    port: u16,
}

impl Place {
    fn state(self) -> mortise::Result<StateDir> {
        match self.state_dir {
            Some(folder) => Ok(StateDir::at(folder)),
            None => StateDir::of_port(self.port),
        }
    }
}

impl Restart {
    pub async fn run(self, output: &mut Output) -> anyhow::Result<()> {
        match self.command {
            None => self.begin.run(output).await,
            Some(RestartCommand::Status(place)) => {
                let client = ControlClient::connect(&place.state()?).await?;
                let status = client.status().await?;
                output.line(Shown(&status), &status)
            }
            Some(RestartCommand::History(history)) => history.run(output),
        }
    }
}

impl Begin {
    async fn run(self, output: &mut Output) -> anyhow::Result<()> {
        let client = ControlClient::connect(&self.place.state()?).await?;
        let (graceful, preserve_state) = (!self.now, !self.drop_state);
        let mut shown = Ok(());
        let mut ended = 0;
        let each = |restart: &Told| {
            if shown.is_ok() {
                shown = show_progress(output, restart, &mut ended);
            }
        };
        let restart = client.restart(self.reason, graceful, preserve_state, each);
        let restart = restart.await?;
        shown?;
        show_progress(output, &restart, &mut ended)?;
        match &restart.outcome {
            Some(Outcome::Done) => {
                let to = restart
                    .to
                    .map_or_else(String::new, |to| format!(": process {to}"));
                output.note(format_args!("the new process serves{to}"));
                Ok(())
            }
            Some(outcome) => Err(anyhow!("the restart is {outcome}")),
            None => Err(anyhow!("the restart has no outcome")),
        }
    }
}

/// In text, the phases that ended since; in json, the restart as it is.
fn show_progress(output: &mut Output, restart: &Told, ended: &mut usize) -> anyhow::Result<()> {
    match output.format() {
        Format::Json => output.json(restart)?,
        Format::Text => {
            let done = restart.phases.iter().skip(*ended);
            for entry in done.take_while(|entry| entry.milliseconds.is_some()) {
                output.text(phase(entry))?;
                *ended += 1;
            }
        }
    }
    output.arrive()
}

fn phase(entry: &PhaseEntry) -> String {
    match entry.milliseconds {
        Some(milliseconds) => format!("{} {milliseconds} ms", entry.phase),
        None => entry.phase.to_string(),
    }
}

impl History {
    fn run(self, output: &mut Output) -> anyhow::Result<()> {
        let restarts = history(&self.place.state()?)?;
        let restarts = restarts.iter().rev().take(self.limit);
        if output.format() == Format::Json {
            return restarts
                .into_iter()
                .try_for_each(|restart| output.json(restart));
        }
        let headings = ["number", "at", "by", "reason", "phases", "outcome"];
        let rows = restarts.map(|restart| {
            let phases: Vec<_> = restart.phases.iter().map(phase).collect();
            let outcome = restart.outcome.as_ref();
            [
                restart.number.to_string(),
                time(restart.at),
                restart.request.by.clone(),
                restart.request.reason.clone().unwrap_or_default(),
                phases.join(", "),
                outcome.map_or_else(|| "goes on".to_owned(), Outcome::to_string),
            ]
        });
        Table::new(headings).rows(output, rows.collect())
    }
}

/// A server's status, in one line.
struct Shown<'a>(&'a ServerStatus);

impl std::fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let status = self.0;
        let (process, since) = (status.process, time(status.since));
        write!(f, "process {process} serves since {since}")?;
        if let Some(restart) = &status.restart {
            let place = restart.phase().map_or("begin", |phase| phase.as_str());
            write!(f, "; restart {} is in phase {place}", restart.number)?;
        }
        if let Some(waits_for) = &status.waits_for {
            write!(f, ", waits for {waits_for}")?;
        }
        if status.suspended > 0 {
            write!(f, "; {} calls wait for it", status.suspended)?;
        }
        if let Some(last) = &status.last
            && let Some(outcome) = &last.outcome
        {
            write!(f, "; the last restart, {}, is {outcome}", last.number)?;
        }
        Ok(())
    }
}

//! `mortise mcp`

use std::os::fd::{FromRawFd as _, OwnedFd, RawFd};
use std::path::PathBuf;

use mortise::serve::restart::{Program, Seat, StateDir, decline};
use mortise::serve::{Served, stdio};

use crate::context::Context;
use crate::restarts::Restarts;
use crate::signals;

/// Serves stores to a client of the Model Context Protocol, over stdin and stdout
///
/// Serves the store that --store names, or else every store of the configuration. Ends when the client closes
/// stdin, or at SIGTERM. What a client's configuration needs:
/// {"command":"mortise","args":["mcp","--store","sqlite:/path/to/tasks.db"]}.
///
/// At SIGHUP, or when the tool restart_server asks, the program as it is on the disk then goes on with the session: in
/// the same process, once another one has shown that it can.
#[derive(Debug, clap::Args)]
pub struct Mcp {
    /// What outlives the program: the history of restarts, and where `mortise restart` asks; default: a folder that is
    /// gone when the session ends
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    #[command(flatten)]
    restarts: Restarts,
    /// Shows to the process that starts this one that it could take over
    #[arg(long, hide = true)]
    take_over: bool,
    /// Takes over from what this process was, led over this open file
    #[arg(long, hide = true, value_name = "NUMBER")]
    take_over_in_place: Option<RawFd>,
}

impl Mcp {
    /// Tells a process that waits for this one to take over that it cannot.
    pub async fn decline(&self, error: &mortise::Error) {
        if self.take_over {
            decline(error.with_causes()).await;
        }
    }

    pub async fn run(self, context: &Context) -> anyhow::Result<()> {
        let stop = signals::stop()?;
        let seat = self.seat(context).await?;
        let state = seat.state().clone();
        let done = serve(seat, context, stop).await;
        // It is that of the process that started this one, where this one shows what it can.
        if self.state_dir.is_none() && !self.take_over {
            state.remove();
        }
        done
    }

    async fn seat(&self, context: &Context) -> mortise::Result<Seat> {
        let (program, limits) = (Program::of_this_process()?, self.restarts.limits());
        let mut seat = match self.take_over_in_place {
            Some(socket) => {
                // SAFETY: this process opened it before `exec`, for this one alone; nobody else has it here.
                let socket = unsafe { OwnedFd::from_raw_fd(socket) };
                Seat::in_place(socket, program, limits).await?
            }
            None if self.take_over => Seat::next(program, limits).await?,
            None => {
                let state = match &self.state_dir {
                    Some(folder) => StateDir::at(folder),
                    None => StateDir::of_session()?,
                };
                Seat::first(state, program, limits).await?
            }
        };
        if self.restarts.on_change() {
            seat.restart_on_change(context.config_file())?;
        }
        Ok(seat)
    }
}

async fn serve(
    mut seat: Seat,
    context: &Context,
    stop: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    let prepared = async {
        seat.prepare(context.host(), context.served()).await?;
        let served = Served::new(context.stores().await?)?;
        anyhow::Ok(match context.default_store() {
            Some(name) => served.with_default(name)?,
            None => served,
        })
    };
    match prepared.await {
        Ok(served) => Ok(stdio(served, seat, stop).await?),
        Err(error) => {
            seat.failed(format!("{error:#}")).await;
            Err(error)
        }
    }
}

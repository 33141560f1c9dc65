//! `mortise serve`

use std::path::PathBuf;
use std::time::Duration;

use mortise::limits::parse_duration;
use mortise::serve::restart::{LoopGuard, Program, RestartLimits, Seat, StateDir, decline};
use mortise::serve::{BoundServer, Server, openapi};
use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};

use crate::context::Context;
use crate::output::Output;

/// Serves stores over HTTP, until SIGTERM or SIGINT
///
/// Serves the store that --store names, or else all that are configured, and prints where: in json
/// {"url":URL}. Then lets the requests that are under way finish. At SIGHUP, or when `mortise restart` asks, another
/// process takes over, and no client notices; the file server.pid in the state directory has the process that serves.
#[derive(Debug, clap::Args)]
pub struct Serve {
    /// Where to listen; port 0 is a free one; default: listen of [serve] in the configuration, 127.0.0.1:7337
    #[arg(long, value_name = "HOST:PORT")]
    listen: Option<String>,
    /// Prints the description of the HTTP API instead (OpenAPI 3.1)
    #[arg(long)]
    openapi: bool,
    /// Swaps a backend while calls go on when its file in the plug-in folder changed; restarts where the new one has to
    /// migrate a store first
    #[arg(long)]
    watch: bool,
    /// What outlives the process: which serves, the history of restarts; default: a folder for each port in the user's
    /// own for such
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    #[command(flatten)]
    restarts: Restarts,
    /// Takes over from the process that starts this one
    #[arg(long, hide = true)]
    take_over: bool,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Restarts")]
struct Restarts {
    /// Restarts also when the program or the configuration changed
    #[arg(long)]
    restart_on_change: bool,
    /// How long the new process may take to start
    #[arg(long, value_name = "TIME", value_parser = parse_duration, default_value = "30s")]
    restart_start_deadline: Duration,
    /// How long calls may take to end before the new process takes over
    #[arg(long, value_name = "TIME", value_parser = parse_duration, default_value = "10s")]
    restart_drain_deadline: Duration,
    /// How long the new process may take to open its stores, with migrations, while calls wait
    #[arg(long, value_name = "TIME", value_parser = parse_duration, default_value = "60s")]
    restart_restore_deadline: Duration,
    /// How many restarts there may be within --restart-window that no person asked for
    #[arg(long, value_name = "N", default_value_t = 5)]
    restart_max: u32,
    /// See --restart-max
    #[arg(long, value_name = "TIME", value_parser = parse_duration, default_value = "60s")]
    restart_window: Duration,
}

impl Restarts {
    fn limits(&self) -> RestartLimits {
        let mut limits = RestartLimits::default();
        limits.start_deadline = self.restart_start_deadline;
        limits.drain_deadline = self.restart_drain_deadline;
        limits.restore_deadline = self.restart_restore_deadline;
        limits.guard = LoopGuard {
            max: self.restart_max,
            window: self.restart_window,
        };
        limits
    }
}

#[derive(Serialize)]
struct Listening<'a> {
    url: &'a str,
}

impl Serve {
    /// Tells a process that waits for this one to take over that it cannot.
    pub async fn decline(&self, error: &mortise::Error) {
        if self.take_over {
            decline(error.with_causes()).await;
        }
    }

    pub async fn run(self, context: &Context, output: &mut Output) -> anyhow::Result<()> {
        if self.openapi {
            return output.whole(&openapi());
        }
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let server = self.server(context).await?;
        if !self.take_over {
            let url = server.url();
            output.line(&url, &Listening { url: &url })?;
            output.arrive()?;
        }
        let stop = async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        server.run(stop).await;
        Ok(())
    }

    /// The server, as soon as it is to answer.
    async fn server(&self, context: &Context) -> anyhow::Result<BoundServer> {
        let (program, limits) = (Program::of_this_process()?, self.restarts.limits());
        let config = context.serve_config();
        let listen = self.listen.clone();
        let listen = listen.unwrap_or_else(|| config.listen.to_string());
        let mut seat = match self.take_over {
            true => Seat::next(program, limits).await?,
            false => Seat::first(self.state(&listen)?, program, limits).await?,
        };
        if self.restarts.restart_on_change {
            seat.restart_on_change(context.config_file())?;
        }
        let prepared = async {
            let host = context.host();
            seat.prepare(host, context.served()).await?;
            // Before the files are read.
            let watch = self.watch.then(|| host.watch()).transpose()?;
            let mut server = Server::new(context.stores().await?)?.config(config.clone());
            if let Some(watch) = watch {
                server = server.watch(watch);
            }
            anyhow::Ok(match context.default_store() {
                Some(store) => server.default_store(store)?,
                None => server,
            })
        };
        match prepared.await {
            Ok(server) => Ok(server.take_over(seat, &*listen).await?),
            Err(error) => {
                seat.failed(format!("{error:#}")).await;
                Err(error)
            }
        }
    }

    fn state(&self, listen: &str) -> mortise::Result<StateDir> {
        if let Some(folder) = &self.state_dir {
            return Ok(StateDir::at(folder));
        }
        let port = listen.rsplit_once(':').map(|(_, port)| port.parse());
        match port {
            Some(Ok(port)) if port != 0 => StateDir::of_port(port),
            // A free one, another at each start; or none, which is told where it is listened at.
            _ => StateDir::of_this_process(),
        }
    }
}

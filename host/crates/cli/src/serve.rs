//! `mortise serve`

use std::path::PathBuf;

#[cfg(target_os = "linux")]
use mortise::serve::restart::Stay;
use mortise::serve::restart::{Program, Seat, StateDir, decline};
use mortise::serve::{BoundServer, Server, openapi};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::Serialize;

use crate::context::Context;
use crate::output::Output;
use crate::restarts::Restarts;
use crate::signals;

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
    /// Stays after another process took over, as long as one serves, and passes signals on: for a supervisor that
    /// watches the process which it started; the first process of a container always does
    #[cfg(target_os = "linux")]
    #[arg(long)]
    stay: bool,
    #[command(flatten)]
    restarts: Restarts,
    /// Takes over from the process that starts this one
    #[arg(long, hide = true)]
    take_over: bool,
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
        raise_open_files();
        let stop = signals::stop()?;
        #[cfg(target_os = "linux")]
        let stay = self.stays().then(Stay::new).transpose()?;
        let (server, state) = self.server(context).await?;
        if !self.take_over {
            let url = server.url();
            output.line(&url, &Listening { url: &url })?;
            output.arrive()?;
        }
        let next = server.run(stop).await;
        #[cfg(target_os = "linux")]
        if let (Some(stay), Some(next)) = (stay, next) {
            // All of it is another process's by now.
            context.close().await?;
            stay.stay(&state, next).await?;
        }
        Ok(())
    }

    /// Whether this process stays.
    #[cfg(target_os = "linux")]
    fn stays(&self) -> bool {
        !self.take_over && (self.stay || std::process::id() == 1)
    }

    /// The server, as soon as it is to answer, and the folder of its state.
    async fn server(&self, context: &Context) -> anyhow::Result<(BoundServer, StateDir)> {
        let (program, limits) = (Program::of_this_process()?, self.restarts.limits());
        let config = context.serve_config();
        let listen = self.listen.clone();
        let listen = listen.unwrap_or_else(|| config.listen.to_string());
        let mut seat = match self.take_over {
            true => Seat::next(program, limits).await?,
            false => Seat::first(self.state(&listen)?, program, limits).await?,
        };
        if self.restarts.on_change() {
            seat.restart_on_change(context.config_file())?;
        }
        let state = seat.state().clone();
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
            Ok(server) => Ok((server.take_over(seat, &*listen).await?, state)),
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

/// Each connection is an open file, of which systems grant a process few before it asks for more.
fn raise_open_files() {
    let granted = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: granted.maximum,
        ..granted
    };
    // Where it fails, there are as many connections as there may be files.
    let _ = setrlimit(Resource::Nofile, raised);
}

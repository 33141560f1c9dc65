//! `mortise mcp`

use anyhow::Context as _;
use mortise::serve::Served;
use mortise::serve::mcp::{Mcp as Server, standard_io};
use tokio::signal::unix::{SignalKind, signal};

use crate::context::Context;

/// Serves stores to a client of the Model Context Protocol, over stdin and stdout
///
/// Serves the store that --store names, or else every store of the configuration. Ends when the client closes
/// stdin, or at SIGTERM. What a client's configuration needs:
/// {"command":"mortise","args":["mcp","--store","sqlite:/path/to/tasks.db"]}.
#[derive(Debug, clap::Args)]
pub struct Mcp {}

impl Mcp {
    pub async fn run(self, context: &Context) -> anyhow::Result<()> {
        let mut terminated =
            signal(SignalKind::terminate()).context("SIGTERM cannot be waited for")?;
        let mut interrupted =
            signal(SignalKind::interrupt()).context("SIGINT cannot be waited for")?;
        let served = Served::new(context.stores().await?)?;
        let server = Server::new(match context.default_store() {
            Some(name) => served.with_default(name)?,
            None => served,
        });
        let pipes = standard_io().context("stdin or stdout cannot be used")?;
        let session = server.stdio(pipes, None, None)?;
        tokio::select! {
            done = session.run() => done.context("the client was not served"),
            _ = terminated.recv() => Ok(()),
            _ = interrupted.recv() => Ok(()),
        }
    }
}

//! `mortise serve`

use mortise::serve::{Server, openapi};
use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};

use crate::context::Context;
use crate::output::Output;

/// Serves stores over HTTP, until SIGTERM or SIGINT
///
/// Serves the store that --store names, or else all that are configured, and prints where: in json
/// {"url":URL}. Then lets the requests that are under way finish.
#[derive(Debug, clap::Args)]
pub struct Serve {
    /// Where to listen; port 0 is a free one; default: listen of [serve] in the configuration, 127.0.0.1:7337
    #[arg(long, value_name = "HOST:PORT")]
    listen: Option<String>,
    /// Prints the description of the HTTP API instead (OpenAPI 3.1)
    #[arg(long)]
    openapi: bool,
}

#[derive(Serialize)]
struct Listening<'a> {
    url: &'a str,
}

impl Serve {
    pub async fn run(self, context: &Context, output: &mut Output) -> anyhow::Result<()> {
        if self.openapi {
            return output.whole(&openapi());
        }
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let config = context.serve_config();
        let listen = self.listen.unwrap_or_else(|| config.listen.to_string());
        let mut server = Server::new(context.stores().await?)?.config(config.clone());
        if let Some(store) = context.default_store() {
            server = server.default_store(store)?;
        }
        let server = server.bind(&*listen).await?;
        let url = server.url();
        output.line(&url, &Listening { url: &url })?;
        output.arrive()?;
        let stop = async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        server.run(stop).await;
        Ok(())
    }
}

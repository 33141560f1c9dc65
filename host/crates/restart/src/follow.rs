//! The first steps of a process that took over.

use std::path::PathBuf;
use std::sync::Arc;

use mortise_store::inside::blocking;
use mortise_store::{Clock as _, Result, SystemClock};
use tokio::net::UnixStream;
use tokio::sync::mpsc;

use crate::carry::Part;
use crate::event::{Outcome, Restart};
use crate::history::History;
use crate::restarts::Restarts;
use crate::take_over::{Passed, TakeOver};

/// What the new process does while the old one passes its last calls on.
pub(super) struct Follow {
    pub(super) take_over: TakeOver,
    pub(super) restart: Restart,
    pub(super) file: PathBuf,
    pub(super) parts: Vec<Arc<dyn Part>>,
    pub(super) hand: mpsc::Sender<UnixStream>,
}

impl Follow {
    /// Does `asked`, what answers those who ask for a restart, once there may be one.
    pub(super) async fn run<T>(mut self, restarts: Restarts, asked: impl Future<Output = T>) {
        // Where the old process is gone by now, this one is the server all the same.
        let _ = self.take_over.serving().await;
        let lives = self.pass_on().await;
        match self.history().await {
            Ok(history) => restarts.open(history),
            Err(error) => tracing::error!(?error, "this process cannot be restarted"),
        }
        for part in &self.parts {
            part.resume(&self.restart).await;
        }
        let passing = async { while lives && self.pass_on().await {} };
        tokio::join!(asked, passing);
    }

    /// Takes the connections that the old process passes on, until it says that the restart is told in the history;
    /// false once it is gone.
    async fn pass_on(&mut self) -> bool {
        loop {
            let file = match self.take_over.next().await {
                Some(Passed::Connection(file)) => file,
                Some(Passed::Ended) => return true,
                None => return false,
            };
            let stream = std::os::unix::net::UnixStream::from(file);
            let stream = stream
                .set_nonblocking(true)
                .and_then(|()| UnixStream::from_std(stream));
            match stream {
                Ok(stream) => {
                    // It fails where the server stops.
                    let _ = self.hand.send(stream).await;
                }
                Err(error) => tracing::warn!(%error, "a call that was passed on is lost"),
            }
        }
    }

    /// The history, in which the old process told how the restart ended, unless it died before. What became the new
    /// process by `exec` tells it itself.
    async fn history(&mut self) -> Result<History> {
        let (file, mut restart) = (self.file.clone(), self.restart.clone());
        let in_place = restart.from == std::process::id();
        blocking(move || {
            let history = History::open(file)?;
            if in_place {
                history.end(&mut restart, Outcome::Done, SystemClock.now())?;
            }
            history.settle("serves")?;
            Ok(history)
        })
        .await
    }
}

//! The new process's side: it is led by the old one, over its standard input.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};

use mortise_store::inside::ErrorInside as _;
use mortise_store::{Error, ErrorKind, Operation, Result};
use rustix::io::FdFlags;

use crate::channel::{Broken, Channel};
use crate::event::Restart;
use crate::protocol::{Order, PROTOCOL, Report};
use crate::state_dir::StateDir;

/// What a process that takes over got from the one before it.
#[derive(Debug)]
pub(super) struct Inherited {
    /// The restart that it was started for.
    pub(super) restart: Restart,
    pub(super) state: StateDir,
}

/// A process that takes over. Dropped before it serves, it has nothing done.
pub(super) struct TakeOver {
    channel: Channel,
}

impl TakeOver {
    /// Meets the process that started this one, and gets what there is to serve with.
    ///
    /// # Errors
    ///
    /// `Config` where nobody is at the standard input, or somebody of another version.
    pub(super) async fn begin() -> Result<(Self, Inherited)> {
        let stdin = io::stdin().as_fd().try_clone_to_owned();
        let channel = stdin.and_then(Channel::from_fd).map_err(|error| {
            Error::config("the standard input is no socket")
                .with_hint(
                    "a server starts the process that takes over by itself: `mortise restart`",
                )
                .with_source(error)
        })?;
        Self::meet(channel).await
    }

    /// Meets, over this socket, what this process was before.
    ///
    /// # Errors
    ///
    /// As [`begin`](Self::begin).
    pub(super) async fn begin_in_place(socket: OwnedFd) -> Result<(Self, Inherited)> {
        let taken = rustix::io::fcntl_setfd(&socket, FdFlags::CLOEXEC);
        let channel = taken.map_err(io::Error::from);
        let channel = channel.and_then(|()| Channel::from_fd(socket));
        let channel = channel.map_err(|error| {
            Error::config("the socket to take over by is none").with_source(error)
        })?;
        Self::meet(channel).await
    }

    async fn meet(channel: Channel) -> Result<(Self, Inherited)> {
        let mut this = Self { channel };
        let (order, _) = this.receive().await?;
        let Order::Hello {
            protocol,
            restart,
            state_dir,
        } = order
        else {
            return Err(unexpected(&order));
        };
        if protocol != PROTOCOL {
            let what = format!("it leads by protocol {protocol}, this program knows {PROTOCOL}");
            let error = Error::config(what)
                .with_hint("stop the server and start it anew: it cannot be restarted in place");
            this.failed(error.with_causes()).await;
            return Err(error);
        }
        let inherited = Inherited {
            restart: *restart,
            state: StateDir::at(state_dir),
        };
        Ok((this, inherited))
    }

    /// Reports that this process is configured and has compiled, and waits until the old one serves nobody any more:
    /// what there is to serve with, by name.
    pub(super) async fn warm(&mut self) -> Result<BTreeMap<String, OwnedFd>> {
        self.send(&Report::Warm).await?;
        match self.receive().await? {
            (Order::Restore { files: names }, files) => Ok(names.into_iter().zip(files).collect()),
            (order, _) => Err(unexpected(&order)),
        }
    }

    /// Reports that the stores are open and healthy, and waits until this process is the one that serves.
    pub(super) async fn ready(&mut self) -> Result<()> {
        self.send(&Report::Ready).await?;
        match self.receive().await? {
            (Order::Serve, _) => Ok(()),
            (order, _) => Err(unexpected(&order)),
        }
    }

    /// Reports that calls are answered.
    pub(super) async fn serving(&mut self) -> Result<()> {
        self.send(&Report::Serving).await
    }

    /// What the old process sends once this one serves; none once it is gone.
    pub(super) async fn next(&mut self) -> Option<Passed> {
        loop {
            match self.channel.receive::<Order>().await {
                Ok((Order::Ended, _)) => return Some(Passed::Ended),
                Ok((Order::Connection, files)) => {
                    if let Some(file) = files.into_iter().next() {
                        return Some(Passed::Connection(file));
                    }
                }
                Ok((order, _)) => {
                    tracing::warn!(?order, "the old process says what was not expected")
                }
                Err(Broken::Gone) => return None,
                Err(broken) => {
                    tracing::warn!(%broken, "the old process is not understood");
                    return None;
                }
            }
        }
    }

    /// Reports that this process cannot take over.
    pub(super) async fn failed(&mut self, why: String) {
        // Where it is not reached, it is told by this process's end.
        let _ = self.send(&Report::Failed { why }).await;
    }

    async fn send(&mut self, report: &Report) -> Result<()> {
        match self.channel.send(report, &[]).await {
            // What it ordered before it was gone is still to be received; where there is nothing, that is told there.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            sent => sent.map_err(|error| left("is not reached").with_source(error)),
        }
    }

    async fn receive(&mut self) -> Result<(Order, Vec<OwnedFd>)> {
        let received = self.channel.receive().await;
        received.map_err(|broken| match broken {
            Broken::Gone => left("gave the restart up, or is gone"),
            broken => left(&broken.to_string()),
        })
    }
}

/// What the old process passes on.
#[derive(Debug)]
pub(super) enum Passed {
    /// The restart is told in the history.
    Ended,
    /// A connection with a call that waited.
    Connection(OwnedFd),
}

fn left(what: &str) -> Error {
    let what = format!("the process that was to be taken over from {what}");
    Error::new(ErrorKind::Unavailable, Operation::Restart, what)
}

fn unexpected(order: &Order) -> Error {
    left(&format!(
        "orders {order:?} where something else was expected"
    ))
}

#[cfg(test)]
mod tests {
    use super::super::event::{Request, Trigger};
    use super::*;

    fn restart() -> Restart {
        Restart {
            number: 7,
            at: 1_000,
            request: Request::of(Trigger::Signal, "SIGHUP"),
            from: 4711,
            to: None,
            phases: Vec::new(),
            outcome: None,
        }
    }

    async fn meet(protocol: u32) -> (Channel, Result<(TakeOver, Inherited)>) {
        let (old, theirs) = Channel::pair().unwrap();
        let hello = Order::Hello {
            protocol,
            restart: Box::new(restart()),
            state_dir: "/state".into(),
        };
        old.send(&hello, &[]).await.unwrap();
        let met = TakeOver::meet(Channel::from_fd(theirs).unwrap()).await;
        (old, met)
    }

    #[tokio::test]
    async fn it_is_led_from_hello_to_serving() {
        let (mut old, met) = meet(PROTOCOL).await;
        let (mut new, inherited) = met.unwrap();
        assert_eq!(inherited.restart, restart());
        let leading = async {
            assert_eq!(old.receive::<Report>().await.unwrap().0, Report::Warm);
            let file = tempfile::tempfile().unwrap();
            let files = vec!["lock".to_owned()];
            let restore = Order::Restore { files };
            old.send(&restore, &[file.as_fd()]).await.unwrap();
            assert_eq!(old.receive::<Report>().await.unwrap().0, Report::Ready);
            old.send(&Order::Serve, &[]).await.unwrap();
            assert_eq!(old.receive::<Report>().await.unwrap().0, Report::Serving);
            old.send(&Order::Ended, &[]).await.unwrap();
            drop(old);
        };
        let led = async {
            assert!(new.warm().await.unwrap().contains_key("lock"));
            new.ready().await.unwrap();
            new.serving().await.unwrap();
            assert!(matches!(new.next().await, Some(Passed::Ended)));
            assert!(new.next().await.is_none());
        };
        tokio::join!(leading, led);
    }

    #[tokio::test]
    async fn an_old_process_of_another_version_is_told_so() {
        let (mut old, met) = meet(PROTOCOL + 1).await;
        let (report, _) = old.receive::<Report>().await.unwrap();
        assert!(matches!(report, Report::Failed { .. }), "{report:?}");
        let told = met.err().unwrap().to_string();
        assert!(told.contains("protocol 2, this program knows 1"), "{told}");
    }

    #[tokio::test]
    async fn an_old_process_that_dies_or_gives_up_ends_the_new_one() {
        let (old, met) = meet(PROTOCOL).await;
        let (mut new, _) = met.unwrap();
        drop(old);
        let told = new.warm().await.unwrap_err().to_string();
        assert!(
            told.contains("the process that was to be taken over from"),
            "{told}"
        );
        let (old, met) = meet(PROTOCOL).await;
        let (mut new, _) = met.unwrap();
        old.send(&Order::Serve, &[]).await.unwrap();
        let told = new.warm().await.unwrap_err().to_string();
        assert!(told.contains("orders Serve where something else"), "{told}");
    }
}

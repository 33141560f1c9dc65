//! MCP's messages as lines, with a pause: what a restart over stdio needs.

use std::collections::HashSet;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rmcp::model::{
    ClientJsonRpcMessage, ClientNotification, ErrorData, RequestId, ServerJsonRpcMessage,
};
use rmcp::service::{RoleServer, RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use tokio::sync::{Mutex as AsyncMutex, watch};

use super::arguments::Arguments;
use super::input::{Input, Next};

/// Two streams of lines.
pub(super) struct Lines {
    input: AsyncMutex<Input>,
    output: AsyncMutex<Box<dyn AsyncWrite + Send + Unpin>>,
    /// Requests that were taken and not answered.
    pending: Mutex<HashSet<RequestId>>,
    /// How many those are.
    count: watch::Sender<usize>,
    paused: watch::Sender<bool>,
}

/// What rmcp reads from and writes to.
pub(super) struct LineTransport(pub(super) Arc<Lines>);

impl Lines {
    pub(super) fn new(input: Input, output: Box<dyn AsyncWrite + Send + Unpin>) -> Arc<Self> {
        Arc::new(Self {
            input: AsyncMutex::new(input),
            output: AsyncMutex::new(output),
            pending: Mutex::default(),
            count: watch::Sender::new(0),
            paused: watch::Sender::new(false),
        })
    }

    /// Takes no further line, and waits until every request that was taken is answered. Where it is given up,
    /// [`go_on`](Self::go_on) is called.
    pub(super) async fn pause(&self) {
        self.hold_back();
        // Whoever reads lets go of it, and has entered the request that it took.
        drop(self.input.lock().await);
        let mut count = self.count.subscribe();
        // It lives as long as this.
        let _ = count.wait_for(|count| *count == 0).await;
    }

    /// Takes no further line from now on.
    pub(super) fn hold_back(&self) {
        self.paused.send_replace(true);
    }

    /// Takes lines again.
    pub(super) fn go_on(&self) {
        self.paused.send_replace(false);
    }

    /// How many requests are not answered.
    pub(super) fn pending(&self) -> usize {
        *self.count.borrow()
    }

    /// What was read and not taken. Waits for whoever reads: pause first.
    pub(super) async fn unread(&self) -> (Vec<u8>, bool) {
        let input = self.input.lock().await;
        let (unread, skipping) = input.unread();
        (unread.to_vec(), skipping)
    }

    async fn next(&self) -> io::Result<Option<ClientJsonRpcMessage>> {
        let mut paused = self.paused.subscribe();
        loop {
            // It lives as long as this.
            let _ = paused.wait_for(|paused| !paused).await;
            let mut input = self.input.lock().await;
            if *paused.borrow_and_update() {
                continue;
            }
            let next = tokio::select! {
                biased;
                _ = paused.changed() => continue,
                next = input.next() => next?,
            };
            let read = match next {
                Next::End => return Ok(None),
                Next::TooLong => Err("the message is too long".to_owned()),
                Next::Line(line) => read(&line),
            };
            match read {
                Ok(Some(message)) => {
                    self.enter(&message);
                    return Ok(Some(message));
                }
                Ok(None) => {}
                Err(why) => {
                    drop(input);
                    let error = ErrorData::invalid_request(why, None);
                    self.write(&ServerJsonRpcMessage::error(error, None))
                        .await?;
                }
            }
        }
    }

    async fn write(&self, message: &ServerJsonRpcMessage) -> io::Result<()> {
        let mut line = serde_json::to_vec(message)?;
        line.push(b'\n');
        let mut output = self.output.lock().await;
        output.write_all(&line).await?;
        output.flush().await
    }

    /// A request was taken, or called off.
    fn enter(&self, message: &ClientJsonRpcMessage) {
        let mut pending = self.locked();
        match message {
            ClientJsonRpcMessage::Request(request) => {
                pending.insert(request.id.clone());
            }
            ClientJsonRpcMessage::Notification(told) => {
                if let ClientNotification::CancelledNotification(cancelled) = &told.notification
                    && let Some(id) = &cancelled.params.request_id
                {
                    pending.remove(id);
                }
            }
            _ => return,
        }
        self.count.send_replace(pending.len());
    }

    /// A request was answered.
    fn leave(&self, message: &ServerJsonRpcMessage) {
        let id = match message {
            ServerJsonRpcMessage::Response(response) => Some(&response.id),
            ServerJsonRpcMessage::Error(error) => error.id.as_ref(),
            _ => None,
        };
        let mut pending = self.locked();
        if id.is_some_and(|id| pending.remove(id)) {
            self.count.send_replace(pending.len());
        }
    }

    fn locked(&self) -> MutexGuard<'_, HashSet<RequestId>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A message, its arguments beside it. None where the line is no JSON: as with other servers it is passed over, because
/// what answers such a line may be answered by one.
fn read(line: &[u8]) -> Result<Option<ClientJsonRpcMessage>, String> {
    let taken = Arguments::take(line);
    let rest = taken.as_ref().map_or(line, |(rest, _)| rest);
    let mut message: ClientJsonRpcMessage = match serde_json::from_slice(rest) {
        Ok(message) => message,
        Err(error) if error.is_data() => return Err(format!("the line is no message: {error}")),
        Err(error) => {
            tracing::warn!(%error, "passed over a line that is no JSON");
            return Ok(None);
        }
    };
    if let Some((_, arguments)) = taken {
        message.insert_extension(arguments);
    }
    Ok(Some(message))
}

impl Transport<RoleServer> for LineTransport {
    type Error = io::Error;

    fn send(
        &mut self,
        message: TxJsonRpcMessage<RoleServer>,
    ) -> impl Future<Output = io::Result<()>> + Send + 'static {
        let lines = Arc::clone(&self.0);
        async move {
            let written = lines.write(&message).await;
            // Also where it was not: nobody will answer it any more.
            lines.leave(&message);
            written
        }
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleServer>> {
        match self.0.next().await {
            Ok(message) => message,
            Err(error) => {
                tracing::warn!(%error, "stdin or stdout broke");
                None
            }
        }
    }

    async fn close(&mut self) -> io::Result<()> {
        Ok(())
    }
}

//! WASI 0.2 with an empty context, for components that import it: no files, no environment, no
//! arguments, no sockets. What they print goes to the log.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use mortise_store::limits::MAX_LOG_LINE_BYTES;
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::{ResourceTable, WasiCtx, WasiCtxView};

use crate::bindings::mortise::persistence::log::Level;
use crate::log::GuestLog;

/// Random bytes that a guest gets in one call, at most.
const MAX_RANDOM_BYTES: u64 = 64 << 10;

/// An instance's WASI.
pub(crate) struct Wasi {
    context: WasiCtx,
    table: ResourceTable,
}

impl Wasi {
    pub(crate) fn empty(log: &Arc<GuestLog>) -> Self {
        let printed = |level| Printed {
            log: Arc::clone(log),
            level,
        };
        let context = WasiCtx::builder()
            .stdout(printed(Level::Info))
            .stderr(printed(Level::Warn))
            .allow_tcp(false)
            .allow_udp(false)
            .allow_ip_name_lookup(false)
            .max_random_size(MAX_RANDOM_BYTES)
            .build();
        Self {
            context,
            table: ResourceTable::new(),
        }
    }

    /// What WASI's functions work on.
    pub(crate) fn view(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.context,
            table: &mut self.table,
        }
    }
}

/// A guest's stdout or stderr.
struct Printed {
    log: Arc<GuestLog>,
    level: Level,
}

impl IsTerminal for Printed {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Printed {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(Lines {
            log: Arc::clone(&self.log),
            level: self.level,
            line: Vec::new(),
        })
    }
}

/// Writes whole lines to the guest's log.
struct Lines {
    log: Arc<GuestLog>,
    level: Level,
    line: Vec<u8>,
}

impl Lines {
    fn end_line(&mut self) {
        if !self.line.is_empty() {
            self.log
                .write(self.level, &String::from_utf8_lossy(&self.line));
            self.line.clear();
        }
    }
}

impl AsyncWrite for Lines {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        for &byte in bytes {
            if byte == b'\n' {
                self.end_line();
            } else if self.line.len() <= MAX_LOG_LINE_BYTES {
                self.line.push(byte);
            }
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.end_line();
        Poll::Ready(Ok(()))
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.end_line();
    }
}

//! What the host keeps beside one instance, and what an instance may call: a file for each interface of the WIT.

mod clock;
mod log;
mod redis;
mod sqlite;
mod wasi;

use std::sync::Arc;

use mortise_capability_redis::inside::Effect;
use tokio::time::Instant;
use wasmtime::ResourceLimiter;

use crate::context::StoreContext;
use crate::injector::Injectable;
use crate::wasi::Wasi;

/// What the host keeps beside one instance.
pub struct State {
    pub(crate) context: Arc<StoreContext>,
    pub(crate) wasi: Option<Wasi>,
    /// When the capabilities must have answered: a little before the call must have ended, so that
    /// the guest can still tell its caller what became of a write.
    pub(crate) deadline: Instant,
    /// Set as soon as the call under way handed a write to the storage.
    pub(crate) may_have_written: bool,
    /// The last line that the guest logged as an error: the message of its panic.
    pub(crate) last_error_line: Option<String>,
    pub(crate) memory: MemoryLimit,
}

impl State {
    /// Runs a write of a capability. Until it is known what became of it, it may have happened; of an
    /// error, `in_doubt` tells whether it still may.
    async fn writing<T, E: Injectable>(
        &mut self,
        write: impl Future<Output = Result<T, E>>,
        in_doubt: impl FnOnce(&E) -> bool,
    ) -> Result<T, E> {
        let wrote_before = std::mem::replace(&mut self.may_have_written, true);
        let result = match &self.context.injector {
            None => write.await,
            Some(injector) => injector.run(Effect::Writes, write).await,
        };
        if let Err(error) = &result
            && !in_doubt(error)
        {
            self.may_have_written = wrote_before;
        }
        result
    }
}

impl StoreContext {
    /// Runs a call of a capability that changes no record.
    async fn reading<T, E: Injectable>(
        &self,
        read: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        match &self.injector {
            None => read.await,
            Some(injector) => injector.run(Effect::Reads, read).await,
        }
    }
}

/// Refuses growth over the limit, and remembers that it did.
pub(crate) struct MemoryLimit {
    pub(crate) bytes: usize,
    pub(crate) refused: bool,
}

impl ResourceLimiter for MemoryLimit {
    fn memory_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        self.refused |= desired > self.bytes;
        Ok(desired <= self.bytes)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired <= crate::wasm::TABLE_ELEMENTS)
    }
}

//! From lines to a store.

use std::io::BufRead;

use super::batch::Batch;
use super::line::{Fault, Reader};
use crate::error::{Error, ErrorKind, Operation, Result};
use crate::record::Stored;
use crate::store::Store;

/// How many bytes of JSON a byte of a record can take: a control character is written `\u0000`.
const ESCAPED_BYTES: u64 = 6;
/// What a line can have beside the body: 4,096 attributes and the key, all of them escaped, and names.
const MAX_LINE_OVERHEAD: u64 = 32 << 20;

/// Writes every record of an export to a store, with its revisions and times; how many.
///
/// Records are written in batches, each all or nothing. What is there already with the same stamp is
/// left alone: an import that failed can be run again. `progress` is told after each batch how many
/// records were imported so far. Reading blocks the thread that polls the future: in a server, hand it
/// one of its own.
///
/// # Errors
///
/// `Invalid` for a damaged line, by its number and with what was expected, and for a file that ends
/// without its trailer; `Io` where `from` cannot be read; those of [`Store::import`], whose error is
/// the source. Each says how many records were imported before; nothing after them was.
pub async fn import<R: BufRead>(
    store: &Store,
    from: R,
    mut progress: impl FnMut(u64),
) -> Result<u64> {
    let longest = store.max_body_bytes().saturating_mul(ESCAPED_BYTES);
    let mut lines = Lines::new(store);
    let mut reader = Reader::new(from, longest.saturating_add(MAX_LINE_OVERHEAD))
        .map_err(|fault| lines.damaged(fault))?;
    while let Some(stored) = reader.next().map_err(|fault| lines.damaged(fault))? {
        if !lines.batch.has_room_for(&stored.draft) {
            lines.write().await?;
            progress(lines.imported);
        }
        lines.push(stored, reader.line());
    }
    lines.write().await?;
    progress(lines.imported);
    Ok(lines.imported)
}

/// A batch, and the lines that it came from.
struct Lines<'a> {
    store: &'a Store,
    batch: Batch,
    /// The line of the first and of the last record.
    lines: (u64, u64),
    imported: u64,
}

impl<'a> Lines<'a> {
    fn new(store: &'a Store) -> Self {
        Self {
            store,
            batch: Batch::new(store),
            lines: (0, 0),
            imported: 0,
        }
    }

    fn push(&mut self, stored: Stored, line: u64) {
        if self.batch.is_empty() {
            self.lines.0 = line;
        }
        self.lines.1 = line;
        self.batch.push(stored);
    }

    async fn write(&mut self) -> Result<()> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let records = self.batch.take();
        let count = records.len() as u64;
        self.store
            .import(records)
            .await
            .map_err(|error| self.refused(error))?;
        self.imported += count;
        Ok(())
    }

    fn refused(&self, error: Error) -> Error {
        let (first, last) = self.lines;
        let mut refused = Error::new(
            error.kind(),
            Operation::Import,
            format!(
                "the batch of lines {first} to {last} failed; {} records were imported before",
                self.imported
            ),
        )
        .with_backend(self.store.backend());
        if let Some(key) = error.key() {
            refused = refused.with_key(key.clone());
        }
        match error.kind() {
            ErrorKind::Conflict | ErrorKind::Invalid => {
                refused =
                    refused.with_hint("import into a store that is empty, or has the same records");
            }
            ErrorKind::Unavailable | ErrorKind::Deadline | ErrorKind::Ambiguous => {
                refused = refused.with_hint("import again: what is there already is left alone");
            }
            _ => {}
        }
        refused.with_source(error)
    }

    fn damaged(&self, fault: Fault) -> Error {
        let Fault { line, what, source } = fault;
        let imported = self.imported;
        let message = format!("line {line}: {what}; {imported} records were imported before");
        match source {
            Some(source) => {
                Error::new(ErrorKind::Io, Operation::Import, message).with_source(source)
            }
            None => Error::invalid(Operation::Import, message),
        }
    }
}

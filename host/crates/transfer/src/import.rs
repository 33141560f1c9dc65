//! From lines to a store.

use std::io::BufRead;

use mortise_store::{Digest, Error, Operation, Result, Store, Stored};

use crate::batch::{Batch, refused};
use crate::line::{self, BadLine, Reader};

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
/// without its trailer or has another digest than that; `Io` where `from` cannot be read; those of
/// [`Store::import`], whose error is the source. Each says how many records were imported before; nothing
/// after them was.
pub async fn import<R: BufRead>(store: &Store, from: R, progress: impl FnMut(u64)) -> Result<u64> {
    let lines = Lines::new(store, Operation::Import);
    let (imported, _) = lines.import(from, progress, |_| Ok(())).await?;
    Ok(imported)
}

/// A batch, and the lines that it came from.
pub(super) struct Lines<'a> {
    store: &'a Store,
    operation: Operation,
    batch: Batch,
    /// The line of the first and of the last record.
    lines: (u64, u64),
    imported: u64,
}

impl<'a> Lines<'a> {
    pub(super) fn new(store: &'a Store, operation: Operation) -> Self {
        Self {
            store,
            operation,
            batch: Batch::new(store),
            lines: (0, 0),
            imported: 0,
        }
    }

    /// Writes every record, and shows each before; how many, and the digest that the trailer names.
    pub(super) async fn import<R: BufRead>(
        mut self,
        from: R,
        mut progress: impl FnMut(u64),
        mut each: impl FnMut(&Stored) -> Result<()>,
    ) -> Result<(u64, Option<Digest>)> {
        let longest = line::longest_line(self.store);
        let mut reader = Reader::new(from, longest).map_err(|fault| self.damaged(fault))?;
        while let Some(stored) = reader.next().map_err(|fault| self.damaged(fault))? {
            each(&stored)?;
            if !self.batch.has_room_for(&stored.draft) {
                self.write().await?;
                progress(self.imported);
            }
            self.push(stored, reader.line());
        }
        self.write().await?;
        progress(self.imported);
        Ok((self.imported, reader.digest()))
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
        let written = self.store.import(records).await;
        written.map_err(|error| self.refused(error))?;
        self.imported += count;
        Ok(())
    }

    fn refused(&self, error: Error) -> Error {
        let (first, last) = self.lines;
        let before = self.before();
        let what = format!("the batch of lines {first} to {last} failed; {before}");
        refused(error, self.operation, self.store, what)
    }

    fn damaged(&self, fault: BadLine) -> Error {
        fault.into_error(self.operation, &self.before())
    }

    fn before(&self) -> String {
        let done = match self.operation {
            Operation::Restore => "restored",
            _ => "imported",
        };
        format!("{} records were {done} before", self.imported)
    }
}

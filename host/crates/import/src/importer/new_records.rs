//! Records that are created where they are not there yet.

use mortise_store::inside::{ErrorInside as _, Later};
use mortise_store::{Draft, Error, ErrorKind, Operation, Result, Store, Stored, Write};

/// Creates what is not there yet, and writes over nothing.
pub(crate) struct NewRecords<'a> {
    store: &'a Store,
    dry_run: bool,
    created: u64,
}

/// What became of a record. Of a dry run: what would become of it.
pub(crate) enum Outcome {
    Created,
    /// It was there, with the same body.
    Unchanged,
    /// Why it was not written.
    Skipped(String),
}

impl<'a> NewRecords<'a> {
    /// A dry run looks only.
    pub(crate) fn new(store: &'a Store, dry_run: bool) -> Self {
        Self {
            store,
            dry_run,
            created: 0,
        }
    }

    /// Creates those that are not there, all at once where that can be; what became of each, in their order.
    /// They are no more than one batch takes, and each keeps the store's rules.
    pub(crate) fn settle<'b>(
        &'b mut self,
        drafts: &'b [&'b Draft],
    ) -> Later<'b, Result<Vec<Outcome>>> {
        Box::pin(async move {
            let there = self.there(drafts).await?;
            let outcomes = drafts.iter().zip(there).map(|(draft, there)| match there {
                Ok(None) => Outcome::Created,
                Ok(Some(there)) if there.draft.body == draft.body => Outcome::Unchanged,
                Ok(Some(_)) => Outcome::Skipped(
                    "the store has this record already, with other content".to_owned(),
                ),
                Err(reason) => Outcome::Skipped(reason),
            });
            let mut outcomes: Vec<_> = outcomes.collect();
            let missing = outcomes.iter().enumerate();
            let missing = missing.filter(|(_, outcome)| matches!(outcome, Outcome::Created));
            let missing: Vec<usize> = missing.map(|(index, _)| index).collect();
            if self.dry_run || missing.is_empty() {
                return Ok(outcomes);
            }
            let writes = missing.iter();
            let writes = writes.map(|index| Write::create(drafts[*index].clone()));
            if self.create_all(writes.collect()).await? {
                self.created += missing.len() as u64;
                return Ok(outcomes);
            }
            for index in missing {
                match self.store.create(drafts[index].clone()).await {
                    Ok(_) => self.created += 1,
                    Err(error) if is_about_one(&error) => {
                        outcomes[index] = Outcome::Skipped(error.reason());
                    }
                    Err(error) => return Err(error),
                }
            }
            Ok(outcomes)
        })
    }

    /// What ended an import, and how far it was.
    pub(crate) fn stopped(&self, records: &str, error: Error) -> Error {
        let created = self.created;
        let message = format!("the import stopped; {created} {records} were created before");
        let stopped = Error::new(error.kind(), Operation::Import, message);
        let stopped = match error.kind() {
            ErrorKind::Unavailable | ErrorKind::Deadline | ErrorKind::Ambiguous => {
                stopped.with_hint("import again: what is there already is left alone")
            }
            _ => stopped,
        };
        stopped.with_source(error)
    }

    /// Whether they could be created all at once: together they may be too much, or one is refused.
    async fn create_all(&self, writes: Vec<Write>) -> Result<bool> {
        match self.store.apply(writes).await {
            Ok(_) => Ok(true),
            Err(error) if is_about_one(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// What the store has under the records' keys; or why that cannot be read.
    async fn there(&self, drafts: &[&Draft]) -> Result<Vec<Result<Option<Stored>, String>>> {
        let keys: Vec<_> = drafts.iter().map(|draft| draft.key.clone()).collect();
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        match self.store.load_many(keys.clone()).await {
            Ok(there) => return Ok(there.into_iter().map(Ok).collect()),
            // Together they may be more than one answer has, and one may be corrupt.
            Err(error) if matches!(error.kind(), ErrorKind::TooLarge | ErrorKind::Corrupt) => {}
            Err(error) => return Err(error),
        }
        let mut there = Vec::with_capacity(keys.len());
        for key in &keys {
            there.push(match self.store.load(key).await {
                Ok(stored) => Ok(stored),
                Err(error) if error.kind() == ErrorKind::Corrupt => Err(error.reason()),
                Err(error) => return Err(error),
            });
        }
        Ok(there)
    }
}

/// Whether the store refused a record, not a call: others may be taken.
fn is_about_one(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::AlreadyExists | ErrorKind::Invalid | ErrorKind::TooLarge
    )
}

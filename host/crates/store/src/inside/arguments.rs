//! The contract's rules for arguments, checked once for every backend.

use std::collections::HashSet;

use crate::error::{Error, ErrorInside as _, Operation, Result};
use crate::limits::{
    Limits, MAX_ATTRIBUTE_NAME_BYTES, MAX_ATTRIBUTE_VALUE_BYTES, MAX_ATTRIBUTES,
    MAX_BATCH_ATTRIBUTES, MAX_COLLECTION_BYTES, MAX_CURSOR_BYTES, MAX_ID_BYTES, MAX_PAGE_RECORDS,
    MAX_QUERY_ATTRIBUTES, MAX_REVISION, MAX_TIMESTAMP,
};
use crate::record::{
    Attribute, Draft, DraftInside as _, Key, Precondition, Query, Revision, Stored, Write,
};

/// The rules for one operation of one store.
pub struct Arguments<'a> {
    /// What is called.
    pub operation: Operation,
    /// The operator's.
    pub limits: &'a Limits,
    /// The smaller of the operator's limit and the backend's.
    pub max_body_bytes: u64,
    /// The most writes of one batch.
    pub max_batch: usize,
}

impl Arguments<'_> {
    /// A record's key.
    pub fn key(&self, key: &Key) -> Result<()> {
        self.collection(&key.collection)?;
        self.length("the id", &key.id, 1, MAX_ID_BYTES)
    }

    /// Several keys: at most as many as a page has records.
    pub fn keys(&self, keys: &[Key]) -> Result<()> {
        self.count("keys", keys.len(), MAX_PAGE_RECORDS as usize)?;
        keys.iter().try_for_each(|key| self.key(key))
    }

    /// A collection's name.
    pub fn collection(&self, collection: &str) -> Result<()> {
        self.length("the collection", collection, 1, MAX_COLLECTION_BYTES)
    }

    /// A whole record.
    pub fn draft(&self, draft: &Draft) -> Result<()> {
        self.draft_rules(draft)
            .map_err(|error| error.with_key(draft.key.clone()))
    }

    fn draft_rules(&self, draft: &Draft) -> Result<()> {
        self.key(&draft.key)?;
        let bytes = draft.body.len() as u64;
        if bytes > self.max_body_bytes {
            let most = self.max_body_bytes;
            return Err(Error::too_large(
                self.operation,
                format!("the body has {bytes} bytes, more than the {most} that a record may have"),
            ));
        }
        self.attributes(&draft.attributes, MAX_ATTRIBUTES)?;
        match draft.expires_at {
            Some(at) if at > MAX_TIMESTAMP => Err(self.invalid(format!(
                "expires-at is {at}, expected milliseconds since 1970, at most {MAX_TIMESTAMP}"
            ))),
            _ => Ok(()),
        }
    }

    /// A revision that is expected.
    pub fn revision(&self, revision: Option<Revision>) -> Result<()> {
        match revision {
            Some(revision) if !(1..=MAX_REVISION).contains(&revision) => {
                Err(self.invalid(format!(
                    "the revision expected is {revision}, but revisions go from 1 to {MAX_REVISION}"
                )))
            }
            _ => Ok(()),
        }
    }

    /// A query.
    pub fn query(&self, query: &Query) -> Result<()> {
        self.collection(&query.collection)?;
        self.attributes(&query.attributes, MAX_QUERY_ATTRIBUTES)?;
        self.page(query.after.as_deref(), query.limit)
    }

    /// Where a page starts, and how long it is.
    pub fn page(&self, after: Option<&str>, limit: u32) -> Result<()> {
        if let Some(cursor) = after {
            self.length("the cursor", cursor, 1, MAX_CURSOR_BYTES)?;
        }
        self.limit(limit)
    }

    /// How many records are asked for.
    pub fn limit(&self, limit: u32) -> Result<()> {
        if (1..=MAX_PAGE_RECORDS).contains(&limit) {
            return Ok(());
        }
        Err(self.invalid(format!(
            "the limit is {limit}, expected 1 to {MAX_PAGE_RECORDS}"
        )))
    }

    /// A batch of writes.
    pub fn batch(&self, batch: &[Write]) -> Result<()> {
        self.count("writes", batch.len(), self.max_batch)?;
        let mut total = Total::default();
        let mut keys = HashSet::with_capacity(batch.len());
        for (index, write) in batch.iter().enumerate() {
            let at = |error: Error| error.with_write_index(index);
            match write {
                Write::Put(put) => {
                    self.draft(&put.draft).map_err(at)?;
                    total.add(&put.draft);
                }
                Write::Remove(remove) => {
                    self.key(&remove.key).map_err(at)?;
                    if remove.expect == Precondition::Absent {
                        let error = self.invalid("a removal cannot expect the record to be absent");
                        return Err(at(error));
                    }
                }
            }
            let (Write::Put(crate::record::Put { expect, .. })
            | Write::Remove(crate::record::Remove { expect, .. })) = write;
            if let Precondition::UnchangedSince(revision) = expect {
                self.revision(Some(*revision)).map_err(at)?;
            }
            let key = write.key();
            if !keys.insert((key.collection.as_str(), key.id.as_str())) {
                let error = self
                    .invalid("one batch names the record twice")
                    .with_key(key.clone());
                return Err(at(error));
            }
        }
        self.total(&total)
    }

    /// Records with their stamps.
    pub fn imported(&self, records: &[Stored]) -> Result<()> {
        self.count("records", records.len(), MAX_PAGE_RECORDS as usize)?;
        let mut total = Total::default();
        let mut keys = HashSet::with_capacity(records.len());
        for (index, record) in records.iter().enumerate() {
            let at = |error: Error| error.with_write_index(index);
            self.draft(&record.draft).map_err(at)?;
            let (key, stamp) = (record.key(), &record.stamp);
            let fits = stamp.create_revision >= 1
                && stamp.create_revision <= stamp.mod_revision
                && stamp.mod_revision <= MAX_REVISION
                && stamp.created_at <= MAX_TIMESTAMP
                && stamp.updated_at <= MAX_TIMESTAMP;
            if !fits {
                let error = self.invalid(format!(
                    "the stamp {stamp:?} is none that a store writes: revisions go from 1 to \
                     {MAX_REVISION}, create-revision before mod-revision, times up to {MAX_TIMESTAMP}"
                ));
                return Err(at(error.with_key(key.clone())));
            }
            if !keys.insert((key.collection.as_str(), key.id.as_str())) {
                let error = self
                    .invalid("one import names the record twice")
                    .with_key(key.clone());
                return Err(at(error));
            }
            total.add(&record.draft);
        }
        self.total(&total)
    }

    /// Attributes, at most so many.
    pub fn attributes(&self, attributes: &[Attribute], most: usize) -> Result<()> {
        self.count("attributes", attributes.len(), most)?;
        for Attribute { name, value } in attributes {
            self.length("an attribute's name", name, 1, MAX_ATTRIBUTE_NAME_BYTES)?;
            if value.len() > MAX_ATTRIBUTE_VALUE_BYTES {
                let what = format!("the value of the attribute {name:?}");
                self.length(&what, value, 0, MAX_ATTRIBUTE_VALUE_BYTES)?;
            }
        }
        if let Some(twice) = repeated(attributes) {
            return Err(self.invalid(format!(
                "the attribute ({:?}, {:?}) is given twice",
                twice.name, twice.value
            )));
        }
        Ok(())
    }

    fn length(&self, what: &str, text: &str, least: usize, most: usize) -> Result<()> {
        if (least..=most).contains(&text.len()) {
            return Ok(());
        }
        Err(self.invalid(format!(
            "{what} has {} bytes, expected {least} to {most}",
            text.len()
        )))
    }

    fn count(&self, what: &str, count: usize, most: usize) -> Result<()> {
        if count <= most {
            return Ok(());
        }
        Err(Error::too_large(
            self.operation,
            format!("{count} {what}, more than the {most} that one call may have"),
        ))
    }

    fn total(&self, total: &Total) -> Result<()> {
        self.count("attributes", total.attributes, MAX_BATCH_ATTRIBUTES)?;
        let most = self.limits.batch_bytes.0;
        if total.bytes <= most {
            return Ok(());
        }
        Err(Error::too_large(
            self.operation,
            format!(
                "{} bytes, more than the {most} that one call may have",
                total.bytes
            ),
        ))
    }

    /// An argument that breaks a rule, in these words.
    pub fn invalid(&self, message: impl Into<String>) -> Error {
        Error::invalid(self.operation, message)
    }
}

/// What all drafts of one call come to.
#[derive(Default)]
struct Total {
    attributes: usize,
    bytes: u64,
}

impl Total {
    fn add(&mut self, draft: &Draft) {
        self.attributes += draft.attributes.len();
        self.bytes += draft.size_in_batch();
    }
}

/// A pair that is there twice.
fn repeated(attributes: &[Attribute]) -> Option<&Attribute> {
    // Most records have a handful.
    if attributes.len() <= 8 {
        let mut rest = attributes;
        while let Some((first, others)) = rest.split_first() {
            if others.contains(first) {
                return Some(first);
            }
            rest = others;
        }
        return None;
    }
    let mut seen = HashSet::with_capacity(attributes.len());
    attributes
        .iter()
        .find(|pair| !seen.insert((pair.name.as_str(), pair.value.as_str())))
}

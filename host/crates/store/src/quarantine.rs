//! Corrupt records, set aside.
//!
//! An entry is an ordinary record of the collection [`QUARANTINE`], on every backend. So it is exported
//! and imported with the store, counted in its statistics, and safe from everything but an operator.

use crate::error::{Error, ErrorInside as _, ErrorKind, Operation, Result};
use crate::limits::{MAX_ATTRIBUTE_VALUE_BYTES, MAX_ATTRIBUTES};
use crate::record::{Attribute, Draft, Key, Query, Revision, Stored, Timestamp, Write};
use crate::store::Store;

/// The collection that corrupt records are set aside in.
pub const QUARANTINE: &str = "mortise.quarantine";
/// The attribute of an entry with the collection that its record was in.
pub const QUARANTINE_COLLECTION: &str = "quarantine-collection";
/// The attribute of an entry with the id that its record had.
pub const QUARANTINE_ID: &str = "quarantine-id";
/// The attribute of an entry with the reason why it is there: one line.
pub const QUARANTINE_REASON: &str = "quarantine-reason";

/// How many ids of an entry are tried: imports may have brought entries of the same ids.
const ID_ATTEMPTS: u32 = 100;

/// The corrupt records of a store: [`Store::quarantine`].
///
/// A record whose bytes cannot be read back is never deleted. It is set aside here, its key reads as
/// absent from then on and may be created anew, and the entry stays until it is restored or removed.
#[derive(Debug, Clone)]
pub struct Quarantine {
    store: Store,
}

/// A corrupt record that was set aside.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct QuarantineEntry {
    /// Names the entry. Opaque.
    pub id: String,
    /// Which record it was. What is in the collection and is no entry names itself.
    pub key: Key,
    /// Why it is corrupt: one line.
    pub reason: String,
    /// When it was set aside.
    pub at: Timestamp,
    /// The record's body, or all that was stored where it could not be told apart. Empty in a list.
    pub bytes: Vec<u8>,
    /// The record's attributes, as far as they could be read.
    pub attributes: Vec<Attribute>,
}

/// Some of the entries.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct QuarantinePage {
    /// Without their bytes, the one that was set aside first coming first.
    pub entries: Vec<QuarantineEntry>,
    /// Where the next page starts; none after the last.
    pub next: Option<String>,
}

impl Quarantine {
    pub(crate) fn new(store: Store) -> Self {
        Self { store }
    }

    /// One page of the entries, without their bytes: 1 to 1,000.
    ///
    /// # Errors
    ///
    /// Those of [`Store::find`].
    pub async fn list(&self, after: Option<String>, limit: u32) -> Result<QuarantinePage> {
        let query = Query::new(QUARANTINE).without_bodies().limit(limit);
        let page = self.store.find(query.after(after)).await?;
        Ok(QuarantinePage {
            entries: page.records.into_iter().map(entry).collect(),
            next: page.next,
        })
    }

    /// An entry with its bytes; none where there is none.
    ///
    /// # Errors
    ///
    /// Those of [`Store::load`].
    pub async fn load(&self, id: &str) -> Result<Option<QuarantineEntry>> {
        let stored = self.store.load(&Key::new(QUARANTINE, id)).await?;
        Ok(stored.map(entry))
    }

    /// Creates the record anew under its key and removes the entry, in one step; answers the record's key
    /// and revision. Its body is the one given, or the entry's bytes; its attributes are those that could
    /// be read, also where the body given is to be found by others: its next update mends that. It does
    /// not expire.
    ///
    /// # Errors
    ///
    /// `NotFound` where there is no such entry; `AlreadyExists` where the key was taken meanwhile: the
    /// entry stays; `Invalid` where it does not tell which record it was; those of [`Store::apply`].
    pub async fn restore(&self, id: &str, body: Option<Vec<u8>>) -> Result<(Key, Revision)> {
        let place = Key::new(QUARANTINE, id);
        let failed = |kind, message: &str| {
            Error::new(kind, Operation::Load, message)
                .with_backend(self.store.backend())
                .with_key(place.clone())
        };
        let Some(stored) = self.store.load(&place).await? else {
            let message = "there is no such entry in quarantine";
            return Err(failed(ErrorKind::NotFound, message));
        };
        let revision = stored.revision();
        let entry = entry(stored);
        if entry.key == place {
            let message = "the entry does not tell which record it was";
            return Err(failed(ErrorKind::Invalid, message));
        }
        let draft = Draft {
            key: entry.key.clone(),
            body: body.unwrap_or(entry.bytes),
            attributes: entry.attributes,
            expires_at: None,
        };
        let batch = vec![Write::create(draft), Write::delete(place, Some(revision))];
        match self.store.apply(batch).await {
            // One for each write: `apply` sees to that.
            Ok(revisions) => Ok((entry.key, revisions[0])),
            Err(error) if error.is_already_exists() => {
                Err(error.with_hint("delete the record that is there, or drop the entry"))
            }
            Err(error) => Err(error),
        }
    }

    /// Removes an entry, and with it the last copy of its record's bytes.
    ///
    /// # Errors
    ///
    /// `NotFound`; those of [`Store::delete`].
    pub async fn remove(&self, id: &str) -> Result<()> {
        self.store.delete(&Key::new(QUARANTINE, id), None).await
    }

    /// Sets a record aside that the store reads well, but whose content is corrupt, in one step; answers
    /// the entry's id. `reason` says on one line why; it is cut at 1,024 bytes. Of 4,096 attributes the
    /// last three give way to the entry's own.
    ///
    /// The body is read again: that of `stored` may have been left out by a query.
    ///
    /// # Errors
    ///
    /// `Conflict` and `NotFound` where the record is not as it was read any more; those of
    /// [`Store::load`] and [`Store::apply`]. The record is where it was.
    pub async fn set_aside(&self, stored: &Stored, reason: &str) -> Result<String> {
        let (key, revision) = (stored.key(), stored.revision());
        let current = self.store.load(key).await?;
        let Draft {
            body, attributes, ..
        } = current.unwrap_or_else(|| stored.clone()).draft;
        let mut draft = entry_of(key, reason, body, attributes);
        let mut attempt = 1;
        loop {
            // A revision is used once in a store.
            draft.key.id = match attempt {
                1 => revision.to_string(),
                _ => format!("{revision}-{attempt}"),
            };
            let removal = Write::delete(key.clone(), Some(revision));
            let batch = vec![removal, Write::create(draft.clone())];
            match self.store.apply(batch).await {
                Ok(_) => return Ok(draft.key.id),
                // Not over an entry that is there.
                Err(error) if error.is_already_exists() && attempt < ID_ATTEMPTS => attempt += 1,
                Err(error) => return Err(error),
            }
        }
    }
}

/// The record that a corrupt one is set aside as. It has no id yet.
pub fn entry_of(key: &Key, reason: &str, body: Vec<u8>, attributes: Vec<Attribute>) -> Draft {
    let mut draft = Draft::new(Key::new(QUARANTINE, ""), body);
    draft.attributes = own_attributes(key, reason, attributes);
    draft
}

/// The attributes of an entry: its own three, and those of the record.
fn own_attributes(key: &Key, reason: &str, attributes: Vec<Attribute>) -> Vec<Attribute> {
    let reason = reason.replace(['\r', '\n'], " ");
    let reason = &reason[..reason.floor_char_boundary(MAX_ATTRIBUTE_VALUE_BYTES)];
    let mut all = vec![
        Attribute::new(QUARANTINE_COLLECTION, &key.collection),
        Attribute::new(QUARANTINE_ID, &key.id),
        Attribute::new(QUARANTINE_REASON, reason),
    ];
    for attribute in attributes {
        // An entry that is set aside itself may have one of the three already; no pair may come twice.
        if all.len() < MAX_ATTRIBUTES && !all[..3].contains(&attribute) {
            all.push(attribute);
        }
    }
    all
}

/// What a record of the collection says as an entry.
fn entry(stored: Stored) -> QuarantineEntry {
    let Stored { mut draft, stamp } = stored;
    // The first of a name is the entry's own.
    let mut take = |name| {
        let place = draft.attributes.iter().position(|pair| pair.name == name)?;
        Some(draft.attributes.remove(place).value)
    };
    let (collection, id) = (take(QUARANTINE_COLLECTION), take(QUARANTINE_ID));
    let reason = take(QUARANTINE_REASON).unwrap_or_default();
    let key = match (collection, id) {
        (Some(collection), Some(id)) => Key { collection, id },
        _ => draft.key.clone(),
    };
    QuarantineEntry {
        id: draft.key.id,
        key,
        reason,
        at: stamp.created_at,
        bytes: draft.body,
        attributes: draft.attributes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Stamp;

    fn stored(attributes: Vec<Attribute>) -> Stored {
        let mut draft = Draft::new(Key::new(QUARANTINE, "7"), "body");
        draft.attributes = attributes;
        let stamp = Stamp {
            create_revision: 8,
            mod_revision: 8,
            created_at: 5,
            updated_at: 5,
        };
        Stored { draft, stamp }
    }

    #[test]
    fn an_entry_tells_its_record_and_gives_the_attributes_back() {
        let key = Key::new("task", "t");
        let status = Attribute::new("status", "open");
        let attributes = own_attributes(&key, "no\nJSON", vec![status.clone()]);
        let once = entry(stored(attributes.clone()));
        assert_eq!((once.id.as_str(), &once.key, once.at), ("7", &key, 5));
        assert_eq!(once.reason, "no JSON");
        assert_eq!(once.attributes, [status]);

        // An entry of an entry: the outer one says that it was an entry, the inner ones are kept.
        let place = Key::new(QUARANTINE, "7");
        let twice = entry(stored(own_attributes(&place, "why", attributes.clone())));
        assert_eq!((twice.key, twice.attributes), (place, attributes));
    }

    #[test]
    fn what_is_no_entry_names_itself() {
        let strange = entry(stored(vec![Attribute::new(QUARANTINE_ID, "t")]));
        assert_eq!(strange.key, Key::new(QUARANTINE, "7"));
        assert_eq!(strange.reason, "");
    }

    #[test]
    fn no_attribute_is_over_a_limit_or_there_twice() {
        let key = Key::new("task", "t");
        let mut many: Vec<_> = (0..MAX_ATTRIBUTES)
            .map(|number| Attribute::new("n", number.to_string()))
            .collect();
        many[0] = Attribute::new(QUARANTINE_ID, "t");
        let all = own_attributes(&key, &"é".repeat(600), many);
        assert_eq!(all.len(), MAX_ATTRIBUTES);
        assert_eq!(all[2].value, "é".repeat(512));
        assert_eq!(all[3], Attribute::new("n", "1"));
    }
}

//! What the contract says of records, drafts and preconditions, as methods.

use crate::{
    Draft, Error, Key, Order, Precondition, Rejection, Revision, Stamp, Stored, Timestamp, Write,
};

impl Draft {
    /// Whether the record reads as absent: from the instant `expires_at` on.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|instant| instant <= now)
    }

    /// How many bytes the record counts for in a page: its body, its id and its attributes.
    pub fn size(&self) -> u64 {
        self.size_without_body() + self.body.len() as u64
    }

    /// How many bytes it counts for in a page without bodies.
    pub fn size_without_body(&self) -> u64 {
        let attributes = self.attributes.iter();
        self.key.id.len() as u64
            + attributes
                .map(|attribute| (attribute.name.len() + attribute.value.len()) as u64)
                .sum::<u64>()
    }
}

impl Stamp {
    /// The stamp of a write at `revision`: over `previous`, the unexpired record under its key, or of
    /// a new record.
    pub fn next(previous: Option<&Stamp>, revision: Revision, now: Timestamp) -> Self {
        Self {
            create_revision: previous.map_or(revision, |stamp| stamp.create_revision),
            mod_revision: revision,
            created_at: previous.map_or(now, |stamp| stamp.created_at),
            updated_at: now,
        }
    }
}

impl Stored {
    /// Where it stands in an order: its create- or mod-revision.
    pub fn position(&self, order: Order) -> Revision {
        match order {
            Order::Created => self.stamp.create_revision,
            Order::Updated => self.stamp.mod_revision,
        }
    }
}

impl Precondition {
    /// Whether a write to `key` may happen over `current`, the unexpired record that is there: if not,
    /// the error that says so.
    pub fn check(&self, key: &Key, current: Option<&Stored>) -> Result<(), Error> {
        match (self, current) {
            (Self::None, _) | (Self::Absent, None) | (Self::Present, Some(_)) => Ok(()),
            (Self::Absent, Some(_)) => Err(Error::AlreadyExists(key.clone())),
            (Self::Present | Self::UnchangedSince(_), None) => Err(Error::NotFound(key.clone())),
            (Self::UnchangedSince(revision), Some(stored)) => {
                if stored.stamp.mod_revision == *revision {
                    Ok(())
                } else {
                    Err(Error::Conflict(stored.clone()))
                }
            }
        }
    }
}

impl Write {
    /// Which record it writes.
    pub fn key(&self) -> &Key {
        match self {
            Self::Put(put) => &put.draft.key,
            Self::Remove(remove) => &remove.key,
        }
    }

    /// When it may happen.
    pub fn expect(&self) -> &Precondition {
        match self {
            Self::Put(put) => &put.expect,
            Self::Remove(remove) => &remove.expect,
        }
    }

    /// Whether it may happen over `current`, the unexpired record under its key.
    pub fn check(&self, current: Option<&Stored>) -> Result<(), Error> {
        self.expect().check(self.key(), current)
    }
}

impl Rejection {
    /// The write at `index` failed the batch.
    pub fn at(index: usize, error: Error) -> Self {
        Self {
            index: u32::try_from(index).unwrap_or(u32::MAX),
            error,
        }
    }
}

/// The batch failed as a whole.
impl From<Error> for Rejection {
    fn from(error: Error) -> Self {
        Self { index: 0, error }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Attribute;

    fn stored(expires_at: Option<Timestamp>) -> Stored {
        Stored {
            draft: Draft {
                key: Key {
                    collection: "task".into(),
                    id: "t-1".into(),
                },
                body: vec![0; 10],
                attributes: vec![Attribute {
                    name: "status".into(),
                    value: "open".into(),
                }],
                expires_at,
            },
            stamp: Stamp::next(None, 5, 1_000),
        }
    }

    #[test]
    fn a_record_expires_at_its_instant_not_after_it() {
        let draft = stored(Some(1_000)).draft;
        assert!(!draft.is_expired(999));
        assert!(draft.is_expired(1_000));
        assert!(!stored(None).draft.is_expired(Timestamp::MAX));
    }

    #[test]
    fn size_counts_body_id_and_attributes() {
        let draft = stored(None).draft;
        assert_eq!(draft.size(), 10 + 3 + 6 + 4);
        assert_eq!(draft.size_without_body(), 3 + 6 + 4);
    }

    #[test]
    fn an_update_keeps_what_creation_set() {
        let created = Stamp::next(None, 5, 1_000);
        let updated = Stamp::next(Some(&created), 9, 2_000);
        assert_eq!((updated.create_revision, updated.created_at), (5, 1_000));
        assert_eq!((updated.mod_revision, updated.updated_at), (9, 2_000));
    }

    #[test]
    fn preconditions_answer_the_error_of_the_contract() {
        let current = stored(None);
        let key = &current.draft.key;
        let check =
            |expect: Precondition, there: bool| expect.check(key, there.then_some(&current));
        let not_found = Err(Error::NotFound(key.clone()));

        assert_eq!(check(Precondition::None, true), Ok(()));
        assert_eq!(check(Precondition::None, false), Ok(()));
        assert_eq!(
            check(Precondition::Absent, true),
            Err(Error::AlreadyExists(key.clone()))
        );
        assert_eq!(check(Precondition::Absent, false), Ok(()));
        assert_eq!(check(Precondition::Present, true), Ok(()));
        assert_eq!(check(Precondition::Present, false), not_found);
        assert_eq!(check(Precondition::UnchangedSince(5), true), Ok(()));
        assert_eq!(check(Precondition::UnchangedSince(5), false), not_found);
        assert_eq!(
            check(Precondition::UnchangedSince(4), true),
            Err(Error::Conflict(current.clone()))
        );
    }
}

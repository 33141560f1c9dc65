//! A value as it was read, and the revision that tells whether it changed since.

use std::ops::{Deref, DerefMut};

use mortise_store::{Revision, Stored, Timestamp};

/// A value with the revision and the expiry of its record. Derefs to the value.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Versioned<T> {
    /// The value.
    pub value: T,
    /// The write that changed it last: what an update expects.
    pub revision: Revision,
    /// From when on the record reads as absent. An update writes it again, or what it was changed to.
    pub expires_at: Option<Timestamp>,
}

impl<T> Versioned<T> {
    /// Pairs a value with the revision that it was read at; it never expires.
    pub fn new(value: T, revision: Revision) -> Self {
        Self {
            value,
            revision,
            expires_at: None,
        }
    }

    /// A value that was read from this record.
    pub(crate) fn read(value: T, stored: &Stored) -> Self {
        Self {
            value,
            revision: stored.revision(),
            expires_at: stored.draft.expires_at,
        }
    }
}

impl<T> Deref for Versioned<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for Versioned<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

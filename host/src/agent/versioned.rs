//! A value as it was read, and the revision that tells whether it changed since.

use std::ops::{Deref, DerefMut};

use crate::record::Revision;

/// A value with the revision of its record. Derefs to the value.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Versioned<T> {
    /// The value.
    pub value: T,
    /// The write that changed it last: what an update expects.
    pub revision: Revision,
}

impl<T> Versioned<T> {
    /// Pairs a value with the revision that it was read at.
    pub fn new(value: T, revision: Revision) -> Self {
        Self { value, revision }
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

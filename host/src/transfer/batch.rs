//! Records gathered to be imported together.

use crate::limits::{MAX_BATCH_ATTRIBUTES, MAX_PAGE_RECORDS};
use crate::record::{Draft, Stored};
use crate::store::Store;

/// Over how many bytes a batch does not grow, unless one record has more (8 MiB).
const MAX_BATCH_BYTES: u64 = 8 << 20;

/// As many records as one import takes, and not many bytes more than it needs to be fast.
pub(super) struct Batch {
    max_bytes: u64,
    records: Vec<Stored>,
    attributes: usize,
    bytes: u64,
}

impl Batch {
    pub(super) fn new(to: &Store) -> Self {
        Self {
            max_bytes: MAX_BATCH_BYTES.min(to.limits().batch_bytes.0),
            records: Vec::new(),
            attributes: 0,
            bytes: 0,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    pub(super) fn has_room_for(&self, draft: &Draft) -> bool {
        self.is_empty()
            || (self.records.len() < MAX_PAGE_RECORDS as usize
                && self.attributes + draft.attributes.len() <= MAX_BATCH_ATTRIBUTES
                && self.bytes + draft.size_in_batch() <= self.max_bytes)
    }

    pub(super) fn push(&mut self, stored: Stored) {
        self.attributes += stored.draft.attributes.len();
        self.bytes += stored.draft.size_in_batch();
        self.records.push(stored);
    }

    /// What was gathered; the batch is empty then.
    pub(super) fn take(&mut self) -> Vec<Stored> {
        (self.attributes, self.bytes) = (0, 0);
        std::mem::take(&mut self.records)
    }
}

//! Records gathered to be imported together.

use mortise_store::inside::{DraftInside as _, ErrorInside as _, StoreInside as _};
use mortise_store::limits::{MAX_BATCH_ATTRIBUTES, MAX_PAGE_RECORDS};
use mortise_store::{Draft, Error, ErrorKind, Operation, Store, Stored};

/// Over how many bytes a batch does not grow, unless one record has more (8 MiB).
const MAX_BATCH_BYTES: u64 = 8 << 20;

/// What more a call takes, beside what was gathered for it.
pub struct Room {
    max_records: usize,
    max_bytes: u64,
    records: usize,
    attributes: usize,
    bytes: u64,
}

impl Room {
    /// Of a call that takes so many records, and not many bytes more than it needs to be fast.
    pub fn new(to: &Store, max_records: usize) -> Self {
        Self {
            max_records,
            max_bytes: MAX_BATCH_BYTES.min(to.limits().batch_bytes.0),
            records: 0,
            attributes: 0,
            bytes: 0,
        }
    }

    /// Whether one more fits. The first always does.
    pub fn is_for(&self, draft: &Draft) -> bool {
        self.records == 0
            || (self.records < self.max_records
                && self.attributes + draft.attributes.len() <= MAX_BATCH_ATTRIBUTES
                && self.bytes + draft.size_in_batch() <= self.max_bytes)
    }

    /// One more was gathered.
    pub fn take(&mut self, draft: &Draft) {
        self.records += 1;
        self.attributes += draft.attributes.len();
        self.bytes += draft.size_in_batch();
    }

    /// What was gathered was written.
    pub fn clear(&mut self) {
        (self.records, self.attributes, self.bytes) = (0, 0, 0);
    }
}

/// As many records as one import takes.
pub(super) struct Batch {
    room: Room,
    records: Vec<Stored>,
}

impl Batch {
    pub(super) fn new(to: &Store) -> Self {
        Self {
            room: Room::new(to, MAX_PAGE_RECORDS as usize),
            records: Vec::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    pub(super) fn has_room_for(&self, draft: &Draft) -> bool {
        self.room.is_for(draft)
    }

    pub(super) fn push(&mut self, stored: Stored) {
        self.room.take(&stored.draft);
        self.records.push(stored);
    }

    /// What was gathered; the batch is empty then.
    pub(super) fn take(&mut self) -> Vec<Stored> {
        self.room.clear();
        std::mem::take(&mut self.records)
    }
}

/// Why a batch was not written, and what to do next. `what` tells which batch, and what was written before.
pub(super) fn refused(error: Error, operation: Operation, to: &Store, what: String) -> Error {
    let mut refused = Error::new(error.kind(), operation, what).with_backend(to.backend());
    if let Some(key) = error.key() {
        refused = refused.with_key(key.clone());
    }
    match error.kind() {
        ErrorKind::Conflict | ErrorKind::Invalid => {
            refused = refused.with_hint(format!(
                "{operation} into a store that is empty, or has the same records"
            ));
        }
        ErrorKind::Unavailable | ErrorKind::Deadline | ErrorKind::Ambiguous => {
            let again = match operation {
                Operation::Restore => "restore again with --merge",
                Operation::Copy => "copy again",
                _ => "import again",
            };
            refused = refused.with_hint(format!("{again}: what is there already is left alone"));
        }
        _ => {}
    }
    refused.with_source(error)
}

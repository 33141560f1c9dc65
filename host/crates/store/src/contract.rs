//! The values that cross the contract, as plain Rust.
//!
//! `wit/` is their one definition. The engine converts them from and to what it generates from the WIT, by patterns that
//! name every field, so that another WIT does not compile. Lengths are in bytes of UTF-8.

/// Milliseconds since the Unix epoch, UTC. At most 253402300799999 (the end of the year 9999).
pub type Timestamp = u64;

/// The store-wide number of a write: 1 to 9223372036854775807. Strictly increasing in one store,
/// one for each write (also inside a batch, in its order), never reused, not even for a key that
/// was deleted and created again.
pub type Revision = u64;

/// Names one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// The kind of record: `task`, `job`, `case`, … 1 to 128 bytes.
    pub collection: String,
    /// Unique within the collection. 1 to 1,024 bytes, any characters.
    pub id: String,
}

/// One secondary-index entry of a record: (`request-id`, `req-7`), (`status`, `running`).
/// A record may hold several values under one name; the same pair twice is `invalid`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribute {
    /// 1 to 64 bytes.
    pub name: String,
    /// 0 to 1,024 bytes, any characters.
    pub value: String,
}

/// The whole new state of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// Which record.
    pub key: Key,
    /// Opaque: a backend never looks inside. At most the smaller of the operator's limit and the
    /// `max-body-bytes` that the backend describes.
    pub body: Vec<u8>,
    /// What the record can be found by. At most 4,096; kept in the order given.
    pub attributes: Vec<Attribute>,
    /// From this instant on the record reads as absent, in every call. None: it never expires.
    pub expires_at: Option<Timestamp>,
}

/// What the store adds to a draft.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// The write that created the record: "first" means the lowest.
    pub create_revision: Revision,
    /// The write that changed it last: what `update` and `delete` may expect.
    pub mod_revision: Revision,
    /// When it was created, by the host's clock.
    pub created_at: Timestamp,
    /// When it was changed last, by the host's clock.
    pub updated_at: Timestamp,
}

/// A record as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// What the caller gave.
    pub draft: Draft,
    /// What the store added.
    pub stamp: Stamp,
}

/// What must be true of the stored record for a write to happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precondition {
    /// Nothing: whatever is there is replaced or removed.
    None,
    /// There is no such record, else `already-exists`.
    Absent,
    /// There is such a record, else `not-found`.
    Present,
    /// There is such a record (else `not-found`) and its `mod-revision` is this one (else `conflict`).
    UnchangedSince(Revision),
}

/// Writes the whole record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Put {
    /// Its new state.
    pub draft: Draft,
    /// When it may happen.
    pub expect: Precondition,
}

/// Removes a record and its index entries. With the precondition `none`, removing what is not there
/// succeeds, and takes a revision like any write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remove {
    /// Which record.
    pub key: Key,
    /// When it may happen. `absent` is `invalid` here.
    pub expect: Precondition,
}

/// One write of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// Create or replace.
    Put(Put),
    /// Delete.
    Remove(Remove),
}

/// What a page is sorted by. Both orders are total: no two records share a revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// By create-revision: the oldest record first.
    Created,
    /// By mod-revision: what changed since a cursor comes after it.
    Updated,
}

/// Records of one collection that carry every one of `attributes`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// 1 to 128 bytes.
    pub collection: String,
    /// All of these pairs must be there (AND). None: every record of the collection. At most 16.
    pub attributes: Vec<Attribute>,
    /// What the page is sorted by.
    pub order: Order,
    /// Highest revision first.
    pub descending: bool,
    /// Opaque: `next` of an earlier page of the same query (`limit` and `bodies` may differ). Any
    /// other text, a cursor of another query among them, is `invalid`.
    pub after: Option<String>,
    /// 1 to 1,000. A page may be shorter: it ends before it grows over the option `max-page-bytes`,
    /// but never before its first record.
    pub limit: u32,
    /// Without bodies, each `body` comes back empty.
    pub bodies: bool,
}

/// A part of a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// In the order asked for.
    pub records: Vec<Stored>,
    /// Where the next page starts; none after the last one. It stays good while records are created,
    /// updated and deleted between two pages: what was not touched is neither skipped nor repeated.
    /// Where records were left out because they cannot be read back, a page with a next may be empty.
    pub next: Option<String>,
}

/// Why a call failed. Unless a case says otherwise, nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContractError {
    /// Raised by `create` and by the precondition `absent` when a record is there, not expired.
    AlreadyExists(Key),
    /// Raised by `update`, `delete` and the preconditions `present` and `unchanged-since` when no
    /// record is there, or only an expired one.
    NotFound(Key),
    /// Raised when the record's `mod-revision` is not the one expected, and by `import` when another
    /// record is under the key: here is the current one.
    Conflict(Stored),
    /// Raised when an argument breaks a documented rule: a garbled cursor, an unknown option.
    Invalid(String),
    /// Raised when a body, a batch or an answer is over its limit, or the store is full.
    TooLarge(String),
    /// Raised when the stored bytes of this record cannot be read back. They were set aside, never
    /// deleted; where the storage refused even that, they are where they were.
    ///
    /// Setting aside is one write: the key reads as absent from then on, and the collection
    /// `mortise.quarantine` has one record more, under an id of its own, which never expires. Its body
    /// is the record's body, or all that is stored where the body cannot be told apart. Its attributes
    /// are, in this order, `quarantine-collection` and `quarantine-id` (the key), `quarantine-reason`
    /// (one line why), and those of the record, as far as they can be read and the limit allows.
    Corrupt(Key),
    /// Raised when this backend does not offer what was asked.
    Unsupported(String),
    /// Raised when the storage did not answer and nothing happened. Trying again is safe.
    Unavailable(String),
    /// Raised when the write may or may not have happened. Load before trying again.
    Ambiguous(String),
    /// Raised when the backend itself is at fault. Nothing was changed.
    Internal(String),
}

/// A failed batch. No write of the batch happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// Which write failed it, counted from 0. When the batch as a whole failed: 0.
    pub index: u32,
    /// Why.
    pub error: ContractError,
}

/// How many instances of the component the host may run for one store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Instances {
    /// Any number at once: records are kept outside of the component, behind a capability.
    Pooled,
    /// Exactly one: records are kept in the component's own linear memory. Calls are served one
    /// after another, and a trap loses the records.
    Singleton,
}

/// What a backend is, and its bounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// Its name: `memory`, `sqlite`, …
    pub name: String,
    /// Its version, as its author counts.
    pub version: String,
    /// One instance, or many.
    pub instances: Instances,
    /// Whether a write outlives the process once it was acknowledged.
    pub durable: bool,
    /// The largest body that it takes.
    pub max_body_bytes: u64,
    /// The most writes that one `apply` takes.
    pub max_batch: u32,
}

/// What one collection holds, expired records left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectionStatistics {
    /// Its name.
    pub collection: String,
    /// How many records.
    pub records: u64,
    /// The sum of their bodies' lengths.
    pub body_bytes: u64,
}

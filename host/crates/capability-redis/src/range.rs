//! What a guest asks of its records and is answered, as plain Rust: the names and fields are those of the WIT's
//! interface `redis`, which the engine converts them from and to.

use mortise_store::{Attribute, Order, Revision, Stored};

/// A run of records in the order of their revisions.
#[derive(Debug, Clone, PartialEq)]
pub struct Range {
    /// Of this collection; of all, where there is none.
    pub collection: Option<String>,
    /// Only records that carry all of these pairs. At most 16; none without a collection.
    pub attributes: Vec<Attribute>,
    /// By create- or mod-revision. Without a collection: `created`.
    pub order: Order,
    /// Highest revision first.
    pub descending: bool,
    /// Starts behind the record at this revision, in the direction of the run.
    pub after: Option<Revision>,
    /// At most so many records: 1 to 1,000.
    pub limit: u32,
    /// Without bodies, each `body` comes back empty.
    pub bodies: bool,
    /// Ends, after its first record, before bodies, ids and attributes grow over so many bytes.
    pub max_bytes: u64,
}

/// What a range holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// In order.
    pub records: Vec<Stored>,
    /// Whether more follow behind the last one.
    pub more: bool,
}

/// What one collection holds, expired records left out.
#[derive(Debug, Clone, PartialEq)]
pub struct Count {
    /// Its name.
    pub collection: String,
    /// How many records.
    pub records: u64,
    /// The sum of their bodies' lengths.
    pub body_bytes: u64,
}

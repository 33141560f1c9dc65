//! Records: the contract's own types, and what makes them pleasant to use.

pub use crate::contract::{
    Attribute, CollectionStatistics, Description, Draft, Instances, Key, Order, Page, Precondition,
    Put, Query, Remove, Revision, Stamp, Stored, Timestamp, Write,
};

impl Key {
    /// The record `id` of `collection`.
    pub fn new(collection: impl Into<String>, id: impl Into<String>) -> Self {
        Self {
            collection: collection.into(),
            id: id.into(),
        }
    }
}

/// `collection/id`, the id with control characters escaped.
impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}/{}",
            self.collection.escape_debug(),
            self.id.escape_debug()
        )
    }
}

impl Attribute {
    /// The pair (`name`, `value`).
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            value: value.into(),
        }
    }
}

impl Draft {
    /// A record without attributes that never expires.
    pub fn new(key: Key, body: impl Into<Vec<u8>>) -> Self {
        Self {
            key,
            body: body.into(),
            attributes: Vec::new(),
            expires_at: None,
        }
    }

    /// Adds an attribute.
    #[must_use]
    pub fn attribute(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.attributes.push(Attribute::new(name, value));
        self
    }

    /// Sets the instant from which on the record reads as absent.
    #[must_use]
    pub fn expires_at(mut self, at: Timestamp) -> Self {
        self.expires_at = Some(at);
        self
    }
}

/// How large a draft is.
pub trait DraftInside {
    /// How many bytes it counts for in a page: its body, its id and its attributes.
    fn size(&self) -> u64;

    /// How many bytes it counts for in a batch: the limit `batch-bytes`.
    fn size_in_batch(&self) -> u64;
}

impl DraftInside for Draft {
    fn size(&self) -> u64 {
        let attributes = self.attributes.iter();
        let attributes = attributes.map(|pair| pair.name.len() + pair.value.len());
        (self.body.len() + self.key.id.len() + attributes.sum::<usize>()) as u64
    }

    fn size_in_batch(&self) -> u64 {
        self.size() + self.key.collection.len() as u64
    }
}

impl Query {
    /// Every record of a collection, oldest first, with bodies, 100 a page.
    pub fn new(collection: impl Into<String>) -> Self {
        Self {
            collection: collection.into(),
            attributes: Vec::new(),
            order: Order::Created,
            descending: false,
            after: None,
            limit: 100,
            bodies: true,
        }
    }

    /// Only records that carry this pair too.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.attributes.push(Attribute::new(name, value));
        self
    }

    /// At most `limit` records a page.
    #[must_use]
    pub fn limit(mut self, limit: u32) -> Self {
        self.limit = limit;
        self
    }

    /// Sorted by what changed last.
    #[must_use]
    pub fn by_update(mut self) -> Self {
        self.order = Order::Updated;
        self
    }

    /// Highest revision first.
    #[must_use]
    pub fn descending(mut self) -> Self {
        self.descending = true;
        self
    }

    /// Goes on where an earlier page of this query ended.
    #[must_use]
    pub fn after(mut self, cursor: Option<String>) -> Self {
        self.after = cursor;
        self
    }

    /// Each body comes back empty.
    #[must_use]
    pub fn without_bodies(mut self) -> Self {
        self.bodies = false;
        self
    }
}

impl Write {
    /// Creates a record; fails with `already-exists` where there is one.
    pub fn create(draft: Draft) -> Self {
        Self::Put(Put {
            draft,
            expect: Precondition::Absent,
        })
    }

    /// Writes a record whatever is there.
    pub fn put(draft: Draft) -> Self {
        Self::Put(Put {
            draft,
            expect: Precondition::None,
        })
    }

    /// Replaces a record that is there, unchanged since `revision`.
    pub fn update(draft: Draft, revision: Revision) -> Self {
        Self::Put(Put {
            draft,
            expect: Precondition::UnchangedSince(revision),
        })
    }

    /// Removes a record that is there, unchanged since `revision` where one is given.
    pub fn delete(key: Key, revision: Option<Revision>) -> Self {
        let expect = revision.map_or(Precondition::Present, Precondition::UnchangedSince);
        Self::Remove(Remove { key, expect })
    }

    /// Removes a record, if there is one.
    pub fn remove(key: Key) -> Self {
        let expect = Precondition::None;
        Self::Remove(Remove { key, expect })
    }

    /// Which record it writes.
    pub fn key(&self) -> &Key {
        match self {
            Self::Put(put) => &put.draft.key,
            Self::Remove(remove) => &remove.key,
        }
    }
}

impl Stored {
    /// Which record this is.
    pub fn key(&self) -> &Key {
        &self.draft.key
    }

    /// The write that changed it last: what `update` and `delete` may expect.
    pub fn revision(&self) -> Revision {
        self.stamp.mod_revision
    }
}

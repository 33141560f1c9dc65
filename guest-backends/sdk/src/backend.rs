//! What a backend implements.

use std::borrow::Cow;

use crate::{
    CollectionStatistics, Description, Error, Key, Options, Page, Query, Rejection, Stamp, Step,
    Stored, Write,
};

/// A storage backend: everything that the contract asks, with one write path.
///
/// The host has checked every argument against the limits of the contract before a method is called,
/// and the SDK has checked what a batch as a whole must keep to: no key in it twice, no attribute
/// twice in a record, no removal that expects absence. Methods answer errors; a panic is a trap: the
/// host drops the instance, and a singleton loses its records with it.
///
/// An expired record is absent in every method: [`Draft::is_expired`](crate::Draft::is_expired).
///
/// What is stored and cannot be read back is never deleted: it is set aside as another record
/// ([`quarantined`](crate::quarantined)), in the same step, and then left out of a page, or answered with
/// `corrupt`.
pub trait Backend: Sized + 'static {
    /// Who this is. Always answers the same and uses no capability.
    fn describe() -> Description;

    /// Starts the one backend of this instance.
    ///
    /// Take each option that the backend knows. One that was not taken is answered with `invalid`
    /// after `open` returned. `max-page-bytes` is not among them: the SDK hands it to each method
    /// that has to keep to it. A singleton must take `max-store-bytes`.
    fn open(options: &mut Options) -> Result<Self, Error>;

    /// Reaches the storage and comes back, or says why not. As it is, for a backend whose storage is
    /// its own memory.
    fn health(&mut self) -> Result<(), Error> {
        Ok(())
    }

    /// Reads a record; none where there is none, or an expired one.
    fn load(&mut self, key: Key) -> Result<Option<Stored>, Error>;

    /// The same of a record that the backend keeps in its memory: it is answered from where it stands, without
    /// a copy. As it is, it is a copy.
    fn lend(&mut self, key: Key) -> Result<Option<Cow<'_, Stored>>, Error> {
        Ok(self.load(key)?.map(Cow::Owned))
    }

    /// Reads records, in the order asked, all as of one instant; absent ones are none. Records of more
    /// than `max_bytes` together ([`Draft::size`](crate::Draft::size)) are `too-large`.
    ///
    /// As it is, it loads one after another: right for a singleton. A pooled backend reads all of them
    /// in one query instead.
    fn load_many(&mut self, keys: Vec<Key>, max_bytes: u64) -> Result<Vec<Option<Stored>>, Error> {
        load_each(keys, max_bytes, |key| self.load(key))
    }

    /// Writes all or nothing, in order; the stamp of each write. Every write takes the next revision.
    ///
    /// All preconditions are checked before anything is written: [`Write::check`](crate::Write::check)
    /// answers the right error. [`Stamp::next`](crate::Stamp::next) makes the stamps; of a removal's
    /// stamp only `mod_revision` counts, the revision that the removal took.
    fn apply(&mut self, batch: Vec<Write>) -> Result<Vec<Stamp>, Rejection>;

    /// One page of the records that match, as of one instant, no larger than `max_bytes`, its first
    /// record excepted: [`Pager`](crate::Pager).
    fn find(&mut self, query: Query, max_bytes: u64) -> Result<Page, Error>;

    /// One page of all records of all collections, in create order, within `max_bytes` as in `find`.
    fn export(&mut self, after: Option<String>, limit: u32, max_bytes: u64) -> Result<Page, Error>;

    /// Writes records with their stamps, all or nothing. One that is there with the same stamp is left
    /// alone; another record under its key is `conflict`; a revision that a record with another key
    /// carries is `invalid`. Later revisions continue above the highest.
    fn import(&mut self, records: Vec<Stored>) -> Result<(), Error>;

    /// Removes expired records, at most `limit`, the longest expired first; how many went. Takes no
    /// revision.
    fn sweep(&mut self, limit: u32) -> Result<u32, Error>;

    /// Removes every record of a collection, or of all, in one step; how many unexpired ones went.
    /// Revisions go on from where they were.
    fn clear(&mut self, collection: Option<String>) -> Result<u64, Error>;

    /// Counts every collection that holds a record, by name, ascending, expired ones left out.
    fn statistics(&mut self) -> Result<Vec<CollectionStatistics>, Error>;
}

/// Answers `load_many` by loading one record after another, all as of the instant that `load` knows.
/// Raises `too-large` once they are over `max_bytes` together.
pub fn load_each(
    keys: Vec<Key>,
    max_bytes: u64,
    mut load: impl FnMut(Key) -> Result<Option<Stored>, Error>,
) -> Result<Vec<Option<Stored>>, Error> {
    let mut records = Vec::with_capacity(keys.len());
    let mut bytes = 0;
    for key in keys {
        let record = load(key)?;
        bytes += record.as_ref().map_or(0, |record| record.draft.size());
        if bytes > max_bytes {
            return Err(Error::TooLarge(format!(
                "the records asked for are over {max_bytes} bytes: ask for fewer"
            )));
        }
        records.push(record);
    }
    Ok(records)
}

/// The tables of a backend that keeps its records in SQL. The host creates and migrates them before
/// the backend is opened; a backend never does.
pub trait Schema {
    /// The statements that create today's schema on an empty database.
    fn target() -> Vec<String>;

    /// Every step there ever was, by version, strictly ascending from 1.
    fn steps() -> Vec<Step>;
}

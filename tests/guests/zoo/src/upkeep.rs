//! Whole stores: import, sweep, clear.

use std::collections::BTreeMap;

use mortise_guest::{Error, Key, Revision, Stored, Timestamp};

use crate::animals::Animal;
use crate::kept::{Kept, cost};

impl Kept {
    pub fn import(&mut self, records: Vec<Stored>, now: Timestamp) -> Result<(), Error> {
        if self.is(Animal::HalfImports) {
            return records
                .into_iter()
                .try_for_each(|record| self.import_all(vec![record], now));
        }
        self.import_all(records, now)
    }

    fn import_all(&mut self, records: Vec<Stored>, now: Timestamp) -> Result<(), Error> {
        let new = self.new_among(records, now)?;
        // What is expired gives way: its key and its revisions are free.
        self.sweep(u32::MAX, now);
        self.make_room_for(new.iter().map(|record| cost(&record.draft)).sum(), now)?;
        for mut record in new {
            self.remove(&record.draft.key);
            if self.is(Animal::ImportsWithNewStamps) {
                self.revision += 1;
                record.stamp.create_revision = self.revision;
                record.stamp.mod_revision = self.revision;
            }
            if !self.is(Animal::FallsBehindImports) {
                let highest = revisions(&record).into_iter().max();
                self.revision = self.revision.max(highest.unwrap_or(0));
            }
            if self.is(Animal::ImportsWithoutEntries) {
                self.insert_under(record, Vec::new());
            } else {
                self.insert(record);
            }
        }
        Ok(())
    }

    /// The records that are not there yet. Raises `conflict` and `invalid`.
    fn new_among(&self, records: Vec<Stored>, now: Timestamp) -> Result<Vec<Stored>, Error> {
        let mut owners = BTreeMap::<Revision, Key>::new();
        for record in self.records.values() {
            if !self.is_expired(&record.draft, now) {
                for revision in revisions(record) {
                    owners.insert(revision, record.draft.key.clone());
                }
            }
        }
        let mut new = Vec::new();
        for record in records {
            match self.get(&record.draft.key, now) {
                Some(there) if there.stamp == record.stamp => {
                    if self.is(Animal::RefusesToImportTwice) {
                        return Err(Error::Conflict(Stored::clone(there)));
                    }
                    continue;
                }
                Some(there) if !self.is(Animal::ImportsOverOthers) => {
                    return Err(Error::Conflict(Stored::clone(there)));
                }
                _ => {}
            }
            for revision in revisions(&record) {
                let owner = owners.insert(revision, record.draft.key.clone());
                let is_another = owner.is_some_and(|owner| owner != record.draft.key);
                if is_another && !self.is(Animal::TakesRevisionsTwice) {
                    let what = format!("revision {revision} belongs to another record");
                    return Err(Error::Invalid(what));
                }
            }
            new.push(record);
        }
        Ok(new)
    }

    /// Removes expired records, the longest expired first; how many.
    pub fn sweep(&mut self, limit: u32, now: Timestamp) -> u32 {
        let limit = match self.animal {
            Animal::SweepsWithoutLimit => u32::MAX,
            _ => limit,
        };
        let mut expired: Vec<_> = self
            .records
            .values()
            .filter(|record| match self.animal {
                Animal::SweepsTheLiving => record.draft.expires_at.is_some(),
                _ => self.is_expired(&record.draft, now),
            })
            .map(|record| (record.draft.expires_at, record.draft.key.clone()))
            .collect();
        expired.sort();
        if self.is(Animal::SweepsTheYoungest) {
            expired.reverse();
        }
        expired.truncate(limit as usize);
        for (_, key) in &expired {
            self.remove(key);
            if self.is(Animal::SweepsWithRevisions) {
                self.revision += 1;
            }
        }
        expired.len() as u32
    }

    /// Removes every record of a collection, or of all; how many unexpired ones went.
    pub fn clear(&mut self, collection: Option<&str>, now: Timestamp) -> u64 {
        let kept_back = match self.animal {
            Animal::ClearsHalf => self.statistics(now).pop(),
            _ => None,
        };
        let is_meant = |key: &Key| match collection {
            Some(name) => key.collection == name || self.is(Animal::ClearsAll),
            None => kept_back
                .as_ref()
                .is_none_or(|kept| key.collection != kept.collection),
        };
        let records = self.records.values().cloned();
        let meant: Vec<_> = records
            .filter(|record| is_meant(&record.draft.key))
            .collect();
        let mut unexpired = 0;
        for record in meant {
            if self.is(Animal::ClearsWithoutEntries) {
                self.remove_unlisted(&record.draft.key);
            } else {
                self.remove(&record.draft.key);
            }
            if self.is(Animal::ClearCountsTheExpired) || !self.is_expired(&record.draft, now) {
                unexpired += 1;
            }
        }
        if self.is(Animal::ClearsRevisions) {
            self.revision = 0;
        }
        unexpired
    }
}

/// The two that a record carries.
fn revisions(record: &Stored) -> [Revision; 2] {
    [record.stamp.create_revision, record.stamp.mod_revision]
}

//! Applying batches.

use std::rc::Rc;

use mortise_guest::{
    Draft, Error, Key, Precondition, Put, Rejection, Remove, Revision, Stamp, Stored, Timestamp,
    Write,
};

use crate::animals::Animal;
use crate::kept::{Kept, cost};

impl Kept {
    /// Applies all writes, or none.
    pub fn apply(&mut self, batch: Vec<Write>, now: Timestamp) -> Result<Vec<Stamp>, Rejection> {
        if self.is(Animal::TakesARevisionForNothing) && batch.is_empty() {
            self.revision += 1;
        }
        if self.is(Animal::RefusesLargeBatches) && batch.len() > 500 {
            return Err(Error::TooLarge("a batch of more than 500 writes".into()).into());
        }
        if self.is(Animal::HalfApplies) {
            let each = batch.into_iter().enumerate();
            return each
                .map(|(index, write)| {
                    self.check_at(index, &write, now)?;
                    Ok(self.write(write, now))
                })
                .collect();
        }
        for (index, write) in batch.iter().enumerate() {
            if let Err(rejection) = self.check_at(index, write, now) {
                if self.is(Animal::ListsTheRejected) {
                    self.list_rejected(&batch[..index], now);
                }
                return Err(rejection);
            }
        }
        self.make_room(&batch, now)?;
        Ok(self.write_all(batch, now))
    }

    fn write_all(&mut self, mut batch: Vec<Write>, now: Timestamp) -> Vec<Stamp> {
        let (writes, before) = (batch.len(), self.revision);
        match self.animal {
            Animal::OneCollectionABatch => to_one_collection(&mut batch),
            Animal::DropsTheLastWrite if writes > 1 => {
                batch.truncate(writes - 1);
            }
            Animal::NumbersBatchesBackwards => batch.reverse(),
            _ => {}
        }
        let mut stamps = Vec::with_capacity(writes);
        for write in batch {
            if self.is(Animal::OneRevisionABatch) {
                self.revision = before;
            }
            if self.is(Animal::ListsNoBatches) && writes > 1 {
                stamps.push(self.write_unlisted(write, now));
            } else {
                stamps.push(self.write(write, now));
            }
        }
        match self.animal {
            Animal::DropsTheLastWrite if writes > 1 => {
                self.revision += 1;
                stamps.push(Stamp::next(None, self.revision, now));
            }
            Animal::NumbersBatchesBackwards => stamps.reverse(),
            _ => {}
        }
        stamps
    }

    /// Whether a write may happen.
    pub fn check_at(&self, index: usize, write: &Write, now: Timestamp) -> Result<(), Rejection> {
        let index = match self.animal {
            Animal::BlamesTheFirst => 0,
            Animal::BlamesTheNext => index + 1,
            _ => index,
        };
        self.check_draft(write, now)
            .and_then(|()| self.check(write, now))
            .map_err(|error| Rejection::at(index, error))
    }

    fn check_draft(&self, write: &Write, now: Timestamp) -> Result<(), Error> {
        let newest = self.records.values().map(|record| record.stamp.updated_at);
        if self.is(Animal::TrustsTheClock) && newest.max() > Some(now) {
            return Err(Error::Internal("the clock stepped back".into()));
        }
        if self.is(Animal::RefusesLongIds) && write.key().id.len() > 255 {
            return Err(Error::Invalid("an id of more than 255 bytes".into()));
        }
        let Write::Put(Put { draft, .. }) = write else {
            return Ok(());
        };
        if self.is(Animal::RefusesThePast) && draft.is_expired(now) {
            return Err(Error::Invalid("the record is expired already".into()));
        }
        if self.is(Animal::TrapsOnManyAttributes) {
            assert!(draft.attributes.len() < 4_096, "too many attributes");
        }
        Ok(())
    }

    /// Whether a write may happen over what is there.
    fn check(&self, write: &Write, now: Timestamp) -> Result<(), Error> {
        let there = self.at(write.key()).map(Rc::as_ref);
        let current = self.get(write.key(), now).map(Rc::as_ref);
        let (key, expect) = (write.key(), write.expect());
        match (self.animal, write, expect) {
            (
                Animal::OverwritesOnCreate | Animal::ReplacesOnPutAbsent,
                Write::Put(_),
                Precondition::Absent,
            )
            | (
                Animal::CreatesOnUpdate | Animal::CreatesOnPutPresent,
                Write::Put(_),
                Precondition::Present,
            )
            | (
                Animal::DeletesTheAbsent | Animal::RemovesTheAbsent,
                Write::Remove(_),
                Precondition::Present,
            ) => Ok(()),
            (Animal::CreatesWhatChanged, Write::Put(_), Precondition::UnchangedSince(_))
                if current.is_none() =>
            {
                Ok(())
            }
            (Animal::RefusesToRemoveNothing, Write::Remove(_), Precondition::None) => {
                Precondition::Present.check(key, current)
            }
            (
                Animal::ExpectsTheCreateRevision,
                Write::Put(_),
                Precondition::UnchangedSince(revision),
            ) => match current {
                Some(current) if current.stamp.create_revision == *revision => Ok(()),
                Some(current) => Err(Error::Conflict(current.clone())),
                None => Err(Error::NotFound(key.clone())),
            },
            (Animal::IgnoresExpectedRevisions, Write::Put(_), Precondition::UnchangedSince(_))
            | (Animal::DeletesTheStale, Write::Remove(_), Precondition::UnchangedSince(_)) => {
                Precondition::Present.check(key, current)
            }
            (
                Animal::NeverDeletesTheExpected,
                Write::Remove(_),
                Precondition::UnchangedSince(_),
            ) => Precondition::UnchangedSince(0).check(key, current),
            (Animal::ShowsTheRefusedInConflicts, Write::Put(put), _) => {
                match write.check(current) {
                    Err(Error::Conflict(current)) => Err(Error::Conflict(Stored {
                        draft: put.draft.clone(),
                        stamp: current.stamp,
                    })),
                    answer => answer,
                }
            }
            (Animal::TakesStaleForMissing, _, _) => match write.check(current) {
                Err(Error::Conflict(_)) => Err(Error::NotFound(key.clone())),
                answer => answer,
            },
            (Animal::UpdatesTheExpired, Write::Put(_), Precondition::Present)
            | (Animal::DeletesTheExpired, Write::Remove(_), Precondition::Present)
            | (Animal::TheExpiredHoldTheirKey, _, Precondition::Absent)
            | (Animal::TakesTheExpiredForUnchanged, _, Precondition::UnchangedSince(_)) => {
                write.check(there)
            }
            _ => write.check(current),
        }
    }

    /// Raises `too-large` where there is no room for a batch, nor would be after a sweep.
    fn make_room(&mut self, batch: &[Write], now: Timestamp) -> Result<(), Error> {
        let (mut comes, mut goes) = (0, 0);
        for write in batch {
            if let Write::Put(put) = write {
                comes += cost(&put.draft);
            }
            goes += self
                .get(write.key(), now)
                .map_or(0, |record| cost(&record.draft));
        }
        if comes <= goes {
            return Ok(());
        }
        self.make_room_for(comes - goes, now)
    }

    /// Raises `too-large` where there is no room for so many bytes, nor would be after a sweep.
    pub fn make_room_for(&mut self, bytes: u64, now: Timestamp) -> Result<(), Error> {
        if self.is(Animal::GrowsWithoutLimit) {
            return Ok(());
        }
        if self.bytes() + bytes > self.max_bytes {
            self.sweep(u32::MAX, now);
        }
        if self.bytes() + bytes > self.max_bytes {
            return Err(Error::TooLarge("the store is full".into()));
        }
        Ok(())
    }

    fn write(&mut self, write: Write, now: Timestamp) -> Stamp {
        self.take_revision(&write);
        match write {
            Write::Put(put) => self.put(put, now),
            Write::Remove(remove) => self.delete(&remove, now),
        }
    }

    fn take_revision(&mut self, write: &Write) {
        let takes_none = match (self.animal, write) {
            (Animal::DeletesWithoutRevision, Write::Remove(_)) => true,
            (Animal::RemovesWithoutRevision, Write::Remove(_)) => self.at(write.key()).is_none(),
            _ => false,
        };
        let in_collection = |record: &&Rc<Stored>| {
            !self.is(Animal::CountsByCollection)
                || record.draft.key.collection == write.key().collection
        };
        let highest = || {
            let there = self.records.values().filter(in_collection);
            there.map(|record| record.stamp.mod_revision).max()
        };
        match self.animal {
            _ if takes_none => {}
            Animal::SkipsRevisions => self.revision += 2,
            Animal::ReusesRevisions | Animal::CountsByCollection => {
                self.revision = highest().unwrap_or(0) + 1;
            }
            _ => self.revision += 1,
        }
    }

    fn put(&mut self, Put { draft, expect }: Put, now: Timestamp) -> Stamp {
        let there = match self.animal {
            // Their entries of old stay, or are seen to below.
            Animal::KeepsOldEntries | Animal::UnlistsUnchangedPairs => {
                self.remove_unlisted(&draft.key)
            }
            _ => self.remove(&draft.key),
        };
        let expired = |record: &Stored| self.is_expired(&record.draft, now);
        let (expired, current) = match there {
            Some(record) if expired(&record) => (Some(record), None),
            current => (None, current),
        };
        let draft = self.as_kept(draft, current.as_deref());
        let stamp = self.stamp(current.as_deref(), &expect, self.revision, now);
        let mut entries = self.entries_of(&draft);
        match (self.animal, &current, expired) {
            (Animal::ForgetsNewEntries, Some(old), _) => {
                let old = self.entries_of(&old.draft);
                entries.retain(|entry| old.contains(entry));
            }
            (Animal::RecreatesWithOldEntries, _, Some(expired)) => {
                entries.extend(self.entries_of(&expired.draft));
            }
            (Animal::ForgetsNowAndThen, _, _) if self.revision % 7 == 0 => entries.clear(),
            _ => {}
        }
        self.insert_under(Stored { draft, stamp }, entries);
        if let (Animal::UnlistsUnchangedPairs, Some(old)) = (self.animal, &current) {
            self.unlist(&old.draft);
        }
        match self.animal {
            Animal::AnswersAnotherStamp => Stamp {
                updated_at: stamp.updated_at + 1,
                ..stamp
            },
            _ => stamp,
        }
    }

    fn delete(&mut self, Remove { key, .. }: &Remove, now: Timestamp) -> Stamp {
        match self.animal {
            Animal::DeletesNothing => {}
            Animal::KeepsEntriesOfTheDeleted => drop(self.remove_unlisted(key)),
            Animal::DeletesFromLoadOnly => {
                if let Some(record) = self.remove(key) {
                    let mut ghost = Rc::unwrap_or_clone(record);
                    ghost.draft.key.id.push_str(" (deleted)");
                    self.insert(ghost);
                }
            }
            _ => drop(self.remove(key)),
        }
        Stamp::next(None, self.revision, now)
    }

    /// Writes without entries.
    fn write_unlisted(&mut self, write: Write, now: Timestamp) -> Stamp {
        let key = write.key().clone();
        let stamp = self.write(write, now);
        if let Some(record) = self.at(&key).cloned() {
            self.unlist(&record.draft);
        }
        stamp
    }

    /// Lists what was not written.
    fn list_rejected(&mut self, writes: &[Write], now: Timestamp) {
        for write in writes {
            if let Write::Put(Put { draft, .. }) = write {
                let entries = self.entries_of(draft);
                let stamp = Stamp::next(None, self.revision + 1, now);
                let draft = draft.clone();
                self.list(&Rc::new(Stored { draft, stamp }), entries);
            }
        }
    }

    /// The stamp of a put.
    fn stamp(
        &self,
        current: Option<&Stored>,
        expect: &Precondition,
        revision: Revision,
        now: Timestamp,
    ) -> Stamp {
        let previous = current.map(|record| &record.stamp);
        let mut stamp = Stamp::next(previous, revision, now);
        match (self.animal, previous) {
            (Animal::CreatesAnewOnUpdate, _) => stamp.create_revision = revision,
            (Animal::RecreatesOnPut, _) if *expect == Precondition::None => {
                stamp.create_revision = revision;
            }
            (Animal::KeepsTheModRevision, Some(previous)) => {
                stamp.mod_revision = previous.mod_revision;
            }
            (Animal::ForgetsWhenItWasCreated, _) => stamp.created_at = now,
            (Animal::CountsTimeInSeconds, None) => stamp.created_at -= now % 1_000,
            (Animal::NeverTouchesUpdatedAt, Some(previous)) => {
                stamp.updated_at = previous.updated_at;
            }
            _ => {}
        }
        stamp
    }

    /// What is kept of a draft.
    fn as_kept(&self, mut draft: Draft, current: Option<&Stored>) -> Draft {
        let (body, attributes) = (&mut draft.body, &mut draft.attributes);
        match (self.animal, current) {
            (Animal::CutsTheLargestBodies, _) => body.truncate(3 << 20),
            (Animal::CutsBodiesAt64Kib, _) => body.truncate(0xffff),
            (Animal::EndsBodiesAtNul, _) => {
                let end = body.iter().position(|byte| *byte == 0);
                body.truncate(end.unwrap_or(body.len()));
            }
            (Animal::ReadsBodiesAsText, _) => {
                *body = String::from_utf8_lossy(body).into_owned().into_bytes();
            }
            (Animal::SortsAttributes, _) => attributes.sort_unstable(),
            (Animal::DropsEmptyValues, _) => attributes.retain(|pair| !pair.value.is_empty()),
            (Animal::KeepsSomeAttributes, _) => attributes.truncate(1_024),
            (Animal::MergesAttributes, Some(current)) => {
                for pair in &current.draft.attributes {
                    if !attributes.contains(pair) {
                        attributes.push(pair.clone());
                    }
                }
            }
            (Animal::KeepsTheOldExpiry, Some(current)) if current.draft.expires_at.is_some() => {
                draft.expires_at = current.draft.expires_at;
            }
            (Animal::NeverRemovesExpiry, Some(current)) if draft.expires_at.is_none() => {
                draft.expires_at = current.draft.expires_at;
            }
            _ => {}
        }
        draft
    }
}

fn to_one_collection(batch: &mut [Write]) {
    let Some(collection) = batch.first().map(|write| write.key().collection.clone()) else {
        return;
    };
    for write in batch {
        let (Write::Put(Put {
            draft: Draft { key, .. },
            ..
        })
        | Write::Remove(Remove { key, .. })) = write;
        *key = Key {
            collection: collection.clone(),
            id: key.id.clone(),
        };
    }
}

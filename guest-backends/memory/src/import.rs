//! Records that come with their stamps.

use std::collections::BTreeMap;

use mortise_guest::{Error, Key, Revision, Stored, Timestamp};

use crate::cost;
use crate::store::Store;

impl Store {
    /// Takes in records with their stamps, all or none.
    ///
    /// An expired record gives way: it is absent already.
    pub fn import(&mut self, records: Vec<Stored>, now: Timestamp) -> Result<(), Error> {
        let new = self.check_import(&records, now)?;
        let comes = records
            .iter()
            .zip(&new)
            .filter(|(_, new)| **new)
            .map(|(record, _)| cost::of(&record.draft))
            .sum();
        self.make_room_for(comes, now)?;
        for (record, new) in records.into_iter().zip(new) {
            let stamp = record.stamp;
            if new {
                let in_the_way = [
                    self.shelf.get(&record.draft.key),
                    self.shelf.created_at(stamp.create_revision),
                    self.shelf.changed_at(stamp.create_revision),
                    self.shelf.created_at(stamp.mod_revision),
                    self.shelf.changed_at(stamp.mod_revision),
                ];
                for key in in_the_way.map(|other| other.map(|other| other.draft.key.clone())) {
                    key.and_then(|key| self.shelf.take(&key));
                }
                self.shelf.put(record);
            }
            let highest = stamp.create_revision.max(stamp.mod_revision);
            self.revision = self.revision.max(highest);
        }
        Ok(())
    }

    /// Which of the records are new: the others are there already, or came before in `records`.
    fn check_import(&self, records: &[Stored], now: Timestamp) -> Result<Vec<bool>, Error> {
        let mut keys = BTreeMap::<&Key, &Stored>::new();
        let mut revisions = BTreeMap::<Revision, &Key>::new();
        let mut new = Vec::with_capacity(records.len());
        for record in records {
            let key = &record.draft.key;
            let stamp = record.stamp;
            let there = keys.get(key).copied().or_else(|| self.load(key, now));
            if let Some(there) = there {
                if there.stamp != stamp {
                    return Err(Error::Conflict(there.clone()));
                }
                new.push(false);
                continue;
            }
            for revision in [stamp.create_revision, stamp.mod_revision] {
                let stored = [
                    self.shelf.created_at(revision),
                    self.shelf.changed_at(revision),
                ];
                let mut others = stored
                    .into_iter()
                    .flatten()
                    .filter(|other| !other.draft.is_expired(now))
                    .map(|other| &other.draft.key)
                    .chain(revisions.get(&revision).copied());
                if others.any(|other| other != key) {
                    return Err(Error::Invalid(format!(
                        "revision {revision} belongs to another record"
                    )));
                }
                revisions.insert(revision, key);
            }
            keys.insert(key, record);
            new.push(true);
        }
        Ok(new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::{draft, key, put};
    use mortise_guest::{Precondition, Stamp};

    fn record(id: &str, create_revision: Revision, mod_revision: Revision) -> Stored {
        Stored {
            draft: draft(id, &[("a", "1")]),
            stamp: Stamp {
                create_revision,
                mod_revision,
                created_at: 3,
                updated_at: 4,
            },
        }
    }

    fn store() -> Store {
        let mut store = Store::new(1 << 20);
        store.import(vec![record("a", 2, 7)], 5).unwrap();
        store
    }

    #[test]
    fn an_import_keeps_stamps_and_later_revisions_continue_above() {
        let mut store = store();
        assert_eq!(store.load(&key("a"), 5), Some(&record("a", 2, 7)));
        let create = put(draft("b", &[]), Precondition::Absent);
        assert_eq!(store.apply(vec![create], 5).unwrap()[0].mod_revision, 8);
    }

    #[test]
    fn twice_is_once() {
        let mut store = store();
        let before = format!("{store:?}");
        let twice = vec![record("a", 2, 7), record("a", 2, 7)];
        assert_eq!(store.import(twice, 5), Ok(()));
        assert_eq!(format!("{store:?}"), before);
    }

    #[test]
    fn another_record_under_the_key_is_a_conflict_and_nothing_is_imported() {
        let mut store = store();
        let before = format!("{store:?}");
        let records = vec![record("b", 3, 3), record("a", 2, 8)];
        let conflict = Err(Error::Conflict(record("a", 2, 7)));
        assert_eq!(store.import(records, 5), conflict);
        assert_eq!(format!("{store:?}"), before);
        let within = vec![record("c", 3, 3), record("c", 3, 4)];
        assert_eq!(
            store.import(within, 5),
            Err(Error::Conflict(record("c", 3, 3)))
        );
    }

    #[test]
    fn a_revision_of_another_record_is_invalid() {
        let mut store = store();
        for (create, changed) in [(2, 9), (1, 7), (7, 9), (1, 2)] {
            let result = store.import(vec![record("b", create, changed)], 5);
            assert!(
                matches!(result, Err(Error::Invalid(_))),
                "{create} {changed}"
            );
        }
        let within = vec![record("b", 10, 11), record("c", 9, 10)];
        assert!(matches!(store.import(within, 5), Err(Error::Invalid(_))));
        assert!(store.load(&key("b"), 5).is_none());
    }

    #[test]
    fn an_expired_record_gives_way() {
        let mut store = Store::new(1 << 20);
        let mut expired = record("a", 2, 7);
        expired.draft.expires_at = Some(5);
        store.import(vec![expired], 5).unwrap();
        assert!(store.load(&key("a"), 5).is_none());
        let records = vec![record("a", 3, 3), record("b", 2, 7)];
        assert_eq!(store.import(records.clone(), 5), Ok(()));
        assert_eq!(store.load(&key("a"), 5), Some(&records[0]));
        assert_eq!(store.load(&key("b"), 5), Some(&records[1]));
    }
}

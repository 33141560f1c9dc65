//! Entities: JSON objects with an id, found by how they stand and by what they belong to.

use mortise_store::inside::{ErrorInside as _, Later};
use mortise_store::limits::MAX_PAGE_RECORDS;
use mortise_store::{
    Error, ErrorKind, Key, Move, Operation, Precondition, Result, Store, Stored, Write,
};
use serde::de::DeserializeOwned;

use crate::batch::{EntityBatch, Save};
use crate::decode::decode;
use crate::history;
use crate::json::Object;
use crate::kind::{Kind, lease_collection, lease_key};
use crate::machine::Machine;
use crate::pages::{EmptyPages, EntityPage, EntityQuery, read_page};
use crate::retry::Attempts;
use crate::versioned::Versioned;

/// Keeps entities in a store: JSON objects of any shape, in collections. Cheap to clone.
///
/// The id of an entity is the text in its field `id`. It is found by its `status`, a text or an object with
/// a text `state`, and by every other field whose name ends in `_id` or `Id`: attributes have the names of
/// their fields. A [`Repository`](crate::Repository) keeps entities of one type, and finds them by the fields that it names.
///
/// A save merges: fields that are given replace those that are there, the others stay, in their places and
/// digit by digit. It is made by compare-and-set on what was there, again if that changed meanwhile, so that
/// no save is lost; a save that changes nothing writes nothing.
///
/// ```no_run
/// # async fn example(store: mortise_store::Store) -> Result<(), Box<dyn std::error::Error>> {
/// use mortise_agent::EntityStore;
///
/// let entities = EntityStore::new(store);
/// let job = serde_json::from_str(r#"{"id":"job-1","name":"Screening","status":"stopped"}"#)?;
/// entities.save("job", &job).await?;
/// let stopped = entities.find_by("job", "status", "stopped").await?;
/// assert!(entities.delete("job", "job-1").await?);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct EntityStore {
    store: Store,
}

impl EntityStore {
    /// Keeps entities in this store.
    pub fn new(store: Store) -> Self {
        Self { store }
    }

    /// The store beneath.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Creates an entity, or merges it into the one that is there; answers what is there then.
    ///
    /// # Errors
    ///
    /// `Invalid` where it has no id; `Corrupt` where the record that is there is no JSON object;
    /// `Conflict` where others were faster 256 times; those of [`Store::load`] and [`Store::apply`].
    pub async fn save(&self, collection: &str, entity: &Object) -> Result<Versioned<Object>> {
        self.save_if(collection, entity, Precondition::None).await
    }

    /// Saves an entity only where what is expected is there: nothing, some entity, or one that is unchanged since a
    /// revision.
    ///
    /// # Errors
    ///
    /// `AlreadyExists`, `NotFound`, `Conflict`, where something else is there; as [`save`](Self::save).
    pub async fn save_if(
        &self,
        collection: &str,
        entity: &Object,
        expect: Precondition,
    ) -> Result<Versioned<Object>> {
        self.save_one(Kind::of(collection), entity.clone(), expect)
            .await
    }

    /// Saves several entities, all or none; answers what is there then, in their order.
    ///
    /// # Errors
    ///
    /// As [`save`](Self::save); `Invalid` where two are one entity; `TooLarge` where they are more than one
    /// batch takes.
    pub async fn save_all(&self, batch: &EntityBatch) -> Result<Vec<Versioned<Object>>> {
        self.save_batch(&batch.0).await
    }

    fn save_batch<'a>(&'a self, saves: &'a [Save]) -> Later<'a, Result<Vec<Versioned<Object>>>> {
        Box::pin(async move {
            let mut attempts = Attempts::default();
            loop {
                match self.try_to_save(saves).await {
                    Ok(saved) => return Ok(saved),
                    Err(error) if saves.iter().all(|save| save.goes_on_after(&error)) => {
                        attempts.again(error).await?;
                    }
                    Err(error) => return Err(error),
                }
            }
        })
    }

    pub(crate) async fn save_one(
        &self,
        kind: Kind,
        entity: Object,
        expect: Precondition,
    ) -> Result<Versioned<Object>> {
        let mut batch = EntityBatch::new();
        batch.push(kind, entity, expect);
        let mut saved = self.save_all(&batch).await?;
        Ok(saved.remove(0))
    }

    async fn try_to_save(&self, saves: &[Save]) -> Result<Vec<Versioned<Object>>> {
        let operation = Operation::Update;
        let told = |error: Error| error.with_operation(operation);
        if saves.is_empty() {
            return Ok(Vec::new());
        }
        let keys = saves
            .iter()
            .map(|save| save.kind.key(operation, &save.entity));
        let keys: Vec<Key> = keys.collect::<Result<_>>()?;
        let there = self.store.load_many(keys.clone()).await.map_err(told)?;
        let (mut writes, mut written, mut saved) = (Vec::new(), Vec::new(), Vec::new());
        for ((save, key), there) in saves.iter().zip(keys).zip(there) {
            let merged = self.merged(save, key, there.as_ref()).await?;
            let draft = match &there {
                Some(there) => save.kind.redraft(operation, &merged, there)?,
                None => save.kind.draft(operation, &merged)?,
            };
            let expires_at = draft.expires_at;
            let unchanged = there.as_ref().is_some_and(|there| there.draft == draft);
            if !unchanged {
                written.push(saved.len());
                writes.push(match &there {
                    Some(there) => Write::update(draft, there.revision()),
                    None => Write::create(draft),
                });
            }
            saved.push(Versioned {
                value: merged,
                revision: there.map_or(0, |there| there.revision()),
                expires_at,
            });
        }
        if !writes.is_empty() {
            let revisions = self.store.apply(writes).await.map_err(told)?;
            for (index, revision) in written.into_iter().zip(revisions) {
                saved[index].revision = revision;
            }
        }
        Ok(saved)
    }

    /// What a save makes of what is there.
    async fn merged(&self, save: &Save, key: Key, there: Option<&Stored>) -> Result<Object> {
        let operation = Operation::Update;
        let Some(there) = there else {
            return match save.expect {
                Precondition::None | Precondition::Absent => Ok(save.entity.clone()),
                Precondition::Present | Precondition::UnchangedSince(_) => Err(self.missing(key)),
            };
        };
        let backend = self.store.backend();
        match save.expect {
            Precondition::Absent => {
                let what = "the record is there already";
                let exists = Error::new(ErrorKind::AlreadyExists, operation, what);
                return Err(exists.with_backend(backend).with_key(key));
            }
            Precondition::UnchangedSince(revision) if revision != there.revision() => {
                let conflict = Error::conflict(operation, there.clone());
                return Err(conflict.with_backend(backend));
            }
            _ => {}
        }
        let collection = &save.kind.collection;
        let mut entity: Object = decode(&self.store, operation, collection, there)
            .await?
            .value;
        let before = entity.clone();
        entity.merge(save.entity.clone());
        let left = |machine: &&Machine| machine.is_left(&before, &entity);
        if let Some(machine) = save.kind.machine.filter(left) {
            let to = machine.state_of(&entity).unwrap_or_default();
            let refusal = machine.refuse(machine.state_of(&before), Move::To(to));
            let error = Error::invalid_transition(operation, refusal).with_key(key);
            return Err(error.with_backend(backend));
        }
        Ok(entity)
    }

    /// Reads an entity; none where there is none.
    ///
    /// # Errors
    ///
    /// `Corrupt` where the record is no JSON object: one that is no JSON at all was set aside
    /// ([`Store::quarantine`]), one of another shape is where it was; those of [`Store::load`].
    pub async fn get(&self, collection: &str, id: &str) -> Result<Option<Versioned<Object>>> {
        self.read(collection, id).await
    }

    /// Every entity of a collection, oldest first. [`list`](Self::list) answers them page by page.
    ///
    /// # Errors
    ///
    /// As [`list`](Self::list).
    pub async fn get_all(&self, collection: &str) -> Result<Vec<Versioned<Object>>> {
        self.read_all(collection, EntityQuery::default()).await
    }

    /// One page of the entities that match, oldest first. Records that are no JSON at all are set aside
    /// ([`Store::quarantine`]), logged as errors and left out.
    ///
    /// # Errors
    ///
    /// `Invalid` for a cursor that is not of this query; `Corrupt` for JSON that is no object; those of
    /// [`Store::find`].
    pub async fn list(&self, collection: &str, query: EntityQuery) -> Result<EntityPage> {
        self.read_page(collection, query).await
    }

    /// Every entity that carries an attribute, oldest first.
    ///
    /// # Errors
    ///
    /// As [`list`](Self::list).
    pub async fn find_by(
        &self,
        collection: &str,
        attribute: &str,
        value: &str,
    ) -> Result<Vec<Versioned<Object>>> {
        let query = EntityQuery::by(attribute, value);
        self.read_all(collection, query).await
    }

    /// How many entities carry an attribute. Reads their keys alone.
    ///
    /// # Errors
    ///
    /// Those of [`Store::find`].
    pub async fn count_by(&self, collection: &str, attribute: &str, value: &str) -> Result<u64> {
        let query = EntityQuery::by(attribute, value).find(collection);
        let mut query = query.without_bodies().limit(MAX_PAGE_RECORDS);
        let (mut count, mut empty) = (0, EmptyPages::default());
        loop {
            let page = self.store.find(query.clone()).await?;
            count += page.records.len() as u64;
            if page.next.is_none() {
                return Ok(count);
            }
            empty.seen(&self.store, page.records.len())?;
            query.after = page.next;
        }
    }

    /// Removes an entity, with its [history](crate::Lifecycle::history) and its lease; whether it was there.
    ///
    /// # Errors
    ///
    /// Those of [`Store::find`] and [`Store::apply`]. The entity goes last: where there is more history than
    /// one batch takes, what was removed before an error is gone.
    pub async fn delete(&self, collection: &str, id: &str) -> Result<bool> {
        self.remove(collection, id).await
    }

    fn remove<'a>(&'a self, collection: &'a str, id: &'a str) -> Later<'a, Result<bool>> {
        Box::pin(async move {
            let key = Key::new(collection, id);
            let mut attempts = Attempts::default();
            loop {
                let there = self.store.load(&key).await;
                let there = there.map_err(|error| error.with_operation(Operation::Delete))?;
                let Some(there) = there else {
                    return Ok(false);
                };
                let entity = [
                    Write::delete(key.clone(), Some(there.revision())),
                    Write::remove(lease_key(collection, id)),
                ];
                match history::remove_with(&self.store, collection, id, entity).await {
                    Ok(()) => return Ok(true),
                    Err(error) => attempts.again(error).await?,
                }
            }
        })
    }

    /// Removes every entity of a collection, with their histories and leases, or every record of the store;
    /// how many entities, or records, there were.
    ///
    /// # Errors
    ///
    /// Those of [`Store::clear`].
    pub async fn reset(&self, collection: Option<&str>) -> Result<u64> {
        let Some(collection) = collection else {
            return self.store.clear(None).await;
        };
        let removed = self.store.clear(Some(collection)).await?;
        for of_it in [
            history::collection(collection),
            lease_collection(collection),
        ] {
            self.store.clear(Some(&of_it)).await?;
        }
        Ok(removed)
    }

    pub(crate) async fn read<T: DeserializeOwned>(
        &self,
        collection: &str,
        id: &str,
    ) -> Result<Option<Versioned<T>>> {
        let Some(stored) = self.store.load(&Key::new(collection, id)).await? else {
            return Ok(None);
        };
        let value = decode(&self.store, Operation::Load, collection, &stored);
        value.await.map(Some)
    }

    pub(crate) async fn read_page<T: DeserializeOwned>(
        &self,
        collection: &str,
        query: EntityQuery,
    ) -> Result<EntityPage<T>> {
        read_page(&self.store, collection, query).await
    }

    pub(crate) async fn read_all<T: DeserializeOwned>(
        &self,
        collection: &str,
        mut query: EntityQuery,
    ) -> Result<Vec<Versioned<T>>> {
        let (mut entities, mut empty) = (Vec::new(), EmptyPages::default());
        loop {
            let page = self.read_page(collection, query.clone()).await?;
            empty.seen(&self.store, page.entities.len())?;
            entities.extend(page.entities);
            if page.next.is_none() {
                return Ok(entities);
            }
            query.after = page.next;
        }
    }

    pub(crate) fn missing(&self, key: Key) -> Error {
        let what = "there is no such record";
        Error::new(ErrorKind::NotFound, Operation::Update, what)
            .with_backend(self.store.backend())
            .with_key(key)
    }
}

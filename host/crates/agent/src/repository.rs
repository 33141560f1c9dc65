//! Entities of one type.

use std::marker::PhantomData;

use mortise_store::inside::ErrorInside as _;
use mortise_store::{Error, ErrorKind, Key, Operation, Precondition, Result, Revision};

use crate::batch::object;
use crate::entity::EntityStore;
use crate::json::Object;
use crate::kind::{Entity, Kind};
use crate::pages::{EntityPage, EntityQuery};
use crate::retry::Attempts;
use crate::versioned::Versioned;

/// The entities of one type in a store. Cheap to clone.
///
/// Fields that the type does not have are kept: every write merges, as
/// [`EntityStore::save`] does.
#[derive(Debug)]
pub struct Repository<T> {
    entities: EntityStore,
    entity: PhantomData<fn() -> T>,
}

impl<T> Clone for Repository<T> {
    fn clone(&self) -> Self {
        Self {
            entities: self.entities.clone(),
            entity: PhantomData,
        }
    }
}

impl EntityStore {
    /// The entities of one type.
    pub fn repository<T: Entity>(&self) -> Repository<T> {
        Repository {
            entities: self.clone(),
            entity: PhantomData,
        }
    }
}

impl<T: Entity> Repository<T> {
    /// The store beneath.
    pub fn entities(&self) -> &EntityStore {
        &self.entities
    }

    /// Creates an entity, or merges it into the one that is there; answers what is there then.
    ///
    /// # Errors
    ///
    /// As [`EntityStore::save`]; `InvalidTransition` where it would leave a final state of the type's
    /// lifecycle.
    pub async fn save(&self, entity: &T) -> Result<Versioned<T>> {
        let saved = self
            .entities
            .save_one(Kind::of_entity::<T>(), object(entity)?, Precondition::None)
            .await?;
        typed(saved)
    }

    /// Writes an entity that was read, unless it changed since; takes on the new revision.
    ///
    /// # Errors
    ///
    /// `Conflict`, `NotFound`; as [`save`](Self::save). The entity is as it was.
    pub async fn update(&self, entity: &mut Versioned<T>) -> Result<()> {
        let fields = object(&entity.value)?;
        entity.revision = self.write(fields, entity.revision).await?.revision;
        Ok(())
    }

    /// Reads an entity, changes it, writes it; again on what is there by then, if it changed meanwhile.
    ///
    /// # Errors
    ///
    /// `NotFound`; `Conflict` where others were faster 256 times; as [`save`](Self::save).
    pub async fn modify(
        &self,
        id: &str,
        mut change: impl FnMut(&mut T) + Send,
    ) -> Result<Versioned<T>> {
        let mut attempts = Attempts::default();
        loop {
            let there = self.get(id).await;
            let there = there.map_err(|error| error.with_operation(Operation::Update))?;
            let missing = || self.entities.missing(Key::new(T::COLLECTION, id));
            let mut entity = there.ok_or_else(missing)?;
            change(&mut entity.value);
            let fields = object(&entity.value)?;
            match self.write(fields, entity.revision).await {
                Ok(saved) => return typed(saved),
                Err(error) => attempts.again(error).await?,
            }
        }
    }

    /// Reads an entity; none where there is none.
    ///
    /// # Errors
    ///
    /// As [`EntityStore::get`]; `Corrupt` where the record is no entity of this type.
    pub async fn get(&self, id: &str) -> Result<Option<Versioned<T>>> {
        self.entities.read(T::COLLECTION, id).await
    }

    /// Every entity of this type, oldest first. [`list`](Self::list) answers them page by page.
    ///
    /// # Errors
    ///
    /// As [`list`](Self::list).
    pub async fn get_all(&self) -> Result<Vec<Versioned<T>>> {
        let query = EntityQuery::default();
        self.entities.read_all(T::COLLECTION, query).await
    }

    /// One page of the entities that match, oldest first.
    ///
    /// # Errors
    ///
    /// As [`EntityStore::list`]; `Corrupt` where a record is no entity of this type.
    pub async fn list(&self, query: EntityQuery) -> Result<EntityPage<T>> {
        self.entities.read_page(T::COLLECTION, query).await
    }

    /// Every entity that carries an attribute, oldest first.
    ///
    /// # Errors
    ///
    /// As [`list`](Self::list).
    pub async fn find_by(&self, attribute: &str, value: &str) -> Result<Vec<Versioned<T>>> {
        let query = EntityQuery::by(attribute, value);
        self.entities.read_all(T::COLLECTION, query).await
    }

    /// How many entities carry an attribute.
    ///
    /// # Errors
    ///
    /// As [`EntityStore::count_by`].
    pub async fn count_by(&self, attribute: &str, value: &str) -> Result<u64> {
        self.entities
            .count_by(T::COLLECTION, attribute, value)
            .await
    }

    /// Removes an entity; whether it was there.
    ///
    /// # Errors
    ///
    /// As [`EntityStore::delete`].
    pub async fn delete(&self, id: &str) -> Result<bool> {
        self.entities.delete(T::COLLECTION, id).await
    }

    async fn write(&self, fields: Object, expect: Revision) -> Result<Versioned<Object>> {
        let kind = Kind::of_entity::<T>();
        let expect = Precondition::UnchangedSince(expect);
        self.entities.save_one(kind, fields, expect).await
    }
}

fn typed<T: Entity>(saved: Versioned<Object>) -> Result<Versioned<T>> {
    let value = saved.value.parse().map_err(|error| {
        let message = format!("what was saved is no {}", T::COLLECTION);
        Error::new(ErrorKind::Corrupt, Operation::Update, message).with_source(error)
    })?;
    Ok(Versioned {
        value,
        revision: saved.revision,
        expires_at: saved.expires_at,
    })
}

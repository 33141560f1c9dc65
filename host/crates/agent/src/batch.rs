//! Entities that are saved together.

use mortise_store::inside::ErrorInside as _;
use mortise_store::{Error, Operation, Precondition, Result};

use crate::json::Object;
use crate::kind::{Entity, Kind};

/// Entities that are saved together: a job with its cases.
#[derive(Debug, Clone, Default)]
pub struct EntityBatch(pub(crate) Vec<Save>);

/// One of them.
#[derive(Debug, Clone)]
pub(crate) struct Save {
    pub(crate) kind: Kind,
    pub(crate) entity: Object,
    /// What is to be there, or it is not saved.
    pub(crate) expect: Precondition,
}

impl Save {
    /// Whether it may be tried again after this error, on what others wrote meanwhile.
    pub(crate) fn goes_on_after(&self, error: &Error) -> bool {
        match self.expect {
            Precondition::None => true,
            Precondition::Present => error.is_conflict(),
            // Who says what they have seen wants to know.
            Precondition::Absent | Precondition::UnchangedSince(_) => false,
        }
    }
}

impl EntityBatch {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an entity.
    ///
    /// # Errors
    ///
    /// `Invalid` where it is written as something else than a JSON object.
    pub fn add<T: Entity>(&mut self, entity: &T) -> Result<&mut Self> {
        let entity = object(entity)?;
        Ok(self.push(Kind::of_entity::<T>(), entity, Precondition::None))
    }

    /// Adds an object to a collection.
    pub fn add_object(&mut self, collection: &str, entity: Object) -> &mut Self {
        self.push(Kind::of(collection), entity, Precondition::None)
    }

    pub(crate) fn push(&mut self, kind: Kind, entity: Object, expect: Precondition) -> &mut Self {
        self.0.push(Save {
            kind,
            entity,
            expect,
        });
        self
    }
}

/// The object that an entity is written as.
pub(crate) fn object<T: Entity>(entity: &T) -> Result<Object> {
    Object::of(entity).map_err(|error| {
        let message = format!(
            "the entity of the kind {:?} is no JSON object",
            T::COLLECTION
        );
        Error::invalid(Operation::Update, message).with_source(error)
    })
}

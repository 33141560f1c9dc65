//! The tools for entities: jobs, cases, objects of any kind.

use std::collections::BTreeMap;

use mortise_agent::{EntityQuery, EntityStore, Object, Versioned};
use mortise_store::{Attribute, Key, Precondition, Revision, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::call::{Call, PageLimit, StoreName};
use super::problem::Problem;
use super::tool::{Effect, Tool};

/// An entity as it is.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct EntityFound {
    /// The entity.
    #[schemars(with = "Map<String, Value>")]
    pub(super) entity: Object,
    /// The write that changed it last.
    pub(super) revision: Revision,
    /// When it expires: milliseconds since 1970, UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) expires_at: Option<Timestamp>,
}

/// An entity that was saved.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct EntitySaved {
    /// The entity as it is now, where you may read it.
    #[schemars(with = "Option<Map<String, Value>>")]
    #[serde(skip_serializing_if = "Option::is_none")]
    entity: Option<Object>,
    /// The write that changed it last.
    revision: Revision,
    /// When it expires: milliseconds since 1970, UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Timestamp>,
}

/// Entities, page by page.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct EntitiesFound {
    /// In the order of their creation.
    entities: Vec<EntityFound>,
    /// Where the next page starts: give it as after. Missing on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// An entity that is gone.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct EntityDeleted {
    /// The entity's id.
    id: String,
    /// Whether it was there.
    deleted: bool,
}

impl From<Versioned<Object>> for EntityFound {
    fn from(found: Versioned<Object>) -> Self {
        Self {
            entity: found.value,
            revision: found.revision,
            expires_at: found.expires_at,
        }
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SaveEntity {
    /// The collection: job, case, …
    collection: String,
    /// The fields to save. Its id is the text in the field id
    #[schemars(with = "Map<String, Value>")]
    entity: Object,
    /// Only while it is unchanged since this revision; default: whatever is there
    #[serde(default)]
    revision: Option<Revision>,
    #[serde(default)]
    store: StoreName,
}

impl Tool for SaveEntity {
    const NAME: &'static str = "save_entity";
    const TITLE: &'static str = "Save an entity";
    const DESCRIPTION: &'static str = "Creates an entity, or merges it into the one that is there: fields that are given replace those that \
         are there, the others stay. Answers the whole entity, where you may read it. With a revision it fails with conflict where the entity \
         changed since, and current has it as it is now, where you may read it.";
    const EFFECT: Effect = Effect::Sets;
    type Answer = EntitySaved;

    async fn run(self, call: &Call) -> Result<EntitySaved, Problem> {
        let (store, sight) = call.writing(&self.store)?;
        let entities = EntityStore::new(store);
        let expect = self.revision;
        let expect = expect.map_or(Precondition::None, Precondition::UnchangedSince);
        let saved = entities.save_if(&self.collection, &self.entity, expect);
        let saved = saved.await;
        let saved = saved.map_err(|error| sight.problem(error))?;
        Ok(EntitySaved {
            entity: sight.written(saved.value),
            revision: saved.revision,
            expires_at: saved.expires_at,
        })
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LoadEntity {
    /// The collection: job, case, …
    collection: String,
    /// The entity's id
    id: String,
    #[serde(default)]
    store: StoreName,
}

impl Tool for LoadEntity {
    const NAME: &'static str = "load_entity";
    const TITLE: &'static str = "Load an entity";
    const DESCRIPTION: &'static str = "Reads an entity by its id.";
    const EFFECT: Effect = Effect::Reads;
    type Answer = EntityFound;

    async fn run(self, call: &Call) -> Result<EntityFound, Problem> {
        let entities = EntityStore::new(call.reading(&self.store)?);
        let entity = entities.get(&self.collection, &self.id).await?;
        let entity = entity.map(EntityFound::from);
        let missing = || {
            let key = Key::new(self.collection, self.id);
            Problem::not_found(key, "list_entities tells which there are")
        };
        entity.ok_or_else(missing)
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DeleteEntity {
    /// The collection: job, case, …
    collection: String,
    /// The entity's id
    id: String,
    #[serde(default)]
    store: StoreName,
}

impl Tool for DeleteEntity {
    const NAME: &'static str = "delete_entity";
    const TITLE: &'static str = "Delete an entity";
    const DESCRIPTION: &'static str =
        "Removes an entity for good, with its history. Answers whether it was there.";
    const EFFECT: Effect = Effect::Sets;
    type Answer = EntityDeleted;

    async fn run(self, call: &Call) -> Result<EntityDeleted, Problem> {
        let (store, sight) = call.writing(&self.store)?;
        let entities = EntityStore::new(store);
        let deleted = entities.delete(&self.collection, &self.id).await;
        let deleted = deleted.map_err(|error| sight.problem(error))?;
        Ok(EntityDeleted {
            id: self.id,
            deleted,
        })
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ListEntities {
    /// The collection: job, case, …
    collection: String,
    /// Only those that have each of these: status, and fields whose names end in _id or Id
    #[serde(default)]
    attributes: BTreeMap<String, String>,
    /// Newest first; default: oldest first
    #[serde(default)]
    newest_first: bool,
    /// next of an earlier page
    #[serde(default)]
    after: Option<String>,
    #[serde(default)]
    limit: PageLimit,
    #[serde(default)]
    store: StoreName,
}

impl Tool for ListEntities {
    const NAME: &'static str = "list_entities";
    const TITLE: &'static str = "List entities";
    const DESCRIPTION: &'static str = "Reads the entities of a collection page by page. A page can be short, even empty, and still have next.";
    const EFFECT: Effect = Effect::Reads;
    type Answer = EntitiesFound;

    async fn run(self, call: &Call) -> Result<EntitiesFound, Problem> {
        let entities = EntityStore::new(call.reading(&self.store)?);
        let attributes = self.attributes.into_iter();
        let query = EntityQuery {
            attributes: attributes
                .map(|(name, value)| Attribute::new(name, value))
                .collect(),
            newest_first: self.newest_first,
            after: self.after,
            limit: self.limit.get()?,
        };
        let page = entities.list(&self.collection, query).await?;
        Ok(EntitiesFound {
            entities: page.entities.into_iter().map(EntityFound::from).collect(),
            next: page.next,
        })
    }
}

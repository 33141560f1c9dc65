//! Kinds of entities: from an object to the record that keeps it.

use mortise_store::inside::ErrorInside as _;
use mortise_store::{Attribute, Draft, Error, Key, Operation, Result, Stored};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::json::Object;
use crate::machine::{Machine, STATUS};

/// Where the state stands inside of a status that is an object.
const STATE: &str = "status.state";

/// A type of entities: where they are kept, and what they are found by.
///
/// ```
/// use mortise_agent::Entity;
///
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct Order {
///     order_number: String,
///     customer_id: String,
///     tags: Vec<String>,
/// }
///
/// impl Entity for Order {
///     const COLLECTION: &'static str = "order";
///     const ID: &'static str = "order_number";
///     const ATTRIBUTES: &'static [&'static str] = &["customer_id", "tags"];
/// }
/// ```
pub trait Entity: Serialize + DeserializeOwned + Send + Sync {
    /// The collection that entities of this type are kept in: 1 to 120 bytes.
    const COLLECTION: &'static str;
    /// The field with the id: a text of 1 to 1,024 bytes.
    const ID: &'static str = "id";
    /// The fields that entities of this type are found by: each a text of at most 1,024 bytes, or a list of
    /// texts. A `status` may be an object with a text `state`.
    const ATTRIBUTES: &'static [&'static str] = &[STATUS];

    /// The lifecycle of entities of this type. A save does not take one out of a final state.
    fn machine() -> Option<&'static Machine> {
        None
    }
}

/// How the entities of a collection are kept.
#[derive(Debug, Clone)]
pub struct Kind {
    pub(crate) collection: String,
    /// The field with the id.
    pub(crate) id: &'static str,
    /// The fields that entities are found by; none where their names tell: `status`, and those that end in
    /// `_id` or `Id`.
    pub(crate) attributes: Option<&'static [&'static str]>,
    /// The lifecycle whose final states a save does not leave.
    pub(crate) machine: Option<&'static Machine>,
}

impl Kind {
    /// Entities that nobody described: the id is in the field `id`.
    pub fn of(collection: impl Into<String>) -> Self {
        Self {
            collection: collection.into(),
            id: "id",
            attributes: None,
            machine: None,
        }
    }

    /// Entities of one type.
    pub(crate) fn of_entity<T: Entity>() -> Self {
        Self {
            collection: T::COLLECTION.to_owned(),
            id: T::ID,
            attributes: Some(T::ATTRIBUTES),
            machine: T::machine(),
        }
    }

    /// The key of an entity.
    pub(crate) fn key(&self, operation: Operation, entity: &Object) -> Result<Key> {
        let id = entity.text(self.id).filter(|id| !id.is_empty());
        id.map(|id| Key::new(&self.collection, id)).ok_or_else(|| {
            let what = format!(
                "the entity of the collection {:?} has no id",
                self.collection
            );
            Error::invalid(operation, what).with_hint(format!(
                "give it a field {:?} with a text of 1 to 1,024 bytes",
                self.id
            ))
        })
    }

    /// The record that keeps an entity, where there is none yet.
    ///
    /// # Errors
    ///
    /// `Invalid` where it has no id.
    pub fn draft(&self, operation: Operation, entity: &Object) -> Result<Draft> {
        let key = self.key(operation, entity)?;
        let body = body(operation, &key, entity)?;
        let mut draft = Draft::new(key, body);
        draft.attributes = self.attributes(entity);
        Ok(draft)
    }

    /// The record that keeps an entity in the place of another. When it expires stays, and so do attributes
    /// that no field gives.
    pub(crate) fn redraft(
        &self,
        operation: Operation,
        entity: &Object,
        there: &Stored,
    ) -> Result<Draft> {
        let key = there.key().clone();
        let body = body(operation, &key, entity)?;
        let mut draft = Draft::new(key, body);
        draft.expires_at = there.draft.expires_at;
        let others = there.draft.attributes.iter();
        let others = others.filter(|pair| !self.is_attribute(&pair.name));
        draft.attributes = self.attributes(entity);
        draft.attributes.extend(others.cloned());
        Ok(draft)
    }

    fn is_attribute(&self, field: &str) -> bool {
        match self.attributes {
            Some(fields) => fields.contains(&field),
            None => {
                let foreign = field.ends_with("_id") || field.ends_with("Id");
                field == STATUS || (foreign && field != self.id)
            }
        }
    }

    /// What an entity is found by, in the order of its fields: texts, and each text of a list.
    fn attributes(&self, entity: &Object) -> Vec<Attribute> {
        let mut attributes: Vec<Attribute> = Vec::new();
        let fields = entity
            .fields()
            .filter(|(field, _)| self.is_attribute(field));
        for (field, value) in fields {
            let texts = match value.parse::<Vec<String>>() {
                Ok(texts) => texts,
                Err(_) => value.parse().map_or_else(|_| Vec::new(), |text| vec![text]),
            };
            let state = || (field == STATUS).then(|| entity.text_at(STATE)).flatten();
            let texts = match texts.is_empty() {
                true => state().into_iter().collect(),
                false => texts,
            };
            for text in texts {
                let attribute = Attribute::new(field, text);
                if !attributes.contains(&attribute) {
                    attributes.push(attribute);
                }
            }
        }
        attributes
    }
}

fn body(operation: Operation, key: &Key, entity: &Object) -> Result<Vec<u8>> {
    serde_json::to_vec(entity).map_err(|error| {
        Error::invalid(operation, "the entity is no JSON")
            .with_key(key.clone())
            .with_source(error)
    })
}

/// Where the leases on a collection's entities are.
pub(crate) fn lease_collection(of: &str) -> String {
    format!("{of}.lease")
}

/// The key of the lease on an entity.
pub(crate) fn lease_key(of: &str, id: &str) -> Key {
    Key::new(lease_collection(of), id)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CASE: &str = r#"{"id":"c-1","job_id":"j-1","status":"awaiting","session_id":null,"contextId":"x","ids":["a"],"name":"n","id_card":"1","count_id":7}"#;

    fn pairs(kind: Kind, entity: &str) -> Vec<String> {
        let entity = serde_json::from_str(entity).unwrap();
        let draft = kind.draft(Operation::Create, &entity).unwrap();
        let pairs = draft.attributes.iter();
        pairs
            .map(|pair| format!("{}={}", pair.name, pair.value))
            .collect()
    }

    #[test]
    fn names_tell_what_an_entity_is_found_by() {
        let case = pairs(Kind::of("case"), CASE);
        assert_eq!(case, ["job_id=j-1", "status=awaiting", "contextId=x"]);
        let task = r#"{"id":"t","status":{"state":"working"}}"#;
        assert_eq!(pairs(Kind::of("a2a"), task), ["status=working"]);
    }

    #[test]
    fn a_list_gives_an_attribute_for_each_text() {
        let kind = Kind {
            attributes: Some(&["ids", "name"]),
            ..Kind::of("job")
        };
        let twice = r#"{"id":"j","name":"n","ids":["b","a","b"],"status":"x"}"#;
        assert_eq!(pairs(kind, twice), ["name=n", "ids=b", "ids=a"]);
    }

    #[test]
    fn an_entity_without_an_id_is_refused() {
        for entity in [
            r#"{"name":"n"}"#,
            r#"{"id":7}"#,
            r#"{"id":""}"#,
            r#"{"id":null}"#,
        ] {
            let entity = serde_json::from_str(entity).unwrap();
            let error = Kind::of("job").draft(Operation::Create, &entity);
            let error = error.unwrap_err();
            assert_eq!(error.kind(), mortise_store::ErrorKind::Invalid);
            assert_eq!(
                error.reason(),
                r#"the entity of the collection "job" has no id"#
            );
            assert!(error.hint().unwrap().contains(r#"a field "id""#));
        }
    }
}

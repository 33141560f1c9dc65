//! Kinds of entities: from an object to the record that keeps it.

use super::json::Object;
use super::machine::Machine;
use crate::error::{Error, Operation, Result};
use crate::record::{Attribute, Draft, Key, Stored};

/// The field and attribute that tells how an entity stands.
pub(super) const STATUS: &str = "status";
/// Where the state stands inside of a status that is an object.
const STATE: &str = "status.state";

/// How the entities of a collection are kept.
#[derive(Debug, Clone)]
pub(crate) struct Kind {
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
    pub(crate) fn of(collection: impl Into<String>) -> Self {
        Self {
            collection: collection.into(),
            id: "id",
            attributes: None,
            machine: None,
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
    pub(crate) fn draft(&self, operation: Operation, entity: &Object) -> Result<Draft> {
        let key = self.key(operation, entity)?;
        let body = body(operation, &key, entity)?;
        let mut draft = Draft::new(key, body);
        draft.attributes = self.attributes(entity);
        Ok(draft)
    }

    /// The record that keeps an entity in the place of another. When it expires stays, and so do attributes
    /// that no field gives.
    pub(super) fn redraft(
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
            assert_eq!(error.kind(), crate::error::ErrorKind::Invalid);
            assert_eq!(
                error.reason(),
                r#"the entity of the collection "job" has no id"#
            );
            assert!(error.hint().unwrap().contains(r#"a field "id""#));
        }
    }
}

//! How OpenAPI describes a record, which is a type of `mortise_store`.

use mortise_store::{Revision, Timestamp};
use serde::{Deserialize, Serialize};

/// A record with its stamp.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = Record)]
#[serde(deny_unknown_fields)]
pub struct RecordSchema {
    collection: String,
    id: String,
    /// The body, where it is UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    /// The body in base64 (RFC 4648, padded), where it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body_base64: Option<String>,
    /// Pairs of name and value, in the record's order.
    attributes: Vec<(String, String)>,
    /// Milliseconds since 1970, UTC; missing where the record never expires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<Timestamp>,
    /// The write that created it.
    create_revision: Revision,
    /// The write that changed it last.
    mod_revision: Revision,
    /// Milliseconds since 1970, UTC.
    created_at: Timestamp,
    /// Milliseconds since 1970, UTC.
    updated_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use mortise_store::inside::json::Record;
    use serde_json::Value;
    use utoipa::PartialSchema as _;

    use super::*;

    /// A record with every field: no record of a store has both forms of a body.
    fn whole() -> Record<'static> {
        // No `..`: a field that is new asks to be described.
        Record {
            collection: "a".into(),
            id: "b".into(),
            body: Some("c".into()),
            body_base64: Some("ZA==".to_owned()),
            attributes: vec![("e".into(), "f".into())],
            expires_at: Some(1),
            create_revision: 2,
            mod_revision: 3,
            created_at: 4,
            updated_at: 5,
        }
    }

    fn names<'a>(names: impl IntoIterator<Item = &'a String>) -> BTreeSet<&'a String> {
        names.into_iter().collect()
    }

    #[test]
    fn what_is_described_has_the_fields_of_a_record() {
        let least = Record {
            body: None,
            body_base64: None,
            expires_at: None,
            ..whole()
        };
        for record in [whole(), least] {
            let json = serde_json::to_value(&record).unwrap();
            let described: RecordSchema = serde_json::from_value(json.clone()).unwrap();
            assert_eq!(serde_json::to_value(&described).unwrap(), json);
        }
    }

    #[test]
    fn every_field_of_a_record_is_described() {
        let schema = serde_json::to_value(RecordSchema::schema()).unwrap();
        let properties = schema["properties"].as_object().unwrap();
        let json = serde_json::to_value(whole()).unwrap();
        let fields = json.as_object().unwrap();
        assert_eq!(names(properties.keys()), names(fields.keys()));
        // Those without which a record is not read.
        let required = schema["required"].as_array().unwrap();
        for name in fields.keys() {
            let mut without = fields.clone();
            without.remove(name);
            let is_read = serde_json::from_value::<Record<'_>>(Value::Object(without)).is_ok();
            assert_eq!(required.contains(&name.as_str().into()), !is_read, "{name}");
        }
        assert_eq!(schema["additionalProperties"], Value::Bool(false));
    }
}

//! JSON kept as it was written: unknown fields, and values that are not ours to understand.

use std::fmt;

use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// A JSON value, byte for byte as it was written: numbers keep every digit, objects their order.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Json(Box<RawValue>);

impl Json {
    /// The JSON of any serializable value.
    ///
    /// # Errors
    ///
    /// Those of [`serde_json::to_string`]: a map whose keys are no strings, a failing `Serialize`.
    pub fn new(value: &impl Serialize) -> serde_json::Result<Self> {
        serde_json::value::to_raw_value(value).map(Self)
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        self.0.get()
    }

    /// Reads it as a value of `T`.
    pub fn parse<T: DeserializeOwned>(&self) -> serde_json::Result<T> {
        serde_json::from_str(self.as_str())
    }
}

/// By text: `1.0` and `1` are different JSON.
impl PartialEq for Json {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The fields of an object that a type does not know, in their order.
pub(super) type Unknown = Vec<(String, Json)>;

/// An object's fields, from which a type takes those that it knows.
pub(super) struct Fields(Unknown);

impl Fields {
    /// A field that must be there.
    pub(super) fn take<T: DeserializeOwned>(&mut self, name: &str) -> Result<T, String> {
        self.optional(name)?
            .ok_or_else(|| format!("missing field `{name}`"))
    }

    /// A field that may be missing. `null` is a value.
    pub(super) fn optional<T: DeserializeOwned>(
        &mut self,
        name: &str,
    ) -> Result<Option<T>, String> {
        // The last of several with one name counts, as everywhere in JSON.
        let mut found = None;
        self.0.retain(|(field, value)| {
            let wanted = field == name;
            if wanted {
                found = Some(value.clone());
            }
            !wanted
        });
        found
            .map(|value| {
                value
                    .parse()
                    .map_err(|error| format!("field `{name}`: {error}"))
            })
            .transpose()
    }

    /// What nobody took.
    pub(super) fn rest(self) -> Unknown {
        self.0
    }
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = Vec::new();
                while let Some(entry) = map.next_entry::<String, Json>()? {
                    fields.push(entry);
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

/// Writes unknown fields beside the known ones: for `#[serde(flatten)]`.
pub(super) fn serialize_unknown<S: Serializer>(
    fields: &Unknown,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(fields.iter().map(|(name, value)| (name, value)))
}

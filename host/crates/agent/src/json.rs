//! JSON kept as it was written: unknown fields, and values that are not ours to understand.

use std::collections::HashMap;
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

    /// Its text without the white space between values: one line.
    #[must_use]
    pub fn compact(&self) -> Self {
        let (mut in_string, mut escaped) = (false, false);
        let text = self.as_str().chars().filter(|char| {
            if in_string {
                in_string = escaped || *char != '"';
                escaped = !escaped && *char == '\\';
                return true;
            }
            in_string = *char == '"';
            !char.is_ascii_whitespace()
        });
        let compact = RawValue::from_string(text.collect());
        Self(compact.expect("white space between values means nothing"))
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

/// A JSON object: its fields in their order, each value byte for byte as it was written.
///
/// ```
/// use mortise_agent::Object;
///
/// let mut job: Object = serde_json::from_str(r#"{"id":"j-1","cost":0.10,"status":"stopped"}"#)?;
/// job.set("status", &"in_progress")?;
/// assert_eq!(serde_json::to_string(&job)?, r#"{"id":"j-1","cost":0.10,"status":"in_progress"}"#);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, PartialEq, Default)]
pub struct Object(Vec<(String, Json)>);

impl Object {
    /// The object that a value is written as.
    ///
    /// # Errors
    ///
    /// Where it is written as something else than an object, or not at all.
    pub fn of(value: &impl Serialize) -> serde_json::Result<Self> {
        serde_json::from_slice(&serde_json::to_vec(value)?)
    }

    /// The value of a field.
    pub fn get(&self, name: &str) -> Option<&Json> {
        let mut fields = self.0.iter();
        fields
            .find(|(field, _)| field == name)
            .map(|(_, value)| value)
    }

    /// The value of a field, where it is a text.
    pub fn text(&self, name: &str) -> Option<String> {
        self.get(name)?.parse().ok()
    }

    /// The text at a path of field names with dots between: `status.state`.
    pub fn text_at(&self, path: &str) -> Option<String> {
        match path.split_once('.') {
            None => self.text(path),
            Some((field, rest)) => self.get(field)?.parse::<Self>().ok()?.text_at(rest),
        }
    }

    /// Sets a field: in its place where it is there, else as the last.
    ///
    /// # Errors
    ///
    /// Those of [`Json::new`].
    pub fn set(&mut self, name: &str, value: &impl Serialize) -> serde_json::Result<()> {
        self.put(name.to_owned(), Json::new(value)?);
        Ok(())
    }

    /// Sets a text at a path, in objects that are made where there are none.
    ///
    /// # Errors
    ///
    /// Where a field on the way is something else than an object.
    pub fn set_text_at(&mut self, path: &str, text: &str) -> serde_json::Result<()> {
        let Some((field, rest)) = path.split_once('.') else {
            return self.set(path, &text);
        };
        let inner = self.get(field).map(Json::parse::<Self>).transpose()?;
        let mut inner = inner.unwrap_or_default();
        inner.set_text_at(rest, text)?;
        self.set(field, &inner)
    }

    /// Takes over every field of another: what both have has the other's value then.
    pub fn merge(&mut self, other: Self) {
        for (name, value) in other.0 {
            self.put(name, value);
        }
    }

    /// The fields, in their order.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &Json)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// The same on one line.
    #[must_use]
    pub fn compact(&self) -> Self {
        let fields = self.0.iter();
        Self(
            fields
                .map(|(name, value)| (name.clone(), value.compact()))
                .collect(),
        )
    }

    /// Reads it as a value of `T`.
    pub fn parse<T: DeserializeOwned>(&self) -> serde_json::Result<T> {
        serde_json::from_slice(&serde_json::to_vec(self)?)
    }

    fn put(&mut self, name: String, value: Json) {
        match self.0.iter_mut().find(|(field, _)| *field == name) {
            Some((_, there)) => *there = value,
            None => self.0.push((name, value)),
        }
    }

    /// Takes a field that must be there.
    pub(crate) fn take<T: DeserializeOwned>(&mut self, name: &str) -> Result<T, String> {
        self.optional(name)?
            .ok_or_else(|| format!("missing field `{name}`"))
    }

    /// Takes a field that may be missing. `null` is a value.
    pub(crate) fn optional<T: DeserializeOwned>(
        &mut self,
        name: &str,
    ) -> Result<Option<T>, String> {
        let Some(place) = self.0.iter().position(|(field, _)| field == name) else {
            return Ok(None);
        };
        let (_, value) = self.0.remove(place);
        match value.parse() {
            Ok(value) => Ok(Some(value)),
            Err(error) => Err(format!("field `{name}`: {error}")),
        }
    }
}

impl Serialize for Object {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.fields())
    }
}

/// The last of several fields with one name counts, as everywhere in JSON.
impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Object;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
                let mut fields: Vec<(String, Json)> = Vec::new();
                let mut places: HashMap<String, usize> = HashMap::new();
                while let Some((name, value)) = map.next_entry::<String, Json>()? {
                    match places.get(&name) {
                        Some(place) => fields[*place].1 = value,
                        None => {
                            places.insert(name.clone(), fields.len());
                            fields.push((name, value));
                        }
                    }
                }
                Ok(Object(fields))
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.fields()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(text: &str) -> Object {
        serde_json::from_str(text).unwrap()
    }

    fn text(object: &Object) -> String {
        serde_json::to_string(object).unwrap()
    }

    #[test]
    fn the_last_of_several_fields_with_one_name_counts() {
        let same = object(r#"{"a":1,"b":2,"a":3.0}"#);
        assert_eq!(text(&same), r#"{"a":3.0,"b":2}"#);
    }

    #[test]
    fn a_merge_keeps_places_and_digits() {
        let mut there = object(r#"{"id":"j","cost":0.10,"big":123456789012345678901234567890}"#);
        there.merge(object(r#"{"cost":1e400,"new":null}"#));
        let merged = r#"{"id":"j","cost":1e400,"big":123456789012345678901234567890,"new":null}"#;
        assert_eq!(text(&there), merged);
    }

    #[test]
    fn a_path_leads_into_objects() {
        let mut task = object(r#"{"id":"t","status":{"state":"working","message":{"a":[1]}}}"#);
        assert_eq!(task.text_at("status.state").unwrap(), "working");
        assert_eq!(task.text_at("status"), None);
        task.set_text_at("status.state", "completed").unwrap();
        task.set_text_at("made.up.on", "the \"way\"").unwrap();
        assert_eq!(
            text(&task),
            r#"{"id":"t","status":{"state":"completed","message":{"a":[1]}},"made":{"up":{"on":"the \"way\""}}}"#
        );
        let error = object(r#"{"status":7}"#).set_text_at("status.state", "x");
        assert!(error.unwrap_err().to_string().contains("JSON object"));
    }

    #[test]
    fn compact_leaves_strings_alone() {
        let spaced = object("{\"a\": [ 1 ,\n {\"b c\" :\t\"d  \\\" e\\\\\" } ], \"f\":\" g \"}");
        assert_eq!(
            text(&spaced.compact()),
            r#"{"a":[1,{"b c":"d  \" e\\"}],"f":" g "}"#
        );
    }
}

//! Records as JSON.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};

use crate::record::{Attribute, Draft, Key, Revision, Stamp, Stored, Timestamp};

/// A record with its stamp.
//
// Unknown fields are refused, here and below: what is not understood would be lost.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record<'a> {
    /// The record's collection.
    pub collection: Cow<'a, str>,
    /// The record's id.
    pub id: Cow<'a, str>,
    /// The body, where it is UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Cow<'a, str>>,
    /// The body in base64 (RFC 4648, padded), where it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_base64: Option<String>,
    /// Pairs of name and value, in the record's order.
    pub attributes: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    /// Milliseconds since 1970, UTC; missing where the record never expires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// The write that created it.
    pub create_revision: Revision,
    /// The write that changed it last.
    pub mod_revision: Revision,
    /// Milliseconds since 1970, UTC.
    pub created_at: Timestamp,
    /// Milliseconds since 1970, UTC.
    pub updated_at: Timestamp,
}

impl<'a> Record<'a> {
    /// As it is kept.
    pub fn of(stored: &'a Stored) -> Self {
        let Stored { draft, stamp } = stored;
        let (body, body_base64) = body_fields(&draft.body);
        Self {
            collection: Cow::Borrowed(&draft.key.collection),
            id: Cow::Borrowed(&draft.key.id),
            body,
            body_base64,
            attributes: pairs(&draft.attributes),
            expires_at: draft.expires_at,
            create_revision: stamp.create_revision,
            mod_revision: stamp.mod_revision,
            created_at: stamp.created_at,
            updated_at: stamp.updated_at,
        }
    }

    /// The same for a request: its body as text, or in base64 where text would be much longer.
    pub fn short(stored: &'a Stored) -> Self {
        let (body, body_base64) = short_body_fields(&stored.draft.body);
        Self {
            body,
            body_base64,
            ..Self::of(stored)
        }
    }

    /// Free of what it was made of.
    pub fn into_owned(self) -> Record<'static> {
        let own = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        let attributes = self.attributes.into_iter();
        Record {
            collection: own(self.collection),
            id: own(self.id),
            body: self.body.map(own),
            attributes: attributes
                .map(|(name, value)| (own(name), own(value)))
                .collect(),
            ..self
        }
    }

    /// The record; why not, where its body is none.
    pub fn into_stored(self) -> Result<Stored, String> {
        Ok(Stored {
            draft: Draft {
                key: Key::new(self.collection, self.id),
                body: body_bytes(self.body, self.body_base64)?,
                attributes: attributes(self.attributes),
                expires_at: self.expires_at,
            },
            stamp: Stamp {
                create_revision: self.create_revision,
                mod_revision: self.mod_revision,
                created_at: self.created_at,
                updated_at: self.updated_at,
            },
        })
    }
}

/// A body as text, or else in base64.
pub fn body_fields(body: &[u8]) -> (Option<Cow<'_, str>>, Option<String>) {
    match std::str::from_utf8(body) {
        Ok(text) => (Some(Cow::Borrowed(text)), None),
        Err(_) => (None, Some(BASE64.encode(body))),
    }
}

/// The same for a request, whose length a server limits: as text, or in base64 where text would be more than half as
/// long again as the body.
pub fn short_body_fields(body: &[u8]) -> (Option<Cow<'_, str>>, Option<String>) {
    let escaped = |byte: &u8| match byte {
        b'"' | b'\\' | b'\x08' | b'\t' | b'\n' | b'\x0c' | b'\r' => 2,
        0..b' ' => 6,
        _ => 1,
    };
    let as_text: usize = body.iter().map(escaped).sum();
    match body_fields(body) {
        (Some(_), _) if as_text > body.len() / 2 * 3 + 2 => (None, Some(BASE64.encode(body))),
        fields => fields,
    }
}

/// The body that is said as text or in base64; why it is none.
pub fn body_bytes(body: Option<Cow<'_, str>>, base64: Option<String>) -> Result<Vec<u8>, String> {
    match (body, base64) {
        (Some(text), None) => Ok(text.into_owned().into_bytes()),
        (None, Some(text)) => BASE64
            .decode(text)
            .map_err(|error| format!("body_base64 is no base64: {error}")),
        (None, None) => Err("expected one of body and body_base64, found none".to_owned()),
        (Some(_), Some(_)) => Err("expected one of body and body_base64, found both".to_owned()),
    }
}

/// Attributes as pairs.
pub fn pairs(attributes: &[Attribute]) -> Vec<(Cow<'_, str>, Cow<'_, str>)> {
    let pairs = attributes.iter();
    let pairs = pairs.map(|pair| (Cow::Borrowed(&*pair.name), Cow::Borrowed(&*pair.value)));
    pairs.collect()
}

/// Pairs as attributes.
pub fn attributes(pairs: Vec<(Cow<'_, str>, Cow<'_, str>)>) -> Vec<Attribute> {
    let attributes = pairs.into_iter();
    let attributes = attributes.map(|(name, value)| Attribute::new(name, value));
    attributes.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_that_is_long_as_text_goes_over_the_wire_in_base64() {
        for (body, is_text) in [
            (b"".to_vec(), true),
            (br#"{"a": "b\n"}"#.to_vec(), true),
            (vec![0; 100], false),
            (b"\"\\".repeat(50), false),
            (b"\xff".to_vec(), false),
        ] {
            let (text, base64) = short_body_fields(&body);
            assert_eq!(text.is_some(), is_text, "{body:?}");
            let json = serde_json::to_string(&text).unwrap().len();
            assert!(!is_text || json <= body.len() / 2 * 3 + 4, "{body:?}");
            assert_eq!(body_bytes(text, base64).unwrap(), body);
        }
    }
}

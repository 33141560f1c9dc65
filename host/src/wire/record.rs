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
#[cfg_attr(feature = "serve", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct Record<'a> {
    #[cfg_attr(feature = "serve", schema(value_type = String))]
    pub(crate) collection: Cow<'a, str>,
    #[cfg_attr(feature = "serve", schema(value_type = String))]
    pub(crate) id: Cow<'a, str>,
    /// The body, where it is UTF-8.
    #[cfg_attr(feature = "serve", schema(value_type = Option<String>))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) body: Option<Cow<'a, str>>,
    /// The body in base64 (RFC 4648, padded), where it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) body_base64: Option<String>,
    /// Pairs of name and value, in the record's order.
    #[cfg_attr(feature = "serve", schema(value_type = Vec<(String, String)>))]
    pub(crate) attributes: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    /// Milliseconds since 1970, UTC; missing where the record never expires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) expires_at: Option<Timestamp>,
    /// The write that created it.
    pub(crate) create_revision: Revision,
    /// The write that changed it last.
    pub(crate) mod_revision: Revision,
    /// Milliseconds since 1970, UTC.
    pub(crate) created_at: Timestamp,
    /// Milliseconds since 1970, UTC.
    pub(crate) updated_at: Timestamp,
}

impl<'a> Record<'a> {
    pub(crate) fn of(stored: &'a Stored) -> Self {
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

    /// Free of what it was made of.
    #[cfg(feature = "serve")]
    pub(crate) fn into_owned(self) -> Record<'static> {
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

    pub(crate) fn into_stored(self) -> Result<Stored, String> {
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
pub(super) fn body_fields(body: &[u8]) -> (Option<Cow<'_, str>>, Option<String>) {
    match std::str::from_utf8(body) {
        Ok(text) => (Some(Cow::Borrowed(text)), None),
        Err(_) => (None, Some(BASE64.encode(body))),
    }
}

pub(super) fn body_bytes(
    body: Option<Cow<'_, str>>,
    base64: Option<String>,
) -> Result<Vec<u8>, String> {
    match (body, base64) {
        (Some(text), None) => Ok(text.into_owned().into_bytes()),
        (None, Some(text)) => BASE64
            .decode(text)
            .map_err(|error| format!("body_base64 is no base64: {error}")),
        (None, None) => Err("expected one of body and body_base64, found none".to_owned()),
        (Some(_), Some(_)) => Err("expected one of body and body_base64, found both".to_owned()),
    }
}

pub(super) fn pairs(attributes: &[Attribute]) -> Vec<(Cow<'_, str>, Cow<'_, str>)> {
    let pairs = attributes.iter();
    let pairs = pairs.map(|pair| (Cow::Borrowed(&*pair.name), Cow::Borrowed(&*pair.value)));
    pairs.collect()
}

pub(super) fn attributes(pairs: Vec<(Cow<'_, str>, Cow<'_, str>)>) -> Vec<Attribute> {
    let attributes = pairs.into_iter();
    let attributes = attributes.map(|(name, value)| Attribute::new(name, value));
    attributes.collect()
}

//! Records as JSON: the lines of an export, and what goes over HTTP.
//!
//! What `serve` writes a client reads, and the other way round: both by these types, so that they cannot differ.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};

use crate::record::{
    Attribute, Draft, Key, Precondition, Put, Remove, Revision, Stamp, Stored, Timestamp, Write,
};

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

/// What is to be kept under a key.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "serve", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct Content<'a> {
    /// The body, as text. One of `body` and `body_base64` is there.
    #[cfg_attr(feature = "serve", schema(value_type = Option<String>))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) body: Option<Cow<'a, str>>,
    /// The body in base64 (RFC 4648, padded).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) body_base64: Option<String>,
    /// Pairs of name and value: what the record is found by.
    #[cfg_attr(feature = "serve", schema(value_type = Vec<(String, String)>))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) attributes: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    /// From when on the record reads as absent: milliseconds since 1970, UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) expires_at: Option<Timestamp>,
}

impl<'a> Content<'a> {
    #[cfg_attr(not(feature = "client"), allow(dead_code, reason = "the client writes it"))]
    pub(crate) fn of(draft: &'a Draft) -> Self {
        let (body, body_base64) = body_fields(&draft.body);
        Self {
            body,
            body_base64,
            attributes: pairs(&draft.attributes),
            expires_at: draft.expires_at,
        }
    }

    pub(crate) fn into_draft(self, key: Key) -> Result<Draft, String> {
        Ok(Draft {
            key,
            body: body_bytes(self.body, self.body_base64)?,
            attributes: attributes(self.attributes),
            expires_at: self.expires_at,
        })
    }
}

/// Writes that are made all or none, in order.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "serve", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct Batch<'a> {
    #[cfg_attr(feature = "serve", schema(value_type = Vec<WriteLine>))]
    pub(crate) writes: Vec<WriteLine<'a>>,
}

/// One write of a batch.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "serve", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum WriteLine<'a> {
    /// Writes a record.
    Put {
        #[cfg_attr(feature = "serve", schema(value_type = String))]
        collection: Cow<'a, str>,
        #[cfg_attr(feature = "serve", schema(value_type = String))]
        id: Cow<'a, str>,
        #[cfg_attr(feature = "serve", schema(value_type = Content))]
        content: Content<'a>,
        expect: Expect,
    },
    /// Removes a record.
    Remove {
        #[cfg_attr(feature = "serve", schema(value_type = String))]
        collection: Cow<'a, str>,
        #[cfg_attr(feature = "serve", schema(value_type = String))]
        id: Cow<'a, str>,
        expect: Expect,
    },
}

/// What a write wants to be there.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[cfg_attr(feature = "serve", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Expect {
    /// Whatever is there.
    None,
    /// No record.
    Absent,
    /// A record.
    Present,
    /// A record whose `mod_revision` is this.
    UnchangedSince(Revision),
}

impl From<Precondition> for Expect {
    fn from(precondition: Precondition) -> Self {
        match precondition {
            Precondition::None => Self::None,
            Precondition::Absent => Self::Absent,
            Precondition::Present => Self::Present,
            Precondition::UnchangedSince(revision) => Self::UnchangedSince(revision),
        }
    }
}

impl From<Expect> for Precondition {
    fn from(expect: Expect) -> Self {
        match expect {
            Expect::None => Self::None,
            Expect::Absent => Self::Absent,
            Expect::Present => Self::Present,
            Expect::UnchangedSince(revision) => Self::UnchangedSince(revision),
        }
    }
}

impl<'a> WriteLine<'a> {
    #[cfg_attr(not(feature = "client"), allow(dead_code, reason = "the client writes it"))]
    pub(crate) fn of(write: &'a Write) -> Self {
        let Key { collection, id } = write.key();
        let (collection, id) = (Cow::Borrowed(&**collection), Cow::Borrowed(&**id));
        match write {
            Write::Put(Put { draft, expect }) => Self::Put {
                collection,
                id,
                content: Content::of(draft),
                expect: (*expect).into(),
            },
            Write::Remove(Remove { expect, .. }) => Self::Remove {
                collection,
                id,
                expect: (*expect).into(),
            },
        }
    }

    pub(crate) fn into_write(self) -> Result<Write, String> {
        Ok(match self {
            Self::Put {
                collection,
                id,
                content,
                expect,
            } => Write::Put(Put {
                draft: content.into_draft(Key::new(collection, id))?,
                expect: expect.into(),
            }),
            Self::Remove {
                collection,
                id,
                expect,
            } => Write::Remove(Remove {
                key: Key::new(collection, id),
                expect: expect.into(),
            }),
        })
    }
}

/// A body as text, or else in base64.
fn body_fields(body: &[u8]) -> (Option<Cow<'_, str>>, Option<String>) {
    match std::str::from_utf8(body) {
        Ok(text) => (Some(Cow::Borrowed(text)), None),
        Err(_) => (None, Some(BASE64.encode(body))),
    }
}

fn body_bytes(body: Option<Cow<'_, str>>, base64: Option<String>) -> Result<Vec<u8>, String> {
    match (body, base64) {
        (Some(text), None) => Ok(text.into_owned().into_bytes()),
        (None, Some(text)) => BASE64
            .decode(text)
            .map_err(|error| format!("body_base64 is no base64: {error}")),
        (None, None) => Err("expected one of body and body_base64, found none".to_owned()),
        (Some(_), Some(_)) => Err("expected one of body and body_base64, found both".to_owned()),
    }
}

fn pairs(attributes: &[Attribute]) -> Vec<(Cow<'_, str>, Cow<'_, str>)> {
    let pairs = attributes.iter();
    let pairs = pairs.map(|pair| (Cow::Borrowed(&*pair.name), Cow::Borrowed(&*pair.value)));
    pairs.collect()
}

fn attributes(pairs: Vec<(Cow<'_, str>, Cow<'_, str>)>) -> Vec<Attribute> {
    let attributes = pairs.into_iter();
    let attributes = attributes.map(|(name, value)| Attribute::new(name, value));
    attributes.collect()
}

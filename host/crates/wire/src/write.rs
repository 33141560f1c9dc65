//! Writes as JSON.

use std::borrow::Cow;

use mortise_store::inside::json::{attributes, body_bytes, pairs, short_body_fields};
use mortise_store::{Draft, Key, Precondition, Put, Remove, Revision, Timestamp, Write};
use serde::{Deserialize, Serialize};

/// What is to be kept under a key.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Content<'a> {
    /// The body, as text. One of `body` and `body_base64` is there.
    #[cfg_attr(feature = "schema", schema(value_type = Option<String>))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Cow<'a, str>>,
    /// The body in base64 (RFC 4648, padded).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_base64: Option<String>,
    /// Pairs of name and value: what the record is found by.
    #[cfg_attr(feature = "schema", schema(value_type = Vec<(String, String)>))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attributes: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    /// From when on the record reads as absent: milliseconds since 1970, UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

impl<'a> Content<'a> {
    pub fn of(draft: &'a Draft) -> Self {
        let (body, body_base64) = short_body_fields(&draft.body);
        Self {
            body,
            body_base64,
            attributes: pairs(&draft.attributes),
            expires_at: draft.expires_at,
        }
    }
    pub fn into_draft(self, key: Key) -> Result<Draft, String> {
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
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Batch<'a> {
    #[cfg_attr(feature = "schema", schema(value_type = Vec<WriteLine>))]
    pub writes: Vec<WriteLine<'a>>,
}

/// One write of a batch.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum WriteLine<'a> {
    /// Writes a record.
    Put {
        #[cfg_attr(feature = "schema", schema(value_type = String))]
        collection: Cow<'a, str>,
        #[cfg_attr(feature = "schema", schema(value_type = String))]
        id: Cow<'a, str>,
        #[cfg_attr(feature = "schema", schema(value_type = Content))]
        content: Content<'a>,
        expect: Expect,
    },
    /// Removes a record.
    Remove {
        #[cfg_attr(feature = "schema", schema(value_type = String))]
        collection: Cow<'a, str>,
        #[cfg_attr(feature = "schema", schema(value_type = String))]
        id: Cow<'a, str>,
        expect: Expect,
    },
}

/// What a write wants to be there.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Expect {
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
    pub fn of(write: &'a Write) -> Self {
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
    pub fn into_write(self) -> Result<Write, String> {
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

//! Revisions in headers: `ETag`, `If-Match`, `If-None-Match`.

use axum::Json;
use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use mortise_store::{Precondition, Revision};
use serde::Serialize;

use super::problem::Refused;

/// A revision as an entity tag.
pub(super) fn etag(revision: Revision) -> HeaderValue {
    HeaderValue::try_from(format!("\"{revision}\"")).expect("digits in quotes are a header's value")
}

/// What was read, with its tag; where its reader has it already, that alone.
pub(super) fn read(revision: Revision, known: &Known, found: impl Serialize) -> Response {
    let tag = [(header::ETAG, etag(revision))];
    if known.has(revision) {
        return (StatusCode::NOT_MODIFIED, tag).into_response();
    }
    (tag, Json(found)).into_response()
}

/// What was written, with its tag.
pub(super) fn written(status: StatusCode, revision: Revision, told: impl Serialize) -> Response {
    let tag = [(header::ETAG, etag(revision))];
    (status, tag, Json(told)).into_response()
}

/// What a write wants to be there. One that replaces or removes and does not say is refused (428, RFC 6585), so that
/// nobody writes over what others wrote without having meant to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expected {
    /// `If-None-Match: *`: no record.
    Absent,
    /// `If-Match: *`: some record.
    Present,
    /// `If-Match: "7"`: a record that was changed last by this revision.
    Revision(Revision),
}

impl Expected {
    /// Of a write that replaces or removes: what the store is told to expect.
    pub(super) fn revision(self) -> Result<Option<Revision>, Refused> {
        match self {
            Self::Present => Ok(None),
            Self::Revision(revision) => Ok(Some(revision)),
            Self::Absent => Err(Refused::invalid(
                "If-None-Match is for a write that creates, expected If-Match",
            )),
        }
    }

    fn read(headers: &HeaderMap) -> Result<Option<Self>, Refused> {
        let if_match = single(headers, header::IF_MATCH)?;
        let if_none_match = single(headers, header::IF_NONE_MATCH)?;
        match (if_match, if_none_match) {
            (None, None) => Ok(None),
            (Some("*"), None) => Ok(Some(Self::Present)),
            (Some(tag), None) => match revision(tag) {
                Some(revision) => Ok(Some(Self::Revision(revision))),
                None => Err(Refused::invalid(format!(
                    "If-Match is {tag:?}, expected an ETag that was answered before, such as \"7\" in quotes, or *"
                ))),
            },
            (None, Some("*")) => Ok(Some(Self::Absent)),
            (None, Some(tag)) => Err(Refused::invalid(format!(
                "If-None-Match of a write is {tag:?}, expected *"
            ))),
            (Some(_), Some(_)) => Err(Refused::invalid(
                "expected one of If-Match and If-None-Match, found both",
            )),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Expected {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refused> {
        Self::read(&parts.headers)?.ok_or_else(|| {
            let status = StatusCode::PRECONDITION_REQUIRED;
            let detail = "the write does not say what it expects to be there";
            Refused::new("precondition-required", status, detail).with_hint(
                "add If-None-Match: * to create, If-Match: with the ETag that you read to replace or remove what you \
                 read, or If-Match: * to do so whatever is there",
            )
        })
    }
}

/// Of a write that may leave it open.
impl<S: Sync> OptionalFromRequestParts<S> for Expected {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Refused> {
        Self::read(&parts.headers)
    }
}

impl From<Expected> for Precondition {
    fn from(expected: Expected) -> Self {
        match expected {
            Expected::Absent => Self::Absent,
            Expected::Present => Self::Present,
            Expected::Revision(revision) => Self::UnchangedSince(revision),
        }
    }
}

/// What a reader has already, by `If-None-Match`.
#[derive(Debug)]
pub(super) struct Known(Vec<String>);

impl Known {
    /// Whether the reader has this revision.
    pub(super) fn has(&self, revision: Revision) -> bool {
        let same = |tag: &String| tag == "*" || self::revision(tag) == Some(revision);
        self.0.iter().any(same)
    }
}

impl<S: Sync> FromRequestParts<S> for Known {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let values = parts.headers.get_all(header::IF_NONE_MATCH).iter();
        let tags = values.filter_map(|value| value.to_str().ok());
        let tags = tags.flat_map(|value| value.split(','));
        // Weak comparison, as RFC 9110 wants it here.
        let tags = tags.map(|tag| tag.trim().trim_start_matches("W/").to_owned());
        Ok(Self(tags.collect()))
    }
}

fn single(headers: &HeaderMap, name: HeaderName) -> Result<Option<&str>, Refused> {
    let mut values = headers.get_all(&name).iter();
    let value = match (values.next(), values.next()) {
        (None, _) => return Ok(None),
        (Some(value), None) => value,
        (Some(_), Some(_)) => {
            return Err(Refused::invalid(format!("{name} is there twice")));
        }
    };
    let text = value.to_str();
    let text = text.map_err(|_| Refused::invalid(format!("{name} is no text")))?;
    Ok(Some(text.trim()))
}

/// The revision that a tag is of.
fn revision(tag: &str) -> Option<Revision> {
    let digits = tag.strip_prefix('"')?.strip_suffix('"')?;
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| digits.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(HeaderName, &str)]) -> Result<Option<Expected>, Refused> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(name, HeaderValue::from_str(value).unwrap());
        }
        Expected::read(&headers)
    }

    #[test]
    fn what_a_write_expects_is_read_from_its_headers() {
        use header::{IF_MATCH, IF_NONE_MATCH};
        let expected = |pairs| read(pairs).unwrap();
        assert_eq!(expected(&[]), None);
        assert_eq!(expected(&[(IF_MATCH, "*")]), Some(Expected::Present));
        assert_eq!(
            expected(&[(IF_MATCH, "\"7\"")]),
            Some(Expected::Revision(7))
        );
        assert_eq!(expected(&[(IF_NONE_MATCH, "*")]), Some(Expected::Absent));
        for wrong in [
            &[(IF_MATCH, "7")][..],
            &[(IF_MATCH, "\"\"")],
            &[(IF_MATCH, "\"+7\"")],
            &[(IF_MATCH, "W/\"7\"")],
            &[(IF_MATCH, "\"7\", \"8\"")],
            &[(IF_MATCH, "\"99999999999999999999\"")],
            &[(IF_NONE_MATCH, "\"7\"")],
            &[(IF_MATCH, "*"), (IF_NONE_MATCH, "*")],
            &[(IF_MATCH, "\"7\""), (IF_MATCH, "\"8\"")],
        ] {
            assert!(read(wrong).is_err(), "{wrong:?}");
        }
    }
}

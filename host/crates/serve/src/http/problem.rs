//! Errors, as HTTP tells them.

use axum::Json;
use axum::extract::rejection::{BytesRejection, PathRejection, RawPathParamsRejection};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use mortise_store::{Error, ErrorKind};
use mortise_wire::Problem;

use super::expect::etag;
use crate::access::{AccessError, Sight};

/// After how many seconds a request that found the store busy may be made again.
const RETRY_AFTER: &str = "1";

/// Why a request failed: the answer to it.
#[derive(Debug)]
pub(crate) struct Refused {
    problem: Box<Problem>,
    /// `WWW-Authenticate`, where it is about a token.
    challenge: Option<HeaderValue>,
}

pub(super) type Answer<T> = std::result::Result<T, Refused>;

impl Refused {
    pub(crate) fn new(kind: &str, status: StatusCode, detail: impl Into<String>) -> Self {
        Problem::new(kind, status.as_u16(), detail).into()
    }

    /// The request breaks a rule.
    pub(super) fn invalid(detail: impl Into<String>) -> Self {
        let kind = ErrorKind::Invalid;
        Self::new(kind.as_str(), status(kind), detail)
    }

    /// There is none of this name.
    pub(super) fn not_found(detail: impl Into<String>) -> Self {
        let kind = ErrorKind::NotFound;
        Self::new(kind.as_str(), status(kind), detail)
    }

    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.problem.about.hint = Some(hint.into());
        self
    }
}

/// What HTTP calls each kind.
fn status(kind: ErrorKind) -> StatusCode {
    match kind {
        ErrorKind::AlreadyExists | ErrorKind::InvalidTransition => StatusCode::CONFLICT,
        ErrorKind::NotFound => StatusCode::NOT_FOUND,
        ErrorKind::Conflict => StatusCode::PRECONDITION_FAILED,
        ErrorKind::Invalid => StatusCode::BAD_REQUEST,
        ErrorKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorKind::Unsupported => StatusCode::NOT_IMPLEMENTED,
        ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::Ambiguous => StatusCode::BAD_GATEWAY,
        ErrorKind::Deadline => StatusCode::GATEWAY_TIMEOUT,
        ErrorKind::Internal
        | ErrorKind::Trap
        | ErrorKind::StateLost
        | ErrorKind::Corrupt
        | ErrorKind::NotGranted
        | ErrorKind::Component
        | ErrorKind::Config
        | ErrorKind::Io => StatusCode::INTERNAL_SERVER_ERROR,
        // A kind that is new: the test below asks what it is called.
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// Without the record that it may be about, which not everybody may see who may write it.
impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        let status = status(error.kind()).as_u16();
        Problem::of(&error, status).into()
    }
}

impl Sight {
    /// Why a write failed, with the record as it is now, where its sender may see that.
    pub(super) fn refused(self, error: Error) -> Refused {
        let current = self.current(&error);
        let mut refused = Refused::from(error);
        refused.problem.about.current = current;
        refused
    }
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Self {
            problem: Box::new(problem),
            challenge: None,
        }
    }
}

impl From<AccessError> for Refused {
    fn from(error: AccessError) -> Self {
        let status = error.status();
        let kind = match status {
            StatusCode::UNAUTHORIZED => "unauthorized",
            _ => "forbidden",
        };
        let mut refused = Self::new(kind, status, error.to_string());
        refused.challenge = Some(error.challenge());
        refused
    }
}

impl From<PathRejection> for Refused {
    fn from(rejection: PathRejection) -> Self {
        Self::invalid(format!("the path: {}", rejection.body_text()))
    }
}

impl From<RawPathParamsRejection> for Refused {
    fn from(rejection: RawPathParamsRejection) -> Self {
        Self::invalid(format!("the path: {}", rejection.body_text()))
    }
}

impl From<BytesRejection> for Refused {
    fn from(rejection: BytesRejection) -> Self {
        match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => too_large(),
            _ => Self::invalid(format!("the body: {}", rejection.body_text())),
        }
    }
}

/// The body is larger than the server takes.
pub(super) fn too_large() -> Refused {
    let kind = ErrorKind::TooLarge;
    let detail = "the body has more bytes than the server takes";
    Refused::new(kind.as_str(), status(kind), detail)
        .with_hint("send less at once, or import it as a stream")
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let Self { problem, challenge } = self;
        let status =
            StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let current = problem
            .about
            .current
            .as_ref()
            .map(|record| record.mod_revision);
        let mut response = (status, Json(problem)).into_response();
        let headers = response.headers_mut();
        let json = HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, json);
        if let Some(revision) = current {
            headers.insert(header::ETAG, etag(revision));
        }
        if let Some(challenge) = challenge {
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_status() {
        for kind in ErrorKind::ALL {
            let expected = match kind.as_str() {
                "invalid" => 400,
                "not-found" => 404,
                "already-exists" | "invalid-transition" => 409,
                "conflict" => 412,
                "too-large" => 413,
                "internal" | "trap" | "state-lost" | "corrupt" | "not-granted" | "component"
                | "config" | "io" => 500,
                "unsupported" => 501,
                "ambiguous" => 502,
                "unavailable" => 503,
                "deadline" => 504,
                other => panic!("HTTP has no status for {other} yet"),
            };
            assert_eq!(status(kind).as_u16(), expected, "{kind:?}");
        }
    }
}

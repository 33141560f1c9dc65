//! Answers that are no success: a server's problems, and what is no answer of a server of ours.

use std::time::Duration;

use mortise_store::inside::ErrorInside as _;
use mortise_store::{Error, ErrorKind, Key, Operation};
use mortise_wire::Problem;
use reqwest::header::{self, HeaderName};
use reqwest::{Response, StatusCode};

use crate::retry::Fate;

/// How many bytes of an answer that is not understood an error quotes.
const QUOTED_BYTES: usize = 400;

/// What of the head of an answer tells what it is.
pub(crate) struct Head {
    pub(crate) status: StatusCode,
    /// Without parameters, in lower case.
    pub(crate) media_type: String,
    /// How long the server asks to be left alone.
    retry_after: Option<Duration>,
    /// Where a redirect leads to.
    location: Option<String>,
}

impl Head {
    pub(crate) fn of(response: &Response) -> Self {
        let text = |name: HeaderName| response.headers().get(name)?.to_str().ok();
        let media_type = text(header::CONTENT_TYPE).unwrap_or_default();
        let essence = media_type.split(';').next().unwrap_or_default();
        // Only the form in seconds is read: a server of ours writes no other.
        let seconds = text(header::RETRY_AFTER).and_then(|seconds| seconds.trim().parse().ok());
        Self {
            status: response.status(),
            media_type: essence.trim().to_ascii_lowercase(),
            retry_after: seconds.map(Duration::from_secs),
            location: text(header::LOCATION).map(str::to_owned),
        }
    }
}

/// Why an attempt failed, and what is known of what it asked for.
pub(crate) struct Failure {
    pub(crate) fate: Fate,
    /// As it is told where nothing can have happened.
    pub(crate) error: Error,
}

/// What another host's error was caused by.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Cause(String);

/// What a problem says, as the error that a store that is opened here would have answered; none where it is no problem
/// of a server of ours.
pub(crate) fn refusal(operation: Operation, head: &Head, problem: Problem) -> Option<Failure> {
    let name = problem.name()?;
    let (kind, fate) = match ErrorKind::named(name) {
        Some(kind @ ErrorKind::Unavailable) => (kind, Fate::Refused(head.retry_after)),
        Some(kind) => (kind, Fate::Settled),
        None => about_the_request(name, head)?,
    };
    let about = problem.about;
    let mut error = match (kind, about.current) {
        (ErrorKind::Conflict, Some(current)) => {
            Error::conflict(operation, current.into_stored().ok()?)
        }
        _ => Error::new(kind, operation, problem.message.unwrap_or(problem.detail)),
    };
    error = error.with_backend_message(about.backend_message);
    if let Some((collection, id)) = about.key {
        error = error.with_key(Key::new(collection, id));
    }
    if let Some(backend) = &about.backend {
        error = error.with_backend(backend);
    }
    if let Some(hint) = about.hint {
        error = error.with_hint(hint);
    }
    if let Some(cause) = problem.cause {
        error = error.with_source(Cause(cause));
    }
    // A write that is a batch of one over HTTP is no batch to who made it.
    if let Some(index) = problem.write_index
        && matches!(operation, Operation::Apply | Operation::Import)
    {
        error = error.with_write_index(index);
    }
    Some(Failure { fate, error })
}

/// What a server's own problems come to, which are about the request and not about a record.
fn about_the_request(name: &str, head: &Head) -> Option<(ErrorKind, Fate)> {
    Some(match name {
        "rate-limited" | "too-busy" | "restarting" => {
            (ErrorKind::Unavailable, Fate::Refused(head.retry_after))
        }
        // It may have begun.
        "request-timeout" => (ErrorKind::Deadline, Fate::Lost),
        "unauthorized" | "forbidden" | "no-such-store" | "misdirected" => {
            (ErrorKind::Config, Fate::Settled)
        }
        "no-such-path" | "method-not-allowed" => (ErrorKind::Unsupported, Fate::Settled),
        // A problem that came later than this program: a refusal is one all the same.
        _ if head.status.is_client_error() => (ErrorKind::Internal, Fate::Settled),
        _ => return None,
    })
}

/// An answer that is none of a server of ours: a proxy's page, JSON of another shape.
///
/// `reason` says what is wrong with it, where more is known.
pub(crate) fn foreign(
    operation: Operation,
    head: &Head,
    body: &[u8],
    reason: Option<&str>,
) -> Failure {
    let cut = &body[..body.len().min(QUOTED_BYTES)];
    let more = if cut.len() < body.len() { "…" } else { "" };
    let media_type = match head.media_type.as_str() {
        "" => "no media type",
        named => named,
    };
    let reason = reason.map_or_else(String::new, |reason| format!("{reason}, "));
    let what = format!(
        "what was answered is not understood: {reason}status {}, {}, \"{}{more}\"",
        head.status.as_u16(),
        media_type.escape_debug(),
        String::from_utf8_lossy(cut).escape_debug(),
    );
    let (fate, kind) = match head.status {
        // Whoever says so did not pass it on.
        StatusCode::TOO_MANY_REQUESTS => (Fate::Refused(head.retry_after), ErrorKind::Unavailable),
        // Who stands between and got no answer says so.
        StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => {
            (Fate::Lost, ErrorKind::Unavailable)
        }
        _ => (Fate::Foreign, ErrorKind::Internal),
    };
    let hint = match &head.location {
        Some(location) => format!("redirects are not followed; this one leads to {location:?}"),
        None => "is this the URL of `mortise serve`, and of the same version?".to_owned(),
    };
    Failure {
        fate,
        error: Error::new(kind, operation, what).with_hint(hint),
    }
}

#[cfg(test)]
mod tests {
    use mortise_store::{Draft, Stamp, Stored};
    use mortise_wire::Record;

    use super::*;

    fn problem(kind: &str) -> Problem {
        let text = format!(
            r#"{{"type":"urn:mortise:problem:{kind}","title":"","status":0,"detail":"create: it failed: why","message":"it failed",
            "cause":"why","hint":"mend it","backend":"sqlite","key":["a","b"],"backend_message":"no","write_index":3}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    fn head(status: StatusCode, media_type: &str) -> Head {
        Head {
            status,
            media_type: media_type.to_owned(),
            retry_after: Some(Duration::from_secs(3)),
            location: None,
        }
    }

    fn told(operation: Operation, problem: Problem) -> Failure {
        let head = head(StatusCode::BAD_REQUEST, "application/problem+json");
        refusal(operation, &head, problem).unwrap()
    }

    #[test]
    fn a_problem_reads_like_the_error_that_it_was() {
        let failure = told(Operation::Apply, problem("invalid"));
        assert_eq!(failure.fate, Fate::Settled);
        let error = failure.error;
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert_eq!(
            error.with_causes(),
            "apply, write 3 a/b (backend sqlite): it failed: no: why"
        );
        assert_eq!(error.hint(), Some("mend it"));
        assert_eq!(error.backend_message(), Some("no"));
        let single = told(Operation::Create, problem("invalid")).error;
        assert_eq!(single.write_index(), None);
    }

    #[test]
    fn every_kind_comes_back_as_itself() {
        for kind in ErrorKind::ALL {
            let failure = told(Operation::Load, problem(kind.as_str()));
            assert_eq!(failure.error.kind(), kind);
            let refused = matches!(failure.fate, Fate::Refused(_));
            assert_eq!(refused, kind == ErrorKind::Unavailable, "{kind:?}");
        }
    }

    #[test]
    fn a_conflict_brings_the_record_as_it_is_now() {
        let stored = Stored {
            draft: Draft::new(Key::new("a", "b"), *b"\xff").attribute("c", "d"),
            stamp: Stamp {
                create_revision: 1,
                mod_revision: 7,
                created_at: 2,
                updated_at: 3,
            },
        };
        let record = serde_json::to_string(&Record::of(&stored)).unwrap();
        let mut conflict = problem("conflict");
        conflict.about.current = Some(serde_json::from_str(&record).unwrap());
        let error = told(Operation::Update, conflict).error;
        assert_eq!(error.current(), Some(&stored));
        let here = Error::conflict(Operation::Update, stored);
        assert_eq!(error.hint(), here.hint());
    }

    #[test]
    fn problems_of_the_server_itself_say_whether_it_did_something() {
        let wait = Some(Duration::from_secs(3));
        for (name, kind, fate) in [
            ("restarting", ErrorKind::Unavailable, Fate::Refused(wait)),
            ("rate-limited", ErrorKind::Unavailable, Fate::Refused(wait)),
            ("request-timeout", ErrorKind::Deadline, Fate::Lost),
            ("unauthorized", ErrorKind::Config, Fate::Settled),
            ("no-such-store", ErrorKind::Config, Fate::Settled),
            ("no-such-path", ErrorKind::Unsupported, Fate::Settled),
            ("later", ErrorKind::Internal, Fate::Settled),
        ] {
            let failure = told(Operation::Load, problem(name));
            assert_eq!((failure.error.kind(), failure.fate), (kind, fate), "{name}");
        }
        let broken = head(
            StatusCode::INTERNAL_SERVER_ERROR,
            "application/problem+json",
        );
        assert!(refusal(Operation::Load, &broken, problem("later")).is_none());
        let mut other = problem("invalid");
        other.kind = "https://acme.example/problems/invalid".to_owned();
        assert!(refusal(Operation::Load, &broken, other).is_none());
    }

    #[test]
    fn what_is_not_understood_is_quoted_but_not_all_of_it() {
        let page = format!("<html>\n{}", "ä".repeat(1_000));
        let understood =
            |status, body: &[u8]| foreign(Operation::Load, &head(status, "text/html"), body, None);
        let failure = understood(StatusCode::OK, page.as_bytes());
        assert_eq!(failure.fate, Fate::Foreign);
        let text = failure.error.to_string();
        assert!(
            text.contains("status 200, text/html, \"<html>\\n"),
            "{text}"
        );
        assert!(text.contains('…') && text.len() < 600, "{text}");
        assert_eq!(understood(StatusCode::BAD_GATEWAY, b"").fate, Fate::Lost);
        let refused = understood(StatusCode::TOO_MANY_REQUESTS, b"").fate;
        assert_eq!(refused, Fate::Refused(Some(Duration::from_secs(3))));
    }
}

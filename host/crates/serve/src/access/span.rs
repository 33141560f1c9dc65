//! What a request's log lines are within.

use tracing::Span;

/// What a request's log lines are within: for who goes on with it in another task.
#[derive(Debug, Clone)]
pub(crate) struct RequestSpan(pub(crate) Span);

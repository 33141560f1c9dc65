//! Lists, page by page.

use axum::Json;
use axum::extract::OriginalUri;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use mortise_store::Attribute;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

use super::problem::Refused;

/// How many records a page has, where the request does not say.
const DEFAULT_LIMIT: u32 = 100;

/// Which page of a list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Paging {
    /// `next` of the page before.
    #[serde(default)]
    pub(super) after: Option<String>,
    /// 1 to 1,000; default 100.
    #[param(minimum = 1, maximum = 1000)]
    #[serde(default = "default_limit")]
    pub(super) limit: u32,
}

/// For a query that has more than its page.
pub(super) fn default_limit() -> u32 {
    DEFAULT_LIMIT
}

/// `Link: <…>; rel="next"` (RFC 8288): the same request for the page after.
fn link(uri: &OriginalUri, next: Option<&str>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let Some(next) = next else { return headers };
    let pairs = uri.query().unwrap_or_default().split('&');
    let mut query: Vec<_> = pairs
        .filter(|pair| !pair.is_empty() && pair.split('=').next() != Some("after"))
        .map(str::to_owned)
        .collect();
    query.push(format!(
        "after={}",
        utf8_percent_encode(next, NON_ALPHANUMERIC)
    ));
    let link = format!("<{}?{}>; rel=\"next\"", uri.path(), query.join("&"));
    // What a request brought in its URL fits into a header, and the rest is escaped.
    if let Ok(link) = HeaderValue::try_from(link) {
        headers.insert(header::LINK, link);
    }
    headers
}

/// A page, with a link to the one after.
pub(super) fn page(uri: &OriginalUri, next: Option<&str>, page: impl Serialize) -> Response {
    (link(uri, next), Json(page)).into_response()
}

/// How many a page of tasks or entities may have.
pub(super) fn some(limit: u32) -> Result<u32, Refused> {
    match limit {
        0 => Err(Refused::invalid("limit is 0, expected 1 to 1,000")),
        limit => Ok(limit),
    }
}

/// `NAME:VALUE`, as the query names attributes.
pub(super) fn attributes(pairs: &[String]) -> Result<Vec<Attribute>, Refused> {
    let read = |pair: &String| match pair.split_once(':') {
        Some((name, value)) => Ok(Attribute::new(name, value)),
        None => Err(Refused::invalid(format!(
            "attribute is {pair:?}, expected NAME:VALUE"
        ))),
    };
    pairs.iter().map(read).collect()
}

//! What a tool works with: the stores, and who calls.

use std::sync::Arc;

use axum::http::request::Parts;
use mortise_store::Store;
use rmcp::RoleServer;
use rmcp::service::RequestContext;
use schemars::JsonSchema;
use serde::Deserialize;
use tracing::Span;

use super::problem::Problem;
use super::restarts::Restarts;
use crate::access::{Access, AccessError, RequestSpan, Served, Sight};

/// How many tasks, entities or transitions a page has, where a call does not say.
const DEFAULT_PAGE: u32 = 20;
/// The most that a page has: what a model is to read.
const MAX_PAGE: u32 = 100;

/// One call of a tool.
pub(super) struct Call {
    pub(super) served: Arc<Served>,
    pub(super) restarts: Option<Arc<dyn Restarts>>,
    pub(super) context: RequestContext<RoleServer>,
}

/// The store, by its name as list_stores tells it; default: the one that list_stores calls the default
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub(super) struct StoreName(Option<String>);

/// How many to answer: 1 to 100, default 20
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub(super) struct PageLimit(#[schemars(range(min = 1, max = 100))] Option<u32>);

impl Call {
    /// The store that a call names, if the caller may read it.
    pub(super) fn reading(&self, name: &StoreName) -> Result<Store, Problem> {
        let found = access(&self.context).to_read(self.found(name));
        let store = found.map_err(refused)?;
        store.cloned().ok_or_else(|| no_such_store(name))
    }

    /// The store that a call names, if the caller may write it, and what the caller sees of it.
    pub(super) fn writing(&self, name: &StoreName) -> Result<(Store, Sight), Problem> {
        let access = access(&self.context);
        let store = access.to_write(self.found(name)).map_err(refused)?;
        let store = store.ok_or_else(|| no_such_store(name))?;
        Ok((store.clone(), access.sight(store)))
    }

    fn found(&self, name: &StoreName) -> Option<&Store> {
        match &name.0 {
            None => Some(self.served.default_store()),
            Some(name) => self.served.get(name),
        }
    }

    /// Who calls, as the client calls itself.
    pub(super) fn client(&self) -> String {
        let client = self.context.client_info();
        client.map_or_else(|| "mcp".to_owned(), |client| client.name)
    }
}

impl PageLimit {
    pub(super) fn get(&self) -> Result<u32, Problem> {
        match self.0.unwrap_or(DEFAULT_PAGE) {
            limit @ 1..=MAX_PAGE => Ok(limit),
            other => Err(Problem::new(
                "invalid",
                format!("the limit is {other}, expected 1 to {MAX_PAGE}"),
            )),
        }
    }
}

/// What the sender of a call may do.
///
/// A server finds it out before a request comes here, and puts it into the request's extensions. Over stdio, whoever
/// started the process may do everything that it can; and who has the service among paths of its own decides for itself
/// whom it lets in.
pub(super) fn access(context: &RequestContext<RoleServer>) -> Access {
    let request = context.extensions.get::<Parts>();
    let access = request.and_then(|request| request.extensions.get::<Access>());
    access.cloned().unwrap_or(Access::Everything)
}

/// What the lines of a call are within in the log: the session's task serves it, not the request's.
pub(super) fn span(context: &RequestContext<RoleServer>) -> Span {
    let request = context.extensions.get::<Parts>();
    let span = request.and_then(|request| request.extensions.get::<RequestSpan>());
    span.map_or_else(Span::none, |RequestSpan(span)| span.clone())
}

/// Refuses who may not restart the server.
pub(super) fn allowed_to_restart(context: &RequestContext<RoleServer>) -> Result<(), Problem> {
    access(context).to_operate().map_err(refused)
}

fn no_such_store(name: &StoreName) -> Problem {
    let name = name.0.as_deref().unwrap_or_default();
    Problem::new("no-such-store", format!("there is no store {name:?}"))
        .with_hint("list_stores tells their names")
}

fn refused(error: AccessError) -> Problem {
    Problem::new("forbidden", error.to_string())
}

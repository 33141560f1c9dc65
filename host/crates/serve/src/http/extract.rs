//! What handlers take from a request: the store, the path, the query, the body.

use std::ops::Deref;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, RawPathParams, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use mortise_store::Store;
use serde::de::DeserializeOwned;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::app::App;
use super::problem::{Refused, too_large};
use crate::access::{Access, Sight};

/// The store that the path names, for a request that reads.
pub(super) struct Reading(pub(super) Store);

/// The store that the path names, for a request that writes, and what its sender sees of it.
pub(super) struct Writing(pub(super) Store, pub(super) Sight);

impl FromRequestParts<App> for Reading {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Refused> {
        let name = store_name(parts, app).await?;
        let store = sender(parts).to_read(app.served.get(&name))?;
        store.cloned().map(Self).ok_or_else(|| no_such_store(&name))
    }
}

impl FromRequestParts<App> for Writing {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Refused> {
        let name = store_name(parts, app).await?;
        let access = sender(parts);
        let store = access.to_write(app.served.get(&name))?;
        let store = store.ok_or_else(|| no_such_store(&name))?;
        Ok(Self(store.clone(), access.sight(store)))
    }
}

/// What the sender may do: it was found out before the request came to a handler.
fn sender(parts: &Parts) -> Access {
    let access = parts.extensions.get::<Access>();
    access.cloned().unwrap_or(Access::Nothing)
}

async fn store_name(parts: &mut Parts, app: &App) -> Result<String, Refused> {
    let parameters = RawPathParams::from_request_parts(parts, app).await?;
    let mut parameters = parameters.iter();
    let named = parameters.find(|(parameter, _)| *parameter == "store");
    Ok(named.map_or("", |(_, name)| name).to_owned())
}

fn no_such_store(name: &str) -> Refused {
    let detail = format!("no store named {name:?} is served");
    Refused::new("no-such-store", StatusCode::NOT_FOUND, detail)
        .with_hint("GET /v1/stores lists those that are")
}

/// What the path names.
pub(super) struct InPath<T>(pub(super) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for InPath<T> {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refused> {
        let Path(path) = Path::from_request_parts(parts, state).await?;
        Ok(Self(path))
    }
}

/// What the query asks for.
pub(super) struct InQuery<T>(pub(super) T);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for InQuery<T> {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refused> {
        let query = parts.uri.query().unwrap_or_default();
        let read = serde_html_form::from_str(query);
        let read = read.map_err(|error| Refused::invalid(format!("the query: {error}")))?;
        Ok(Self(read))
    }
}

/// A body of JSON, with its room among the bodies of all requests.
pub(super) struct InBody<T> {
    value: T,
    _room: Room,
}

impl<T> InBody<T> {
    pub(super) fn into_parts(self) -> (T, Room) {
        (self.value, self._room)
    }
}

impl<T> Deref for InBody<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: DeserializeOwned> FromRequest<App> for InBody<T> {
    type Rejection = Refused;

    async fn from_request(request: Request, app: &App) -> Result<Self, Refused> {
        json_type(request.headers())?;
        let _room = app.bodies.room(request.headers()).await?;
        let bytes = Bytes::from_request(request, app).await?;
        let value = serde_json::from_slice(&bytes);
        let value = value.map_err(|error| Refused::invalid(format!("the body: {error}")))?;
        Ok(Self { value, _room })
    }
}

fn json_type(headers: &HeaderMap) -> Result<(), Refused> {
    let named = headers.get(header::CONTENT_TYPE);
    let named = named.map_or("", |value| value.to_str().unwrap_or("?"));
    let essence = named.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
    let detail = format!("the body's Content-Type is {named:?}, expected application/json");
    Err(Refused::new("unsupported-media-type", status, detail))
}

/// How much room there is for the bodies of requests that are under way.
#[derive(Debug)]
pub(super) struct Bodies {
    /// One permit a KiB.
    free: Arc<Semaphore>,
    /// The largest body.
    most: usize,
}

/// Room for one body, until it is dropped.
pub(super) type Room = OwnedSemaphorePermit;

impl Bodies {
    pub(super) fn new(most: usize, all: usize) -> Self {
        // The largest must fit.
        let kib = all.max(most).div_ceil(1024).min(Semaphore::MAX_PERMITS);
        Self {
            free: Arc::new(Semaphore::new(kib)),
            most,
        }
    }

    /// Waits for room for the body that these headers announce: one that does not tell its length may be of any.
    async fn room(&self, headers: &HeaderMap) -> Result<Room, Refused> {
        let told = headers.get(header::CONTENT_LENGTH);
        let told = told.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
        let bytes = told.unwrap_or(self.most);
        if bytes > self.most {
            return Err(too_large());
        }
        let kib = u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.free).acquire_many_owned(kib).await;
        Ok(room.expect("it is never closed"))
    }
}

//! The history of an entity: one record for each transition, beside the entity.
//!
//! A transition is kept under the revision that it left. A revision belongs to one write of one record, so no two
//! transitions of a store ever claim the same place.

use mortise_store::inside::{ErrorInside as _, StoreInside as _};
use mortise_store::{
    Draft, Error, Key, Operation, Query, Result, Revision, Store, Timestamp, Write,
};
use serde::{Deserialize, Serialize};

use crate::decode::decode_page;

/// The attribute with the id of the entity that was led from one state to another.
const ENTITY: &str = "entity";

/// One step of an entity from a state to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Transition {
    /// The entity's id.
    pub entity: String,
    /// The state before.
    pub from: String,
    /// What happened.
    pub event: String,
    /// The state after.
    pub to: String,
    /// Who did it, as the caller says.
    pub by: String,
    /// When, by the host's clock: RFC 3339, in UTC, with milliseconds.
    pub at: String,
}

/// Some of an entity's transitions.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct HistoryPage {
    /// Oldest first.
    pub transitions: Vec<Transition>,
    /// Where the next page starts; none after the last.
    pub next: Option<String>,
}

/// Where the histories of a collection's entities are.
pub(crate) fn collection(of: &str) -> String {
    format!("{of}.history")
}

/// Writes a transition of an entity that was at revision `left`.
pub(crate) fn append(
    of: &str,
    left: Revision,
    transition: &Transition,
    expires_at: Option<Timestamp>,
) -> Result<Write> {
    let key = Key::new(collection(of), left.to_string());
    let body = serde_json::to_vec(transition).map_err(|error| {
        Error::invalid(Operation::Update, "the transition is no JSON").with_source(error)
    })?;
    let mut draft = Draft::new(key, body).attribute(ENTITY, &transition.entity);
    draft.expires_at = expires_at;
    Ok(Write::create(draft))
}

/// One page of an entity's transitions, oldest first.
pub(crate) async fn page(
    store: &Store,
    of: &str,
    id: &str,
    after: Option<String>,
    limit: u32,
) -> Result<HistoryPage> {
    let query = all(of, id).after(after).limit(limit);
    let page = store.find(query).await?;
    let read = decode_page::<Transition>(store, "transition", page.records).await?;
    Ok(HistoryPage {
        transitions: read.into_iter().map(|(_, read)| read.value).collect(),
        next: page.next,
    })
}

/// Removes an entity by these writes, in one batch with the last of its transitions; the older ones, where
/// there are more than fit, in batches before.
pub(crate) async fn remove_with(
    store: &Store,
    of: &str,
    id: &str,
    entity: [Write; 2],
) -> Result<()> {
    let most = store.arguments(Operation::Delete).max_batch;
    let room = u32::try_from(most.saturating_sub(entity.len()).max(1)).unwrap_or(u32::MAX);
    let told = |error: Error| error.with_operation(Operation::Delete);
    loop {
        let query = all(of, id).without_bodies().limit(room);
        let page = store.find(query).await.map_err(told)?;
        let transitions = page.records.iter();
        let mut batch: Vec<_> = transitions
            .map(|stored| Write::remove(stored.key().clone()))
            .collect();
        if page.next.is_none() || batch.is_empty() {
            batch.extend(entity);
            return store.apply(batch).await.map(drop).map_err(told);
        }
        store.apply(batch).await.map_err(told)?;
    }
}

fn all(of: &str, id: &str) -> Query {
    Query::new(collection(of)).with(ENTITY, id)
}

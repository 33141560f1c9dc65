//! Stores, and the answers of their calls.

use mortise_store::inside::json::Record;
use mortise_store::inside::{StoreInside as _, breaker_name, refused_component};
use mortise_store::{
    BreakerState, CollectionStatistics, Instances, Refusal, Revision, Stamp, Store, Timestamp,
};
use serde::{Deserialize, Serialize};

#[cfg(feature = "schema")]
use crate::record::RecordSchema;

/// The stores that are served.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Stores {
    pub stores: Vec<StoreInfo>,
}

/// What a store is, and how it is doing.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct StoreInfo {
    pub name: String,
    pub backend: String,
    pub namespace: String,
    /// The version that the backend says it has.
    pub version: String,
    /// Whether the backend keeps its records in its own memory: there is one instance of it.
    pub singleton: bool,
    /// Whether records outlive the server.
    pub durable: bool,
    /// The largest body that the store takes, in bytes.
    pub max_body_bytes: u64,
    /// The most writes of a batch.
    pub max_batch: u32,
    /// The most bytes of bodies, ids and attributes that one batch has.
    pub max_batch_bytes: u64,
    /// Over how many bytes of bodies, ids and attributes a page does not grow.
    pub max_page_bytes: u64,
    /// Counted from 1, one more with each hot swap.
    pub generation: u64,
    /// The SHA-256 of the component that serves, in hex.
    pub digest: String,
    /// Whether calls are let through to the backend: `closed`, `open` or `probing`.
    pub breaker: String,
    /// Of an open breaker: in how many milliseconds a call is let through as a probe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_probe_ms: Option<u64>,
    /// How many calls of this generation trapped.
    pub traps: u64,
    /// How the last of them did: text from inside the sandbox, escaped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_trap: Option<String>,
    /// Whether a singleton trapped, and its records went with it.
    pub state_lost: bool,
    /// Why the component that was to take over last did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<Refused>,
    /// Why records are kept in the backend `memory` instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback: Option<String>,
}

impl StoreInfo {
    /// A store that is served under a name.
    pub fn of(name: &str, store: &Store) -> Self {
        let (about, status) = (store.describe(), store.status());
        Self {
            name: name.to_owned(),
            backend: store.backend().to_owned(),
            namespace: store.namespace().to_owned(),
            version: about.version,
            singleton: about.instances == Instances::Singleton,
            durable: about.durable,
            max_body_bytes: store.max_body_bytes(),
            max_batch: about.max_batch,
            max_batch_bytes: store.limits().batch_bytes.0,
            max_page_bytes: store.limits().page_bytes.0,
            generation: status.generation,
            digest: status.digest.to_string(),
            breaker: breaker_name(status.breaker).to_owned(),
            next_probe_ms: match status.breaker {
                BreakerState::Open { next_probe } => {
                    Some(u64::try_from(next_probe.as_millis()).unwrap_or(u64::MAX))
                }
                _ => None,
            },
            traps: status.traps,
            last_trap: status.last_trap,
            state_lost: status.state_lost,
            refusal: status.refusal.map(Refused::from),
            fallback: status.fallback,
        }
    }
}

/// A component that was to take over, and did not.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Refused {
    /// The SHA-256 of the component, in hex; missing where its file could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Why, in one line.
    pub reason: String,
    /// Milliseconds since 1970, UTC.
    pub at: Timestamp,
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self {
            sha256: refusal.sha256,
            reason: refusal.reason,
            at: refusal.at,
        }
    }
}

impl From<Refused> for Refusal {
    fn from(refused: Refused) -> Self {
        refused_component(refused.sha256, refused.reason, refused.at)
    }
}

/// Some of the records that match.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Page<'a> {
    #[cfg_attr(feature = "schema", schema(value_type = Vec<RecordSchema>))]
    pub records: Vec<Record<'a>>,
    /// Where the next page starts; missing after the last. An empty page may have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Records that are written with their stamps.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Records<'a> {
    #[cfg_attr(feature = "schema", schema(value_type = Vec<RecordSchema>))]
    pub records: Vec<Record<'a>>,
}

/// The records to be read.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Lookup {
    /// Pairs of collection and id.
    pub keys: Vec<(String, String)>,
}

/// What was looked up, in the order asked; null where there is none.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Found<'a> {
    #[cfg_attr(feature = "schema", schema(value_type = Vec<Option<RecordSchema>>))]
    pub records: Vec<Option<Record<'a>>>,
}

/// The revision of each write of a batch.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Revisions {
    pub revisions: Vec<Revision>,
}

/// How many records went.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Removed {
    pub removed: u64,
}

/// How many records were imported.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Imported {
    pub imported: u64,
}

/// The stamp of a record that was written.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct StampOut {
    /// The write that created it.
    pub create_revision: Revision,
    /// The write that changed it last.
    pub mod_revision: Revision,
    /// Milliseconds since 1970, UTC.
    pub created_at: Timestamp,
    /// Milliseconds since 1970, UTC.
    pub updated_at: Timestamp,
}

impl From<Stamp> for StampOut {
    fn from(stamp: Stamp) -> Self {
        Self {
            create_revision: stamp.create_revision,
            mod_revision: stamp.mod_revision,
            created_at: stamp.created_at,
            updated_at: stamp.updated_at,
        }
    }
}

impl From<StampOut> for Stamp {
    fn from(stamp: StampOut) -> Self {
        Self {
            create_revision: stamp.create_revision,
            mod_revision: stamp.mod_revision,
            created_at: stamp.created_at,
            updated_at: stamp.updated_at,
        }
    }
}

/// What each collection holds.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Statistics {
    pub collections: Vec<Collection>,
}

/// What one collection holds.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Collection {
    pub collection: String,
    pub records: u64,
    pub body_bytes: u64,
}

impl From<CollectionStatistics> for Collection {
    fn from(statistics: CollectionStatistics) -> Self {
        Self {
            collection: statistics.collection,
            records: statistics.records,
            body_bytes: statistics.body_bytes,
        }
    }
}

impl From<Collection> for CollectionStatistics {
    fn from(statistics: Collection) -> Self {
        Self {
            collection: statistics.collection,
            records: statistics.records,
            body_bytes: statistics.body_bytes,
        }
    }
}

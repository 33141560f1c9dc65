//! Stores, and the answers of their calls.

use serde::{Deserialize, Serialize};

use super::record::Record;
#[cfg(feature = "serve")]
use crate::record::Instances;
use crate::record::{CollectionStatistics, Revision, Stamp, Timestamp};
use crate::reload::Refusal;
#[cfg(feature = "serve")]
use crate::status::BreakerState;
#[cfg(feature = "serve")]
use crate::store::Store;

/// The stores that are served.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "serve", derive(utoipa::ToSchema))]
pub(crate) struct Stores {
    pub(crate) stores: Vec<StoreInfo>,
}

/// What a store is, and how it is doing.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "serve", derive(utoipa::ToSchema))]
pub(crate) struct StoreInfo {
    pub(crate) name: String,
    pub(crate) backend: String,
    pub(crate) namespace: String,
    /// The version that the backend says it has.
    pub(crate) version: String,
    /// Whether the backend keeps its records in its own memory: there is one instance of it.
    pub(crate) singleton: bool,
    /// Whether records outlive the server.
    pub(crate) durable: bool,
    /// The largest body that the store takes, in bytes.
    pub(crate) max_body_bytes: u64,
    /// The most writes of a batch.
    pub(crate) max_batch: u32,
    /// The most bytes of bodies, ids and attributes that one batch has.
    pub(crate) max_batch_bytes: u64,
    /// Over how many bytes of bodies, ids and attributes a page does not grow.
    pub(crate) max_page_bytes: u64,
    /// Counted from 1, one more with each hot swap.
    pub(crate) generation: u64,
    /// The SHA-256 of the component that serves, in hex.
    pub(crate) digest: String,
    /// Whether calls are let through to the backend: `closed`, `open` or `probing`.
    pub(crate) breaker: String,
    /// Of an open breaker: in how many milliseconds a call is let through as a probe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) next_probe_ms: Option<u64>,
    /// How many calls of this generation trapped.
    pub(crate) traps: u64,
    /// How the last of them did: text from inside the sandbox, escaped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) last_trap: Option<String>,
    /// Whether a singleton trapped, and its records went with it.
    pub(crate) state_lost: bool,
    /// Why the component that was to take over last did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) refusal: Option<Refused>,
    /// Why records are kept in the backend `memory` instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) fallback: Option<String>,
}

impl StoreInfo {
    /// A store that is served under a name.
    #[cfg(feature = "serve")]
    pub(crate) fn of(name: &str, store: &Store) -> Self {
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
            breaker: match status.breaker {
                BreakerState::Closed => "closed",
                BreakerState::Open { .. } => "open",
                BreakerState::Probing => "probing",
            }
            .to_owned(),
            next_probe_ms: match status.breaker {
                BreakerState::Open { next_probe } => {
                    Some(u64::try_from(next_probe.as_millis()).unwrap_or(u64::MAX))
                }
                BreakerState::Closed | BreakerState::Probing => None,
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
#[cfg_attr(feature = "serve", derive(utoipa::ToSchema))]
pub(crate) struct Refused {
    /// The SHA-256 of the component, in hex; missing where its file could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sha256: Option<String>,
    /// Why, in one line.
    pub(crate) reason: String,
    /// Milliseconds since 1970, UTC.
    pub(crate) at: Timestamp,
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
        Self {
            sha256: refused.sha256,
            reason: refused.reason,
            at: refused.at,
        }
    }
}

/// Some of the records that match.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "serve", derive(utoipa::ToSchema))]
pub(crate) struct Page<'a> {
    #[cfg_attr(feature = "serve", schema(value_type = Vec<Record>))]
    pub(crate) records: Vec<Record<'a>>,
    /// Where the next page starts; missing after the last. An empty page may have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<String>,
}

/// Records that are written with their stamps.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "serve", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct Records<'a> {
    #[cfg_attr(feature = "serve", schema(value_type = Vec<Record>))]
    pub(crate) records: Vec<Record<'a>>,
}

/// The records to be read.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "serve", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct Lookup {
    /// Pairs of collection and id.
    pub(crate) keys: Vec<(String, String)>,
}

/// What was looked up, in the order asked; null where there is none.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "serve", derive(utoipa::ToSchema))]
pub(crate) struct Found<'a> {
    #[cfg_attr(feature = "serve", schema(value_type = Vec<Option<Record>>))]
    pub(crate) records: Vec<Option<Record<'a>>>,
}

/// The revision of each write of a batch.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "serve", derive(utoipa::ToSchema))]
pub(crate) struct Revisions {
    pub(crate) revisions: Vec<Revision>,
}

/// How many records went.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "serve", derive(utoipa::ToSchema))]
pub(crate) struct Removed {
    pub(crate) removed: u64,
}

/// How many records were imported.
#[cfg(feature = "serve")]
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub(crate) struct Imported {
    pub(crate) imported: u64,
}

/// The stamp of a record that was written.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "serve", derive(utoipa::ToSchema))]
pub(crate) struct StampOut {
    /// The write that created it.
    pub(crate) create_revision: Revision,
    /// The write that changed it last.
    pub(crate) mod_revision: Revision,
    /// Milliseconds since 1970, UTC.
    pub(crate) created_at: Timestamp,
    /// Milliseconds since 1970, UTC.
    pub(crate) updated_at: Timestamp,
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
#[cfg_attr(feature = "serve", derive(utoipa::ToSchema))]
pub(crate) struct Statistics {
    pub(crate) collections: Vec<Collection>,
}

/// What one collection holds.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "serve", derive(utoipa::ToSchema))]
pub(crate) struct Collection {
    pub(crate) collection: String,
    pub(crate) records: u64,
    pub(crate) body_bytes: u64,
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

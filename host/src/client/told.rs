//! What a server says about a store.

use std::time::Duration;

use crate::manifest::Digest;
use crate::record::{Description, Instances};
use crate::reload::Refusal;
use crate::status::{BreakerState, InstanceCounts, Status};
use crate::wire::StoreInfo;

/// What a server said about a store, in this host's words.
pub(super) struct Told {
    pub(super) name: String,
    pub(super) namespace: String,
    pub(super) page_bytes: u64,
    pub(super) batch_bytes: u64,
    pub(super) description: Description,
    pub(super) status: Status,
}

impl Told {
    /// Reads it; why not, where it cannot be read.
    pub(super) fn read(info: StoreInfo) -> Result<Self, String> {
        let digest: Digest = info.digest.parse().map_err(|error| format!("{error}"))?;
        let breaker = match info.breaker.as_str() {
            "closed" => BreakerState::Closed,
            "open" => BreakerState::Open {
                next_probe: Duration::from_millis(info.next_probe_ms.unwrap_or_default()),
            },
            "probing" => BreakerState::Probing,
            other => return Err(format!("{other:?} is no state of a breaker")),
        };
        Ok(Self {
            name: info.name,
            namespace: info.namespace,
            page_bytes: info.max_page_bytes,
            batch_bytes: info.max_batch_bytes,
            description: Description {
                name: info.backend,
                version: info.version,
                instances: match info.singleton {
                    true => Instances::Singleton,
                    false => Instances::Pooled,
                },
                durable: info.durable,
                max_body_bytes: info.max_body_bytes,
                max_batch: info.max_batch,
            },
            status: Status {
                generation: info.generation,
                digest,
                refusal: info.refusal.map(Refusal::from),
                breaker,
                traps: info.traps,
                last_trap: info.last_trap,
                state_lost: info.state_lost,
                snapshot: None,
                snapshot_taken_at: None,
                instances: InstanceCounts::default(),
                fallback: info.fallback,
            },
        })
    }
}

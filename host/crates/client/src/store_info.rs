//! What a server says about a store.

use std::time::Duration;

use mortise_store::inside::status_of;
use mortise_store::{BreakerState, Description, Digest, Instances, Refusal, Status};
use mortise_wire::StoreInfo;

/// What a server said about a store, in this host's words.
pub(crate) struct ServedStore {
    pub(crate) name: String,
    pub(crate) namespace: String,
    pub(crate) page_bytes: u64,
    pub(crate) batch_bytes: u64,
    pub(crate) description: Description,
    pub(crate) status: Status,
}

impl ServedStore {
    /// Reads it; why not, where it cannot be read.
    pub(crate) fn read(info: StoreInfo) -> Result<Self, String> {
        let digest: Digest = info.digest.parse().map_err(|error| format!("{error}"))?;
        let breaker = match info.breaker.as_str() {
            "closed" => BreakerState::Closed,
            "open" => BreakerState::Open {
                next_probe: Duration::from_millis(info.next_probe_ms.unwrap_or_default()),
            },
            "probing" => BreakerState::Probing,
            other => return Err(format!("{other:?} is no state of a breaker")),
        };
        let mut status = status_of(info.generation, digest);
        status.refusal = info.refusal.map(Refusal::from);
        status.breaker = breaker;
        status.traps = info.traps;
        status.last_trap = info.last_trap;
        status.state_lost = info.state_lost;
        status.fallback = info.fallback;
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
            status,
        })
    }
}

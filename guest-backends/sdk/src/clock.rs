//! The host's time.

use crate::Timestamp;

/// Now, by the host's clock, which tests turn. It may stand still or step back.
#[cfg(target_family = "wasm")]
pub fn now() -> Timestamp {
    crate::bindings::backend::mortise::persistence::clock::now()
}

/// Now. Outside of a component there is no host: it is the system's time.
#[cfg(not(target_family = "wasm"))]
pub fn now() -> Timestamp {
    let since_epoch = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
    Timestamp::try_from(since_epoch.as_millis()).unwrap_or(Timestamp::MAX)
}

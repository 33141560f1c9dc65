//! Durations as people write them.

use std::time::Duration;

use mortise_store::limits::parse_duration;
use serde::Deserialize as _;

/// Reads one, as `250ms`.
pub(crate) fn interval<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Duration, D::Error> {
    parse_duration(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}

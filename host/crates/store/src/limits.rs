//! Every number, named, with its unit.
//!
//! The constants are the contract's own bounds and the host's; [`Limits`] is what the operator sets for
//! one store.

use std::time::Duration;

use bytesize::ByteSize;
use serde::Deserialize;

use crate::error::{Error, ErrorInside as _};

/// Longest collection name, in bytes.
pub const MAX_COLLECTION_BYTES: usize = 128;
/// Longest id, in bytes.
pub const MAX_ID_BYTES: usize = 1024;
/// Most attributes of one record.
pub const MAX_ATTRIBUTES: usize = 4096;
/// Longest attribute name, in bytes.
pub const MAX_ATTRIBUTE_NAME_BYTES: usize = 64;
/// Longest attribute value, in bytes.
pub const MAX_ATTRIBUTE_VALUE_BYTES: usize = 1024;
/// Most attributes that a query asks for.
pub const MAX_QUERY_ATTRIBUTES: usize = 16;
/// Longest cursor, in bytes.
pub const MAX_CURSOR_BYTES: usize = 4096;
/// Most records of a page, of `load_many`, of `import`, and most that one `sweep` removes.
pub const MAX_PAGE_RECORDS: u32 = 1000;
/// How many empty pages may follow one another: each was full of corrupt records, so that nobody meets as
/// many, but from a backend that never ends.
pub const MAX_EMPTY_PAGES: u32 = 1_000;
/// Most attributes of all records of one batch or import together.
pub const MAX_BATCH_ATTRIBUTES: usize = 16_384;
/// The last instant of the year 9999, in milliseconds since the Unix epoch.
pub const MAX_TIMESTAMP: u64 = 253_402_300_799_999;
/// The highest revision.
pub const MAX_REVISION: u64 = i64::MAX as u64;
/// Largest component file, in bytes (64 MiB; a Python backend takes 19 MB).
pub const MAX_COMPONENT_BYTES: u64 = 64 << 20;
/// Longest namespace, in bytes.
pub const MAX_NAMESPACE_BYTES: usize = 64;
/// How many instances of components one host runs at once, all stores together.
pub const DEFAULT_MAX_INSTANCES: u32 = 1000;
/// How often the engine's epoch advances: a guest that computes yields to the other tasks this often.
pub const EPOCH_TICK: Duration = Duration::from_millis(10);
/// Longest log line of a guest, in bytes; what is beyond is cut.
pub const MAX_LOG_LINE_BYTES: usize = 4096;
/// Most log lines of one store in a second; what is beyond is dropped and counted.
pub const MAX_LOG_LINES_PER_SECOND: u32 = 100;
/// Largest message of an MCP client, in bytes (32 MiB: the largest body of a store that sets nothing, and as much again
/// for what JSON escapes).
pub const MAX_MCP_MESSAGE_BYTES: usize = 32 << 20;
/// Most sessions of MCP clients over HTTP.
pub const MAX_MCP_SESSIONS: usize = 4096;
/// Largest `initialize` of an MCP client whose session outlives the process, in bytes.
pub const MAX_MCP_INITIALIZE_BYTES: usize = 16 << 10;

/// How many traps within [`DEFAULT_BREAKER_WINDOW`] open a store's breaker, where the operator sets nothing.
pub const DEFAULT_BREAKER_TRAPS: u32 = 10;
/// See [`DEFAULT_BREAKER_TRAPS`].
pub const DEFAULT_BREAKER_WINDOW: Duration = Duration::from_secs(60);
/// The first pause of a breaker, at most.
pub const DEFAULT_BREAKER_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause of a breaker.
pub const DEFAULT_BREAKER_MAX_PAUSE: Duration = Duration::from_secs(60);
/// The longest pause that an operator can set for a breaker (a day).
pub const MAX_BREAKER_PAUSE: Duration = Duration::from_secs(86_400);

/// Linear memory of an instance of a pooled backend, where the operator sets none (128 MiB).
pub const DEFAULT_POOLED_MEMORY: ByteSize = ByteSize::mib(128);
/// Linear memory of a singleton, where the operator sets none (1 GiB).
pub const DEFAULT_SINGLETON_MEMORY: ByteSize = ByteSize::gib(1);
/// What the answer to one call may take beside bodies and attributes: fields, lists, cursors.
const ANSWER_OVERHEAD: ByteSize = ByteSize::mib(8);

/// The limits of one store. In `mortise.toml`, the table `[stores.NAME.limits]`:
///
/// ```
/// # let text = r#"
/// memory = "64MiB"          # of one instance; default 128MiB, of a singleton 1GiB
/// deadline = "2s"           # of one call, waiting for an instance included; default 5s
/// concurrency = 16          # calls at once; default 128
/// store-bytes = "1GiB"      # all records together; default none, for a singleton half its memory
/// breaker-traps = 5         # so many traps …
/// breaker-window = "10s"    # … within this time give the backend a rest; default 10 in 60s
/// # "#;
/// # let limits: mortise_store::Limits = toml::from_str(text).unwrap();
/// # assert_eq!(limits.concurrency, 16);
/// ```
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub struct Limits {
    /// Linear memory of one instance. Default: 128 MiB; for a singleton 1 GiB.
    pub memory: Option<ByteSize>,
    /// How long one call may take, waiting for an instance and for the storage included. Default: 5 s.
    #[serde(deserialize_with = "duration")]
    pub deadline: Duration,
    /// The same for the calls that touch a whole store (`clear`, `statistics`). Default: 5 min.
    #[serde(deserialize_with = "duration")]
    pub upkeep_deadline: Duration,
    /// The most data that a guest may hand to the host in one go: an answer, or the statements of one
    /// transaction. Default: 64 MiB.
    pub response_bytes: ByteSize,
    /// Over how many bytes of bodies, ids and attributes a page does not grow. Default: 4 MiB.
    pub page_bytes: ByteSize,
    /// The largest body. The backend may allow less. Default: 16 MiB.
    pub body_bytes: ByteSize,
    /// All bodies, ids and attributes of one batch together. Default: 32 MiB.
    pub batch_bytes: ByteSize,
    /// How many calls run at once; more wait. A singleton serves one at a time. Default: 128.
    pub concurrency: usize,
    /// All records of the store together. Default: none; for a singleton half of its memory.
    pub store_bytes: Option<ByteSize>,
    /// How many calls may trap within `breaker_window`: at this number the breaker opens, and calls fail
    /// at once with `Unavailable` until a probe is answered. 0: it never opens. Default: 10.
    pub breaker_traps: u32,
    /// Within what time. A window without a trap also makes the next pause a first one. Default: 60 s.
    #[serde(deserialize_with = "duration")]
    pub breaker_window: Duration,
    /// How long the open breaker waits at most before it lets one call through as a probe. Each probe
    /// that traps doubles it. Pauses are of uneven length, down to half. Default: 1 s.
    #[serde(deserialize_with = "duration")]
    pub breaker_pause: Duration,
    /// The longest pause. Default: 60 s.
    #[serde(deserialize_with = "duration")]
    pub breaker_max_pause: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory: None,
            deadline: Duration::from_secs(5),
            upkeep_deadline: Duration::from_secs(300),
            response_bytes: ByteSize::mib(64),
            page_bytes: ByteSize::mib(4),
            body_bytes: ByteSize::mib(16),
            batch_bytes: ByteSize::mib(32),
            concurrency: 128,
            store_bytes: None,
            breaker_traps: DEFAULT_BREAKER_TRAPS,
            breaker_window: DEFAULT_BREAKER_WINDOW,
            breaker_pause: DEFAULT_BREAKER_PAUSE,
            breaker_max_pause: DEFAULT_BREAKER_MAX_PAUSE,
        }
    }
}

/// What an operator's limits are checked for.
pub trait LimitsInside {
    /// Refuses limits that contradict each other.
    fn check(&self) -> Result<(), Error>;
}

impl LimitsInside for Limits {
    fn check(&self) -> Result<(), Error> {
        let least = ByteSize(
            self.page_bytes
                .0
                .max(self.body_bytes.0)
                .max(self.batch_bytes.0),
        ) + ANSWER_OVERHEAD;
        if self.response_bytes < least {
            return Err(Error::config(format!(
                "limit response-bytes is {}, expected at least {least}: the largest of page-bytes, \
                 body-bytes and batch-bytes, and {ANSWER_OVERHEAD} more",
                self.response_bytes
            )));
        }
        if self.batch_bytes < self.body_bytes {
            return Err(Error::config(format!(
                "limit batch-bytes is {}, expected at least body-bytes, {}",
                self.batch_bytes, self.body_bytes
            )));
        }
        if self.concurrency == 0 {
            return Err(Error::config(
                "limit concurrency is 0, expected at least 1".to_owned(),
            ));
        }
        if self.deadline.is_zero() || self.upkeep_deadline.is_zero() {
            return Err(Error::config(
                "a deadline is 0, expected more: \"5s\"".to_owned(),
            ));
        }
        if self.breaker_window.is_zero() || self.breaker_pause.is_zero() {
            return Err(Error::config(
                "limit breaker-window or breaker-pause is 0, expected more: \"1s\"",
            )
            .with_hint("breaker-traps = 0 switches the breaker off"));
        }
        if self.breaker_max_pause < self.breaker_pause {
            return Err(Error::config(format!(
                "limit breaker-max-pause is {:?}, expected at least breaker-pause, {:?}",
                self.breaker_max_pause, self.breaker_pause
            )));
        }
        if self.breaker_max_pause > MAX_BREAKER_PAUSE {
            return Err(Error::config(format!(
                "limit breaker-max-pause is {:?}, expected at most {MAX_BREAKER_PAUSE:?}",
                self.breaker_max_pause
            )));
        }
        Ok(())
    }
}

/// A duration as people write it: `250ms`, `5s`, `2 minutes`.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let span: jiff::SignedDuration = text
        .parse()
        .map_err(|_| format!("{text:?} is no duration, expected one like \"250ms\" or \"5s\""))?;
    Duration::try_from(span).map_err(|_| format!("{text:?} is a negative duration"))
}

fn duration<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse_duration(&text).map_err(serde::de::Error::custom)
}

/// A duration that may be left out.
pub fn optional_duration<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Duration>, D::Error> {
    duration(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        assert_eq!(parse_duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(parse_duration("5s"), Ok(Duration::from_secs(5)));
        assert!(parse_duration("-5s").is_err());
        assert!(
            parse_duration("soon")
                .unwrap_err()
                .contains("expected one like")
        );
    }

    #[test]
    fn the_default_limits_agree_with_each_other() {
        Limits::default().check().unwrap();
    }

    #[test]
    fn limits_that_contradict_each_other_are_refused() {
        let small = Limits {
            response_bytes: ByteSize::mib(16),
            ..Limits::default()
        };
        assert!(
            small
                .check()
                .unwrap_err()
                .to_string()
                .contains("response-bytes")
        );
        let none = Limits {
            concurrency: 0,
            ..Limits::default()
        };
        assert!(
            none.check()
                .unwrap_err()
                .to_string()
                .contains("concurrency")
        );
    }
}

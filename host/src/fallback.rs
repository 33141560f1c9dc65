//! What a store falls back on where its backend does not open, if the operator wrote so.

use serde::Deserialize;

use crate::config::StoreConfig;
use crate::error::{Error, ErrorKind, Operation};
use crate::limits::{DEFAULT_SINGLETON_MEMORY, Limits};

/// The backend that is opened where the configured one is not ([`StoreConfig::fallback`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Fallback {
    /// The backend `memory`: records are gone when the store is closed.
    Memory,
}

impl Fallback {
    /// The backend's name.
    pub fn backend(self) -> &'static str {
        match self {
            Self::Memory => "memory",
        }
    }

    /// Whether a store that does not open for this reason falls back. Not where the configuration itself
    /// is at fault: a grant that is missing or a misspelt option would never be found.
    pub(crate) fn covers(error: &Error) -> bool {
        let is_written_wrong = error.operation() == Operation::Configure;
        let kinds = [
            ErrorKind::NotGranted,
            ErrorKind::Invalid,
            ErrorKind::Unsupported,
        ];
        !is_written_wrong && !kinds.contains(&error.kind())
    }

    /// The store that is opened instead: with the same namespace and limits, and with nothing that was
    /// meant for the other backend.
    pub(crate) fn instead_of(self, config: &StoreConfig) -> StoreConfig {
        let memory = config.limits.memory.unwrap_or(DEFAULT_SINGLETON_MEMORY);
        let room = bytesize::ByteSize(memory.0 / 2);
        let limits = Limits {
            // What a disk was to hold may be more than memory does.
            store_bytes: config.limits.store_bytes.filter(|bytes| *bytes <= room),
            ..config.limits.clone()
        };
        StoreConfig {
            sweep_interval: config.sweep_interval,
            ..StoreConfig::new(self.backend())
                .namespace(&config.namespace)
                .limits(limits)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_the_other_backend_is_handed_to_it() {
        let url = "redis://a?ttl=1d&namespace=x&store-bytes=10GiB&deadline=2s&sweep-interval=3s&fallback=memory";
        let config = StoreConfig::from_url(url).unwrap();
        let instead = config.fallback.unwrap().instead_of(&config);
        let expected = StoreConfig::from_url("memory:?namespace=x&deadline=2s&sweep-interval=3s");
        assert_eq!(instead, expected.unwrap());
        let small = StoreConfig::from_url("sqlite:a.db?store-bytes=1MiB&fallback=memory").unwrap();
        let instead = Fallback::Memory.instead_of(&small);
        assert_eq!(
            instead,
            StoreConfig::from_url("memory:?store-bytes=1MiB").unwrap()
        );
    }
}

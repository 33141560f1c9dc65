//! What the crates of this workspace tell each other about configurations. No promise to anybody else.
#![doc(hidden)]

pub use crate::capability::CapabilityInside;
pub use crate::fallback::falls_back;
pub use crate::grant::redis::{Address, RedisGrantInside, Topology, is_scheme, redacted};
pub use crate::grant::sqlite::SqliteGrantInside;
pub use crate::key::{Key, KeyIdInside, TrustedKeyInside};
pub use crate::names::namespace_file;
pub use crate::secret::secret;
pub use crate::serve::ServeConfigInside;
pub use crate::snapshot::SnapshotConfigInside;
pub use crate::store::StoreConfigInside;
pub use crate::token::{TOKEN_PREFIX, TokenConfigInside};
pub use crate::url::{is_served, parameters};

/// What both sides of TLS share.
pub mod tls {
    pub use crate::tls::{authorities, certificates, provider, trusting};
}

//! The lines that tell what a snapshot is, and what is in it.

use mortise_store::{Digest, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// What the header calls the format, and the version of it that this is.
pub(super) const FORMAT: &str = "mortise-restart";
pub(super) const VERSION: u64 = 1;
/// How much is read or written at once.
pub(super) const CHUNK_BYTES: usize = 1 << 20;

/// The first line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Header {
    pub(super) format: String,
    pub(super) version: u64,
    /// The restart that it was written for.
    pub(crate) restart: u64,
    /// When.
    pub(crate) at: Timestamp,
    /// By which process.
    pub(crate) process: u32,
}

/// What a section has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Content {
    /// The records of a store, as those of a singleton are written to disk.
    Store {
        name: String,
        backend: String,
        namespace: String,
    },
    /// What another part of the server wrote, and reads again.
    Part(String),
}

/// The line before the trailer.
#[derive(Serialize, Deserialize)]
pub(super) struct Contents {
    pub(super) sections: Vec<Section>,
}

/// Where a section is in the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Section {
    pub(crate) content: Content,
    pub(super) offset: u64,
    pub(super) bytes: u64,
}

/// The last line: none other is taken.
pub(super) fn trailer(digest: Digest) -> String {
    format!("{{\"sha256\":\"{digest}\"}}\n")
}

/// The digest of all that was hashed.
pub(super) fn digest(sha256: Sha256) -> Digest {
    <[u8; 32]>::from(sha256.finalize()).into()
}

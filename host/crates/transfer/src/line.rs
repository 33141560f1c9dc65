//! The lines of an export: header, record, trailer.

mod read;
#[cfg(test)]
mod tests;
mod write;

use mortise_store::Digest;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

pub use read::{BadLine, Reader, longest_line, quote};
pub use write::{write_header, write_record, write_trailer};

/// What the header calls the format.
const FORMAT: &str = "mortise-export";
/// The version of the format that this is.
const VERSION: u64 = 1;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Trailer {
    end: End,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct End {
    records: u64,
    /// Of all lines before. What others wrote may lack it.
    #[serde(default)]
    sha256: Option<Digest>,
}

/// The digest of what was hashed.
pub fn digest_of(sha256: Sha256) -> Digest {
    Digest::from(<[u8; 32]>::from(sha256.finalize()))
}

//! Whole stores as text: an export is a file of lines of JSON, exact to the byte.
//!
//! ```no_run
//! # async fn example(host: mortise::Host) -> Result<(), Box<dyn std::error::Error>> {
//! let from = host.open("sqlite:tasks.db").await?;
//! let mut file = Vec::new();
//! mortise::transfer::export(&from, &mut file, |_| {}).await?;
//!
//! let to = host.open("memory:").await?;
//! mortise::transfer::import(&to, file.as_slice(), |records| println!("{records}")).await?;
//! # Ok(())
//! # }
//! ```
//!
//! [`copy()`] does the same from store to store, without a file between.
//!
//! # Format
//!
//! UTF-8, one JSON object a line, each line ended by `\n`:
//!
//! 1. the header, `{"format":"mortise-export","version":1,"contract":"0.1.0"}`; readers pass over
//!    fields of it that they do not know;
//! 2. the records, in the order of their creation:
//!
//!    | field | value |
//!    |---|---|
//!    | `collection`, `id` | the key |
//!    | `body` | the body, where it is UTF-8 |
//!    | `body_base64` | the body in base64 (RFC 4648, padded), where it is not |
//!    | `attributes` | `[[name, value], …]`, in the record's order |
//!    | `expires_at` | milliseconds since 1970, UTC; missing where the record never expires |
//!    | `create_revision`, `mod_revision` | the stamp's revisions |
//!    | `created_at`, `updated_at` | the stamp's times, in milliseconds since 1970, UTC |
//!
//! 3. the trailer, `{"end":{"records":N}}`, without which a file was cut off.
//!
//! The same records give the same bytes, whichever backend they are in.
//!
//! # From other stores
//!
//! [`import_teal_redis`] takes over the tasks of Teal Agents' own Redis store, which it only reads.

mod batch;
mod copy;
mod export;
mod import;
mod line;
mod pages;
mod teal_redis;

pub use copy::copy;
pub(crate) use copy::copy_each;
pub use export::export;
pub use import::import;
pub(crate) use pages::Pages;
pub use teal_redis::{
    Skipped, StaleMember, TealExpiry, TealOptions, TealReport, import_teal_redis,
};

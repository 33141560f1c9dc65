//! Whole stores, moved: from store to store, to text and back, to backups and back.
//!
//! | | what it is for |
//! |---|---|
//! | [`copy()`] | another backend, another server; can be made again after an interruption |
//! | [`backup()`], [`restore()`] | a file that is proven to be whole, as of one instant |
//! | [`export()`], [`import()`] | a file, or a pipe; adds to what a store has |
//!
//! All keep revisions, times, attributes and expiry, and every byte of a body.
//!
//! # Format
//!
//! What an export and a backup are. UTF-8, one JSON object a line, each line ended by `\n`:
//!
//! 1. the header, `{"format":"mortise-export","version":1,"contract":"0.1.0"}`, and of a backup
//!    `"revision":N`, the store's last; readers pass over fields of it that they do not know;
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
//! 3. the trailer, `{"end":{"records":N,"sha256":"…"}}`, without which a file was cut off. The digest is
//!    of all lines before it; a file that others wrote may lack it, and can be imported, not restored.
//!
//! The same records give the same export, whichever backend they are in.
//!
//! Uses: mortise-store. Never: mortise-agent, mortise-engine: what a record means is no matter to who moves it.

mod backup;
mod batch;
mod check;
mod copy;
mod export;
mod hand_over;
mod import;
mod ledger;
mod line;
mod pages;
mod phase;
mod restore;
mod snapshot;

#[doc(hidden)]
pub mod inside;

pub use backup::{BackupFile, BackupOptions, BackupReport, backup};
pub use copy::{CopyOptions, CopyReport, copy};
pub use export::export;
pub use import::import;
pub use phase::Phase;
pub use restore::{RestoreOptions, RestoreReport, restore};

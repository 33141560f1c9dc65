//! Whole stores, moved: from store to store, to text and back, to backups and back.
//!
//! ```no_run
//! # async fn example(host: mortise::Host) -> Result<(), Box<dyn std::error::Error>> {
//! use mortise::transfer::{BackupOptions, CopyOptions, RestoreOptions};
//!
//! let from = host.open("sqlite:tasks.db").await?;
//! let to = host.open("redis://localhost").await?;
//! let copied = mortise::transfer::copy(&from, &to, &CopyOptions::default(), |_, _| {}).await?;
//! println!("{} records are in Redis, too", copied.records);
//!
//! let mut file = std::fs::File::options().create(true).read(true).write(true).open("tasks.backup")?;
//! mortise::transfer::backup(&from, &mut file, &BackupOptions::default(), |_, _| {}).await?;
//!
//! let new = host.open("sqlite:new.db").await?;
//! let open = || Ok(std::io::BufReader::new(std::fs::File::open("tasks.backup")?));
//! mortise::transfer::restore(&new, open, &RestoreOptions::default(), |_, _| {}).await?;
//! # Ok(())
//! # }
//! ```
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
//! # From other stores
//!
//! | importer | takes over |
//! |---|---|
//! | [`import_teal_redis`] | the tasks in Teal Agents' own Redis store |
//! | [`import_teal_jsonl`] | tasks of Teal Agents, one a line |
//! | [`import_tinydb`] | Supervaizer's jobs and cases, and the rows of any TinyDB file |
//! | [`import_orchestrator_db`] | the tables of MCP Task Orchestrator's SQLite file |
//! | [`import_orchestrator_files`] | the tasks and artifacts of its older, file-based state |
//!
//! Each only reads its source, writes over nothing, skips what cannot be read and says so, and finds nothing
//! left to do when it is run again.

mod backup;
mod batch;
mod check;
mod copy;
mod export;
mod import;
mod importer;
mod instant;
mod ledger;
mod line;
mod orchestrator_db;
mod orchestrator_files;
mod pages;
mod phase;
mod restore;
mod source;
mod teal_jsonl;
mod teal_redis;
mod tinydb;

pub use backup::{BackupFile, BackupOptions, BackupReport, backup};
pub(crate) use copy::walk;
pub use copy::{CopyOptions, CopyReport, copy};
#[cfg(feature = "serve")]
pub(crate) use export::Pieces;
pub use export::export;
pub use import::import;
pub use importer::{ImportOptions, ImportReport, ImportedCollection, SkippedRecord};
pub(crate) use ledger::Ledger;
pub use orchestrator_db::import_orchestrator_db;
pub use orchestrator_files::import_orchestrator_files;
pub(crate) use pages::Pages;
pub use phase::Phase;
pub use restore::{RestoreOptions, RestoreReport, restore};
pub use teal_jsonl::import_teal_jsonl;
pub use teal_redis::{
    Skipped, StaleMember, TealExpiry, TealOptions, TealReport, import_teal_redis,
};
pub use tinydb::import_tinydb;

//! From other platforms' stores to stores of Mortise.
//!
//! Uses: mortise-store, mortise-agent, mortise-transfer, mortise-config, mortise-capability-redis. Never: mortise-engine,
//! wasmtime: older stores are read as the files and keys that they are.
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

mod instant;
mod source;

mod importer;

mod orchestrator_db;
mod orchestrator_files;
mod teal_jsonl;
mod teal_redis;
mod tinydb;

pub use importer::{ImportOptions, ImportReport, ImportedCollection, SkippedRecord};
pub use orchestrator_db::import_orchestrator_db;
pub use orchestrator_files::import_orchestrator_files;
pub use teal_jsonl::import_teal_jsonl;
pub use teal_redis::{
    Skipped, StaleMember, TealExpiry, TealOptions, TealReport, import_teal_redis,
};
pub use tinydb::import_tinydb;

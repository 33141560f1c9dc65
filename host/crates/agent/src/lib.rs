//! The typed API on agent state: tasks, entities, their lifecycles, and what is resumed after a restart.
//!
//! Uses: mortise-store. Never: mortise-engine, mortise-config, wasmtime: agent state is kept in whatever store it is
//! handed.
//!
//! Bodies are JSON here. What this version does not know, fields and statuses alike, survives a round
//! trip as it was written; nothing in a body is executed, or resolved to a type by name.

mod json;
mod machine;
mod retry;
mod versioned;

mod decode;
mod kind;

mod batch;
mod history;
mod pages;

mod entity;
mod lifecycle;
mod task;

mod lease;
mod repository;

mod job;
mod resume;

#[doc(hidden)]
pub mod inside;

pub use batch::EntityBatch;
pub use entity::EntityStore;
pub use history::{HistoryPage, Transition};
pub use job::{Case, Job};
pub use json::{Json, Object};
pub use kind::Entity;
pub use lease::{Lease, LeaseHolder};
pub use lifecycle::{Lifecycle, Transitioned};
pub use machine::Machine;
pub use mortise_store::{Move, RefusalReason, TransitionRefusal};
pub use pages::{EntityPage, EntityQuery};
pub use repository::Repository;
pub use resume::{Claim, Resume, Scope};
pub use task::{AgentTask, AgentTaskItem, TaskPage, TaskQuery, TaskStatus, TaskStore};
pub use versioned::Versioned;

//! The typed API on agent state: tasks, entities, their lifecycles, and what is resumed after a restart.
//!
//! Bodies are JSON here. What this version does not know, fields and statuses alike, survives a round
//! trip as it was written; nothing in a body is executed, or resolved to a type by name.

mod attempts;
mod decode;
mod entity;
mod history;
mod job;
mod json;
pub(crate) mod kind;
mod lifecycle;
mod machine;
mod refusal;
mod repository;
mod resume;
mod task;
mod versioned;

pub use entity::{EntityBatch, EntityPage, EntityQuery, EntityStore};
pub use history::{HistoryPage, Transition};
pub use job::{Case, Job};
pub use json::{Json, Object};
pub use lifecycle::{Lifecycle, Transitioned};
pub use machine::Machine;
pub use refusal::{Move, RefusalReason, TransitionRefusal};
pub use repository::{Entity, Repository};
pub use resume::{Claim, Lease, LeaseHolder, Resume, Scope};
pub use task::{AgentTask, AgentTaskItem, TaskPage, TaskQuery, TaskStatus, TaskStore};
pub use versioned::Versioned;

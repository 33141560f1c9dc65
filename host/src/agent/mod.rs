//! The typed API on agent state.
//!
//! Bodies are JSON here. What this version does not know, fields and statuses alike, survives a round
//! trip as it was written; nothing in a body is executed, or resolved to a type by name.

mod attempts;
mod decode;
mod json;
pub(crate) mod kind;
mod task;
mod versioned;

pub use json::{Json, Object};
pub use task::{AgentTask, AgentTaskItem, TaskPage, TaskQuery, TaskStatus, TaskStore};
pub use versioned::Versioned;

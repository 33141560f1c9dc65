//! Agent tasks.

mod shape;
mod store;

pub use shape::{AgentTask, AgentTaskItem, TaskStatus};
pub use store::{TaskPage, TaskQuery, TaskStore};

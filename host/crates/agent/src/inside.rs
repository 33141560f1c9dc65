//! What siblings of this crate use, and embedders do not see.

use mortise_store::{Draft, Operation, Result};

pub use crate::kind::Kind;
use crate::task::AgentTask;

/// What a task tells siblings of this crate.
pub trait AgentTaskInside {
    /// The record that keeps it: the body is its JSON, the attributes what it is found by.
    ///
    /// # Errors
    ///
    /// `Invalid` where it cannot be written as JSON.
    fn draft(&self, operation: Operation) -> Result<Draft>;
}

impl AgentTaskInside for AgentTask {
    fn draft(&self, operation: Operation) -> Result<Draft> {
        self.draft(operation)
    }
}

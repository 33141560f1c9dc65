//! The typed API on agent state: tasks, entities, their lifecycles, and what is resumed after a restart.
//!
//! Bodies are JSON here. What this version does not know, fields and statuses alike, survives a round
//! trip as it was written; nothing in a body is executed, or resolved to a type by name.

pub use mortise_agent::{
    AgentTask, AgentTaskItem, Case, Claim, Entity, EntityBatch, EntityPage, EntityQuery,
    EntityStore, HistoryPage, Job, Json, Lease, LeaseHolder, Lifecycle, Machine, Move, Object,
    RefusalReason, Repository, Resume, Scope, TaskPage, TaskQuery, TaskStatus, TaskStore,
    Transition, TransitionRefusal, Transitioned, Versioned,
};

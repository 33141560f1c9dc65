//! The tables of MCP Task Orchestrator.

use rusqlite::Connection;

/// A table, and what becomes of its rows.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) name: &'static str,
    pub(super) collection: &'static str,
    /// The column with the primary key.
    pub(super) key: &'static str,
}

pub(super) const BREAKDOWNS: Table = table("task_breakdowns", "task-breakdown", "parent_task_id");
pub(super) const SUBTASKS: Table = table("subtasks", "subtask", "task_id");

/// All of them, parents before children.
pub(super) static ALL: [Table; 17] = [
    table("workspaces", "workspace", "workspace_id"),
    BREAKDOWNS,
    SUBTASKS,
    table("file_operations", "file-operation", "operation_id"),
    table("file_verifications", "file-verification", "verification_id"),
    table(
        "architectural_decisions",
        "architectural-decision",
        "decision_id",
    ),
    table("decision_evolution", "decision-evolution", "evolution_id"),
    table("task_prerequisites", "task-prerequisite", "id"),
    table("task_lifecycle", "task-lifecycle", "id"),
    table("task_archives", "task-archive", "id"),
    table("stale_task_tracking", "stale-task-tracking", "id"),
    table(
        "workspace_configurations",
        "workspace-configuration",
        "config_id",
    ),
    table("workspace_tasks", "workspace-task", "association_id"),
    table("workspace_artifacts", "workspace-artifact", "artifact_id"),
    table("lock_tracking", "lock-tracking", "resource_name"),
    table("maintenance_operations", "maintenance-operation", "id"),
    table("project_health_metrics", "project-health-metric", "id"),
];

const fn table(name: &'static str, collection: &'static str, key: &'static str) -> Table {
    Table {
        name,
        collection,
        key,
    }
}

/// The table of this name, where it is one of them.
pub(super) fn find(name: &str) -> Option<&'static Table> {
    ALL.iter().find(|table| table.name == name)
}

/// The names of all tables that keep rows in the file; not SQLite's own.
pub(super) fn names(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND rootpage > 0 \
         AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY rowid",
    )?;
    let names = statement.query_map([], |row| row.get(0))?;
    names.collect()
}

//! What is counted of a record, beside the record itself.

use mortise_agent::{AgentTask, Json, Object};

use super::report::ImportedCollection;

/// How the entities stand that are taken up again when a platform starts anew.
const RESUMED: [&str; 3] = ["in_progress", "awaiting", "cancelling"];
/// Of which field each value is counted on its own.
const BY: [&str; 3] = ["status", "complexity", "specialist_type"];

/// What one record adds to a report.
#[derive(Default)]
pub(crate) struct Figures {
    by: Vec<(&'static str, String)>,
    counts: Vec<(&'static str, u64)>,
    /// Texts that count once, however many records have them.
    pub(super) distinct: Vec<(&'static str, String)>,
}

impl Figures {
    pub(crate) fn of_task(task: &AgentTask) -> Self {
        let mut figures = Self::default();
        figures.by("status", task.status.as_str());
        let (mut tool_calls, mut histories, mut messages) = (0, 0, 0);
        let mut requests: Vec<&str> = Vec::new();
        for item in &task.items {
            figures.by("role", &item.role);
            if let Ok(content) = item.item.parse::<Object>() {
                figures.text(&content, "content_type");
            }
            tool_calls += u64::from(item.pending_tool_calls.as_ref().is_some_and(is_set));
            if let Some(history) = item.chat_history.as_ref().filter(|history| is_set(history)) {
                histories += 1;
                let history: Object = history.parse().unwrap_or_default();
                messages += length(&history, "messages");
            }
            requests.push(&item.request_id);
        }
        requests.sort_unstable();
        requests.dedup();
        figures.count("items", task.items.len() as u64);
        figures.count("request_pairs", requests.len() as u64);
        figures.count("without_items", u64::from(task.items.is_empty()));
        figures.count("items_with_pending_tool_calls", tool_calls);
        figures.count("items_with_chat_history", histories);
        figures.count("chat_history_messages", messages);
        let requests = requests.into_iter();
        figures.distinct = requests.map(|id| ("request_ids", id.to_owned())).collect();
        figures
    }

    /// Of an entity of which no more is known than its collection.
    pub(crate) fn of_entity(collection: &str, entity: &Object) -> Self {
        let mut figures = Self::default();
        for field in BY {
            figures.text(entity, field);
        }
        match collection {
            "job" => {
                figures.resumed(entity);
                figures.count("responses", length(entity, "responses"));
            }
            "case" => {
                figures.resumed(entity);
                let updates: Vec<Object> = list(entity, "updates");
                let scheduled = updates.iter().filter(|update| has(update, "scheduled_at"));
                figures.count("updates", length(entity, "updates"));
                figures.count("scheduled_updates", scheduled.count() as u64);
            }
            "task-breakdown" => {
                if let Some(archived) = entity.get("archived") {
                    figures.count("archived", u64::from(archived.as_str() == "true"));
                }
            }
            "subtask" => {
                figures.count("dependencies", length(entity, "dependencies"));
                figures.count("artifacts", length(entity, "artifacts"));
                figures.count("with_results", u64::from(has(entity, "results")));
                figures.count("with_completed_at", u64::from(has(entity, "completed_at")));
            }
            "artifact" => {
                let subtask = entity.text("task_id").into_iter();
                figures.distinct = subtask.map(|id| ("subtasks", id)).collect();
            }
            _ => {}
        }
        figures
    }

    /// Adds it to what the others of the collection have.
    pub(super) fn add_to(self, collection: &mut ImportedCollection) {
        for (field, value) in self.by {
            let values = collection.by.entry(field.to_owned()).or_default();
            *values.entry(value).or_default() += 1;
        }
        for (name, count) in self.counts {
            *collection.counts.entry(name.to_owned()).or_default() += count;
        }
    }

    fn resumed(&mut self, entity: &Object) {
        let status = entity.text("status").unwrap_or_default();
        self.count(
            "to_be_resumed",
            u64::from(RESUMED.contains(&status.as_str())),
        );
    }

    fn text(&mut self, entity: &Object, field: &'static str) {
        self.by
            .extend(entity.text(field).map(|value| (field, value)));
    }

    fn by(&mut self, field: &'static str, value: &str) {
        self.by.push((field, value.to_owned()));
    }

    fn count(&mut self, name: &'static str, count: u64) {
        self.counts.push((name, count));
    }
}

/// How many elements a list has; 0 where it is none.
fn length(entity: &Object, field: &str) -> u64 {
    list::<Json>(entity, field).len() as u64
}

fn list<T: serde::de::DeserializeOwned>(entity: &Object, field: &str) -> Vec<T> {
    let list = entity.get(field).and_then(|list| list.parse().ok());
    list.unwrap_or_default()
}

fn has(entity: &Object, field: &str) -> bool {
    entity.get(field).is_some_and(is_set)
}

/// Whether it is more than `null` and an empty list.
fn is_set(value: &Json) -> bool {
    let text = value.as_str();
    let is_empty = |rest: &str| rest.trim_start() == "]";
    text != "null" && !text.strip_prefix('[').is_some_and(is_empty)
}

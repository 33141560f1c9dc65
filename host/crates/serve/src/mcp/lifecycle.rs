//! The tools that lead entities from state to state.

use mortise_agent::{Lifecycle, Machine, Object, Transition};
use mortise_store::Revision;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::call::{Call, PageLimit, StoreName};
use super::problem::Problem;
use super::tool::{Effect, Tool};

/// A state machine that the host brings.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
enum MachineName {
    Entity,
    AgentTask,
    A2aTask,
}

impl MachineName {
    fn machine(self) -> &'static Machine {
        match self {
            Self::Entity => Machine::entity(),
            Self::AgentTask => Machine::agent_task(),
            Self::A2aTask => Machine::a2a_task(),
        }
    }
}

/// One step of an entity from a state to another.
#[derive(JsonSchema)]
#[schemars(rename = "Transition")]
#[allow(dead_code, reason = "it is there for its schema")]
struct TransitionShape {
    /// The entity's id.
    entity: String,
    /// The state before.
    from: String,
    /// What happened.
    event: String,
    /// The state after.
    to: String,
    /// Who did it.
    by: String,
    /// When: RFC 3339, in UTC.
    at: String,
}

/// A transition that was made.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct TransitionMade {
    /// What the history has of it.
    #[schemars(with = "TransitionShape")]
    transition: Transition,
    /// The entity as it is now, where you may read it.
    #[schemars(with = "Option<Map<String, Value>>")]
    #[serde(skip_serializing_if = "Option::is_none")]
    entity: Option<Object>,
    /// The write that changed it last.
    revision: Revision,
}

/// A history, page by page.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct HistoryFound {
    /// Oldest first.
    #[schemars(with = "Vec<TransitionShape>")]
    transitions: Vec<Transition>,
    /// Where the next page starts: give it as after. Missing on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SendEvent {
    /// The collection: job, case, task, …
    collection: String,
    /// The entity's id
    id: String,
    /// The event: start_work, cancel_requested, …
    event: String,
    /// Who does it, for the history; default: the client's name
    #[serde(default)]
    by: Option<String>,
    /// The state machine; default: agent-task for the collection task, entity for others
    #[serde(default)]
    machine: Option<MachineName>,
    #[serde(default)]
    store: StoreName,
}

impl Tool for SendEvent {
    const NAME: &'static str = "send_event";
    const TITLE: &'static str = "Send an event to an entity";
    const DESCRIPTION: &'static str = "Leads an entity to where an event leads from its state, and writes it to its history. Where the event \
         does not lead on, it fails with invalid-transition, and says the state and which events do.";
    const EFFECT: Effect = Effect::Acts;
    type Answer = TransitionMade;

    async fn run(self, call: &Call) -> Result<TransitionMade, Problem> {
        let (store, sight) = call.writing(&self.store)?;
        let named = self.machine.map(MachineName::machine);
        let machine = named.unwrap_or_else(|| Machine::of_collection(&self.collection));
        let lifecycle = Lifecycle::new(store, self.collection, machine);
        let by = self.by.unwrap_or_else(|| call.client());
        let made = lifecycle.handle_event(&self.id, &self.event, &by).await;
        let made = made.map_err(|error| sight.problem(error))?;
        Ok(TransitionMade {
            transition: made.transition,
            revision: made.entity.revision,
            entity: sight.written(made.entity.value),
        })
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct GetHistory {
    /// The collection: job, case, task, …
    collection: String,
    /// The entity's id
    id: String,
    /// next of an earlier page
    #[serde(default)]
    after: Option<String>,
    #[serde(default)]
    limit: PageLimit,
    #[serde(default)]
    store: StoreName,
}

impl Tool for GetHistory {
    const NAME: &'static str = "get_history";
    const TITLE: &'static str = "Read an entity's history";
    const DESCRIPTION: &'static str = "Reads the transitions of an entity, oldest first, page by page; none where there is no such entity.";
    const EFFECT: Effect = Effect::Reads;
    type Answer = HistoryFound;

    async fn run(self, call: &Call) -> Result<HistoryFound, Problem> {
        let store = call.reading(&self.store)?;
        // A history is what was, whatever machine it came from.
        let lifecycle = Lifecycle::new(store, self.collection, Machine::entity());
        let limit = self.limit.get()?;
        let page = lifecycle.history_page(&self.id, self.after, limit).await?;
        Ok(HistoryFound {
            transitions: page.transitions,
            next: page.next,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_machine_has_its_name() {
        for machine in Machine::built_in() {
            let name = format!("{:?}", machine.name());
            let name: MachineName = serde_json::from_str(&name).unwrap();
            assert_eq!(name.machine(), machine);
        }
    }
}

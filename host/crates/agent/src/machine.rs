//! State machines of entities, as data.

use std::collections::{BTreeSet, HashSet};
use std::fmt;
use std::sync::LazyLock;

use mortise_store::inside::transition_refusal;
use mortise_store::{Move, RefusalReason, TransitionRefusal};
use serde::{Deserialize, Serialize};

use crate::json::Object;

/// The field and attribute that tells how an entity stands, where its machine names no other.
pub(crate) const STATUS: &str = "status";

/// A state machine: in which states entities of a kind can be, and which events lead from one to another.
///
/// It is data: a platform brings its own as JSON.
///
/// ```
/// use mortise_agent::Machine;
///
/// let order: Machine = serde_json::from_str(r#"{
///     "name": "order",
///     "initial": "open",
///     "running": ["paid"],
///     "final": ["shipped", "refunded"],
///     "finished_at": "closed_at",
///     "transitions": [
///         ["open", "pay", "paid"],
///         ["paid", "ship", "shipped"],
///         ["paid", "refund", "refunded"]
///     ]
/// }"#)?;
/// assert_eq!(order.after("paid", "ship"), Some("shipped"));
/// assert!(order.is_final("shipped"));
/// # Ok::<(), serde_json::Error>(())
/// ```
///
/// | field | value |
/// |---|---|
/// | `name` | what it is called |
/// | `status` | the path of field names, with dots between, to where an entity tells its state; default: `status` |
/// | `initial` | the state that an entity is made in |
/// | `running` | the states in which an entity has to be resumed after a restart |
/// | `final` | the states that are never left |
/// | `transitions` | `[from, event, to]` each; an event leads from a state to one other |
/// | `changed_at` | the path of the field that takes the time of each transition; may be missing |
/// | `finished_at` | that of the field that takes the time of a transition to a final state; may be missing |
///
/// Refused when it is read: a final state that a transition leaves, any other state that none leaves or that is
/// not to be reached, an event that leads from one state to two.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Definition")]
pub struct Machine(Definition);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Definition {
    name: String,
    #[serde(default = "status")]
    status: String,
    initial: String,
    running: Vec<String>,
    #[serde(rename = "final")]
    finals: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    changed_at: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    finished_at: Option<String>,
    transitions: Vec<Arrow>,
}

fn status() -> String {
    STATUS.to_owned()
}

/// From, event, to.
type Arrow = (String, String, String);

/// The definitions that this library brings.
static ENTITY: LazyLock<Machine> = LazyLock::new(|| built_in(include_str!("machines/entity.json")));
static AGENT_TASK: LazyLock<Machine> =
    LazyLock::new(|| built_in(include_str!("machines/agent-task.json")));
static A2A_TASK: LazyLock<Machine> =
    LazyLock::new(|| built_in(include_str!("machines/a2a-task.json")));

fn built_in(json: &str) -> Machine {
    serde_json::from_str(json).expect("a test reads each of them")
}

impl Machine {
    /// That of jobs and cases: stopped, in_progress, awaiting, cancelling; completed, failed and cancelled
    /// are final.
    pub fn entity() -> &'static Self {
        &ENTITY
    }

    /// That of agent tasks ([`AgentTask`](crate::AgentTask)): Running, Paused; Completed, Failed and
    /// Canceled are final.
    pub fn agent_task() -> &'static Self {
        &AGENT_TASK
    }

    /// That of the tasks of A2A, the Agent2Agent protocol: submitted, working, input-required,
    /// auth-required; completed, failed, canceled and rejected are final. Which state follows which, and the
    /// names of the events, are this library's: the protocol names states alone.
    pub fn a2a_task() -> &'static Self {
        &A2A_TASK
    }

    /// The machines that this library brings.
    pub fn built_in() -> [&'static Self; 3] {
        [Self::entity(), Self::agent_task(), Self::a2a_task()]
    }

    /// The built-in one of this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        let mut known = Self::built_in().into_iter();
        known.find(|machine| machine.name() == name)
    }

    /// The built-in one that entities of a collection go by, where nothing else is said: [`agent_task`](Self::agent_task)
    /// for `task`, [`entity`](Self::entity) for all others.
    pub fn of_collection(collection: &str) -> &'static Self {
        match collection {
            "task" => Self::agent_task(),
            _ => Self::entity(),
        }
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The state that an entity is made in.
    pub fn initial(&self) -> &str {
        &self.0.initial
    }

    /// Every state, the initial one first.
    pub fn states(&self) -> Vec<&str> {
        let Definition {
            initial,
            transitions,
            ..
        } = &self.0;
        let ends = transitions.iter().flat_map(|(from, _, to)| [from, to]);
        let mut states = Vec::new();
        for state in std::iter::once(initial).chain(ends) {
            if !states.contains(&state.as_str()) {
                states.push(state);
            }
        }
        states
    }

    /// The states in which an entity has to be resumed after a restart.
    pub fn running(&self) -> impl Iterator<Item = &str> {
        self.0.running.iter().map(String::as_str)
    }

    /// Whether a state is never left.
    pub fn is_final(&self, state: &str) -> bool {
        self.0.finals.iter().any(|known| known == state)
    }

    /// Whether an entity in this state has to be resumed after a restart.
    pub fn is_running(&self, state: &str) -> bool {
        self.running().any(|known| known == state)
    }

    /// Every transition: from, event, to.
    pub fn transitions(&self) -> impl Iterator<Item = (&str, &str, &str)> {
        let transitions = self.0.transitions.iter();
        transitions.map(|(from, event, to)| (from.as_str(), event.as_str(), to.as_str()))
    }

    /// The state that an event leads to.
    pub fn after(&self, state: &str, event: &str) -> Option<&str> {
        let mut arrows = self.transitions();
        arrows
            .find(|(from, name, _)| (*from, *name) == (state, event))
            .map(|(_, _, to)| to)
    }

    /// The first event that leads from one state to another.
    pub fn event_between(&self, from: &str, to: &str) -> Option<&str> {
        let mut arrows = self.transitions();
        arrows
            .find(|(start, _, end)| (*start, *end) == (from, to))
            .map(|(_, event, _)| event)
    }

    /// The state that an entity tells.
    pub fn state_of(&self, entity: &Object) -> Option<String> {
        entity.text_at(&self.0.status)
    }

    /// Why it does not do what was asked of an entity in this state.
    pub(crate) fn refuse(&self, state: Option<String>, asked: Move) -> TransitionRefusal {
        let known = match &asked {
            Move::Event(event) => self.transitions().any(|(_, name, _)| name == event),
            Move::To(to) => self.states().contains(&to.as_str()),
        };
        let reason = match state.as_deref() {
            Some(state) if self.is_final(state) => RefusalReason::Final,
            Some(state) if self.states().contains(&state) => match known {
                true => RefusalReason::NotAllowed,
                false => RefusalReason::UnknownMove,
            },
            _ => RefusalReason::UnknownState,
        };
        let from = |arrow: &(&str, &str, &str)| Some(arrow.0) == state.as_deref();
        let allowed = self.transitions().filter(from);
        let allowed = allowed.map(|(_, event, to)| (event.to_owned(), to.to_owned()));
        let allowed = allowed.collect();
        transition_refusal(state, asked, reason, allowed)
    }

    /// The path to where an entity tells its state.
    pub(crate) fn status(&self) -> &str {
        &self.0.status
    }

    /// Whether an entity leaves a final state from one version of it to the next.
    pub(crate) fn is_left(&self, before: &Object, after: &Object) -> bool {
        let state = self.state_of(before);
        state.as_deref().is_some_and(|state| self.is_final(state)) && self.state_of(after) != state
    }

    /// The paths of the fields that take the time of a transition to this state.
    pub(crate) fn times(&self, to: &str) -> impl Iterator<Item = &str> {
        let finished = self.0.finished_at.as_deref();
        let finished = finished.filter(|_| self.is_final(to));
        self.0.changed_at.as_deref().into_iter().chain(finished)
    }
}

/// Why a definition makes no machine.
#[derive(Debug, PartialEq, Eq)]
struct Flaw(String);

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<Definition> for Machine {
    type Error = Flaw;

    fn try_from(definition: Definition) -> Result<Self, Flaw> {
        let machine = Self(definition);
        match machine.flaw() {
            None => Ok(machine),
            Some(flaw) => Err(Flaw(format!(
                "the state machine {:?}: {flaw}",
                machine.name()
            ))),
        }
    }
}

impl Machine {
    fn flaw(&self) -> Option<String> {
        if self.states().contains(&"") {
            return Some("a state has no name".to_owned());
        }
        let mut leaving = HashSet::new();
        for (from, event, _) in self.transitions() {
            if self.is_final(from) {
                return Some(format!("{from:?} is final, but {event:?} leaves it"));
            }
            if !leaving.insert((from, event)) {
                return Some(format!("{event:?} leaves {from:?} more than once"));
            }
        }
        let reached = self.reached();
        let named = self.0.finals.iter().chain(&self.0.running);
        let named = named.map(String::as_str).chain(self.states());
        for state in named {
            if !reached.contains(state) {
                let initial = self.initial();
                return Some(format!("no transitions lead from {initial:?} to {state:?}"));
            }
            if self.is_final(state) && self.is_running(state) {
                return Some(format!("{state:?} is both running and final"));
            }
            if !self.is_final(state) && !leaving.iter().any(|(from, _)| *from == state) {
                return Some(format!("no event leaves {state:?}, and it is not final"));
            }
        }
        None
    }

    /// The states that can be reached from the initial one.
    fn reached(&self) -> BTreeSet<&str> {
        let mut reached = BTreeSet::from([self.initial()]);
        loop {
            let next = self
                .transitions()
                .filter(|(from, _, _)| reached.contains(from));
            let next: Vec<_> = next.map(|(_, _, to)| to).collect();
            let before = reached.len();
            reached.extend(next);
            if reached.len() == before {
                return reached;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_machines_are_whole() {
        let shapes = Machine::built_in().map(|machine| {
            let finals = machine.states().into_iter();
            let finals = finals.filter(|state| machine.is_final(state)).count();
            let (states, running) = (machine.states().len(), machine.running().count());
            (states, running, finals, machine.transitions().count())
        });
        assert_eq!(shapes, [(7, 3, 3, 9), (5, 2, 3, 7), (8, 4, 4, 19)]);
    }

    #[test]
    fn a_machine_is_written_as_it_is_read() {
        for machine in Machine::built_in() {
            let json = serde_json::to_string(machine).unwrap();
            assert_eq!(&serde_json::from_str::<Machine>(&json).unwrap(), machine);
        }
    }

    #[test]
    fn a_flawed_machine_is_refused() {
        let flaw = |finals: &str, running: &str, transitions: &str| {
            let json = format!(
                r#"{{"name":"m","initial":"a","running":[{running}],"final":[{finals}],"transitions":[{transitions}]}}"#
            );
            serde_json::from_str::<Machine>(&json)
                .unwrap_err()
                .to_string()
        };
        let (a_b, b_a) = (r#"["a","go","b"]"#, r#"["b","back","a"]"#);
        for (error, expected) in [
            (flaw("", "", r#"["a","go",""]"#), "a state has no name"),
            (
                flaw(r#""b""#, "", &format!("{a_b},{b_a}")),
                r#""b" is final, but "back" leaves it"#,
            ),
            (
                flaw(r#""b""#, "", &format!("{a_b},{}", r#"["a","go","c"]"#)),
                r#""go" leaves "a" more than once"#,
            ),
            (
                flaw(r#""b","typo""#, "", a_b),
                r#"no transitions lead from "a" to "typo""#,
            ),
            (
                flaw(r#""b""#, r#""typo""#, a_b),
                r#"no transitions lead from "a" to "typo""#,
            ),
            (
                flaw(r#""b""#, r#""b""#, a_b),
                r#""b" is both running and final"#,
            ),
            (
                flaw("", "", a_b),
                r#"no event leaves "b", and it is not final"#,
            ),
        ] {
            assert!(
                error.starts_with(&format!(r#"the state machine "m": {expected}"#)),
                "{error}"
            );
        }
    }
}

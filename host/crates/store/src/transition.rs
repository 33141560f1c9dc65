//! What a lifecycle refuses.

use std::fmt;

/// Why an entity was not led from its state: what [`Error::transition_refusal`](crate::Error::transition_refusal)
/// has. Nothing was written.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TransitionRefusal {
    /// The state that the entity is in; none where it tells none.
    pub state: Option<String>,
    /// What was asked for.
    pub asked: Move,
    /// Why not.
    pub reason: RefusalReason,
    /// The events that lead on from the state, and where each leads to.
    pub allowed: Vec<(String, String)>,
}

/// What an entity is asked to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Move {
    /// To follow an event.
    Event(String),
    /// To go to a state.
    To(String),
}

/// Why an entity is not led from its state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RefusalReason {
    /// The state is final: it is never left.
    Final,
    /// From this state, the event or the transition does not lead on.
    NotAllowed,
    /// The machine has no such event, or no such state to go to.
    UnknownMove,
    /// The machine does not know the state that the entity is in.
    UnknownState,
}

/// What a machine answers to what was asked of an entity in this state.
pub fn transition_refusal(
    state: Option<String>,
    asked: Move,
    reason: RefusalReason,
    allowed: Vec<(String, String)>,
) -> TransitionRefusal {
    TransitionRefusal {
        state,
        asked,
        reason,
        allowed,
    }
}

impl TransitionRefusal {
    /// The names of the events that are allowed.
    fn events(&self) -> String {
        let events: Vec<_> = self
            .allowed
            .iter()
            .map(|(event, _)| event.as_str())
            .collect();
        events.join(", ")
    }
}

impl fmt::Display for TransitionRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let asked = match &self.asked {
            Move::Event(event) => format!("the event {event:?}"),
            Move::To(to) => format!("a transition to {to:?}"),
        };
        match (&self.state, self.reason) {
            (None, _) => write!(f, "it tells no state that {asked} could lead on from"),
            (Some(state), RefusalReason::Final) => {
                write!(f, "{state:?} is final, and {asked} does not leave it")
            }
            (Some(state), RefusalReason::UnknownState) => {
                write!(f, "its state {state:?} is not one of its lifecycle's")
            }
            (Some(_), RefusalReason::UnknownMove) => {
                let events = self.events();
                write!(f, "its lifecycle does not know {asked}; expected {events}")
            }
            (Some(state), RefusalReason::NotAllowed) => {
                let events = self.events();
                write!(
                    f,
                    "{asked} does not lead on from {state:?}; expected {events}"
                )
            }
        }
    }
}

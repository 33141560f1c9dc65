//! Whether a recorded history of one record is linearizable: whether there is one order of its calls, in
//! which each takes effect at an instant between its invocation and its response, that explains every
//! answer. The records of a history are independent, so each is searched by itself.
//!
//! The search is that of Wing and Gong, with the memory of Lowe: what was tried once from a set of calls
//! and a state is not tried again.

use std::collections::{BTreeMap, HashSet};

use mortise_store::Revision;

/// A body, by which a write is known: no two writes of a history write the same.
pub(crate) type Body = u32;

/// What a call asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Load,
    Create(Body),
    Update(Body, Option<Revision>),
    Delete(Option<Revision>),
}

/// What it was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The record that was loaded.
    Loaded(Option<(Body, Revision)>),
    /// Written, at this revision.
    Wrote(Revision),
    Deleted,
    AlreadyExists,
    NotFound,
    /// With the current record.
    Conflict(Body, Revision),
    /// It may have happened, at any time since.
    Unknown,
}

/// One call. Its instants are those of one counter for all callers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) invoked: u64,
    pub(crate) returned: u64,
    pub(crate) action: Action,
    pub(crate) answer: Answer,
}

/// How far the calls can be explained, where they cannot all be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unexplained {
    /// How many calls have an order that explains them.
    pub(crate) explained: usize,
    /// The calls of which one had to come next, and none fits.
    pub(crate) next: Vec<Event>,
    /// The body of the record there.
    pub(crate) state: Option<Body>,
}

/// Finds an order that explains all of these calls of one record, which is not there at first.
pub(crate) fn explain(events: &[Event]) -> Result<(), Unexplained> {
    let bodies = bodies_by_revision(events);
    let must = |event: &Event| event.answer != Answer::Unknown;
    let all = events.iter().filter(|event| must(event)).count();
    let start = Place {
        taken: vec![0; events.len().div_ceil(64)],
        state: None,
    };
    let mut seen = HashSet::from([start.clone()]);
    let mut open = vec![start];
    let mut farthest: Option<(usize, Place)> = None;
    while let Some(place) = open.pop() {
        let explained = (0..events.len()).filter(|&index| place.has(index) && must(&events[index]));
        let explained = explained.count();
        if explained == all {
            return Ok(());
        }
        for index in place.next(events) {
            if let Some(state) = after(place.state, &events[index], &bodies) {
                let further = place.with(index, state);
                if seen.insert(further.clone()) {
                    open.push(further);
                }
            }
        }
        if farthest.as_ref().is_none_or(|(most, _)| explained > *most) {
            farthest = Some((explained, place));
        }
    }
    let (explained, place) = farthest.expect("the start was looked at");
    let next = place.next(events).map(|index| events[index]);
    Err(Unexplained {
        explained,
        next: next.filter(must).collect(),
        state: place.state,
    })
}

/// Which calls have taken effect, and what they have left.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Place {
    /// One bit for each call.
    taken: Vec<u64>,
    state: Option<Body>,
}

impl Place {
    fn has(&self, index: usize) -> bool {
        self.taken[index / 64] >> (index % 64) & 1 == 1
    }

    fn with(&self, index: usize, state: Option<Body>) -> Self {
        let mut taken = self.taken.clone();
        taken[index / 64] |= 1 << (index % 64);
        Self { taken, state }
    }

    /// The calls of which any may come next: those that were invoked before any other had to be over.
    fn next<'a>(&self, events: &'a [Event]) -> impl Iterator<Item = usize> + use<'a> {
        let left: Vec<usize> = (0..events.len())
            .filter(|&index| !self.has(index))
            .collect();
        let over = left.iter().map(|&index| match events[index].answer {
            Answer::Unknown => u64::MAX,
            _ => events[index].returned,
        });
        let first_over = over.min().unwrap_or(u64::MAX);
        left.into_iter()
            .filter(move |&index| events[index].invoked < first_over)
    }
}

/// The state after a call that takes effect on `state`; none where the call cannot be answered so.
fn after(
    state: Option<Body>,
    event: &Event,
    bodies: &BTreeMap<Revision, Body>,
) -> Option<Option<Body>> {
    // A revision that no answer names is none that this record ever had in sight of anybody.
    let is_current = |expect: Option<Revision>| match expect {
        None => state.is_some(),
        Some(revision) => state.is_some() && state == bodies.get(&revision).copied(),
    };
    let known = |body: Body, revision: Revision| bodies.get(&revision) == Some(&body);
    match (event.action, event.answer) {
        (Action::Load, Answer::Loaded(None)) => state.is_none().then_some(state),
        (Action::Load, Answer::Loaded(Some((body, revision)))) => {
            (state == Some(body) && known(body, revision)).then_some(state)
        }
        (Action::Create(body), Answer::Wrote(_)) => state.is_none().then_some(Some(body)),
        (Action::Create(_), Answer::AlreadyExists) => state.is_some().then_some(state),
        (Action::Update(body, expect), Answer::Wrote(_)) => {
            is_current(expect).then_some(Some(body))
        }
        (Action::Delete(expect), Answer::Deleted) => is_current(expect).then_some(None),
        (Action::Update(..) | Action::Delete(_), Answer::NotFound) => {
            state.is_none().then_some(state)
        }
        (
            Action::Update(_, expect @ Some(_)) | Action::Delete(expect @ Some(_)),
            Answer::Conflict(body, revision),
        ) => {
            let fits = state == Some(body) && known(body, revision) && !is_current(expect);
            fits.then_some(state)
        }
        // It happened, if it could.
        (Action::Create(body), Answer::Unknown) => state.is_none().then_some(Some(body)),
        (Action::Update(body, expect), Answer::Unknown) => is_current(expect).then_some(Some(body)),
        (Action::Delete(expect), Answer::Unknown) => is_current(expect).then_some(None),
        (Action::Load, Answer::Unknown) => Some(state),
        _ => None,
    }
}

/// What was written at each revision that an answer names. Where two answers differ, the first counts,
/// and nothing explains the other.
fn bodies_by_revision(events: &[Event]) -> BTreeMap<Revision, Body> {
    let mut bodies = BTreeMap::new();
    for event in events {
        let named = match (event.action, event.answer) {
            (Action::Create(body) | Action::Update(body, _), Answer::Wrote(revision)) => {
                Some((revision, body))
            }
            (_, Answer::Loaded(Some((body, revision))) | Answer::Conflict(body, revision)) => {
                Some((revision, body))
            }
            _ => None,
        };
        if let Some((revision, body)) = named {
            bodies.entry(revision).or_insert(body);
        }
    }
    bodies
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Calls as (invoked, returned, action, answer).
    fn history(events: &[(u64, u64, Action, Answer)]) -> Result<(), Unexplained> {
        let event = |&(invoked, returned, action, answer): &_| Event {
            invoked,
            returned,
            action,
            answer,
        };
        explain(&events.iter().map(event).collect::<Vec<_>>())
    }

    use Action::{Create, Delete, Load, Update};
    use Answer::{AlreadyExists, Conflict, Deleted, Loaded, NotFound, Unknown, Wrote};

    #[test]
    fn calls_one_after_another_are_explained() {
        history(&[
            (1, 2, Load, Loaded(None)),
            (3, 4, Create(1), Wrote(10)),
            (5, 6, Create(2), AlreadyExists),
            (7, 8, Update(3, Some(10)), Wrote(11)),
            (9, 10, Update(4, Some(10)), Conflict(3, 11)),
            (11, 12, Load, Loaded(Some((3, 11)))),
            (13, 14, Delete(Some(11)), Deleted),
            (15, 16, Delete(None), NotFound),
        ])
        .unwrap();
        history(&[]).unwrap();
    }

    #[test]
    fn calls_that_overlap_may_have_happened_in_any_order() {
        for seen in [None, Some((1, 10)), Some((2, 11))] {
            history(&[
                (1, 6, Create(1), Wrote(10)),
                (2, 5, Update(2, None), Wrote(11)),
                (3, 4, Load, Loaded(seen)),
            ])
            .unwrap();
        }
    }

    #[test]
    fn a_stale_read_is_found() {
        let found = history(&[
            (1, 2, Create(1), Wrote(10)),
            (3, 4, Update(2, None), Wrote(11)),
            (5, 6, Load, Loaded(Some((1, 10)))),
        ]);
        let found = found.unwrap_err();
        assert_eq!((found.explained, found.state), (2, Some(2)));
        assert_eq!(found.next[0].action, Load);
        // A record that was read does not go back either, though the write is still under way.
        history(&[
            (1, 2, Create(1), Wrote(10)),
            (3, 20, Update(2, None), Wrote(11)),
            (4, 5, Load, Loaded(Some((2, 11)))),
            (6, 7, Load, Loaded(Some((1, 10)))),
        ])
        .unwrap_err();
    }

    #[test]
    fn a_lost_update_is_found() {
        history(&[
            (1, 2, Create(1), Wrote(10)),
            (3, 6, Update(2, Some(10)), Wrote(11)),
            (4, 5, Update(3, Some(10)), Wrote(12)),
        ])
        .unwrap_err();
    }

    #[test]
    fn two_creators_are_found() {
        history(&[(1, 4, Create(1), Wrote(10)), (2, 3, Create(2), Wrote(11))]).unwrap_err();
    }

    #[test]
    fn a_conflict_with_a_record_that_is_not_the_current_one_is_found() {
        history(&[
            (1, 2, Create(1), Wrote(10)),
            (3, 4, Update(2, None), Wrote(11)),
            (5, 6, Update(3, Some(10)), Conflict(1, 10)),
        ])
        .unwrap_err();
        history(&[
            (1, 2, Create(1), Wrote(10)),
            (3, 4, Update(3, Some(10)), Conflict(1, 10)),
        ])
        .unwrap_err();
    }

    #[test]
    fn a_write_in_doubt_may_have_happened_or_not_but_not_undone_itself() {
        let unknown = (3, 4, Update(2, None), Unknown);
        let create = (1, 2, Create(1), Wrote(10));
        history(&[create, unknown, (5, 6, Load, Loaded(Some((1, 10))))]).unwrap();
        history(&[create, unknown, (5, 6, Load, Loaded(Some((2, 11))))]).unwrap();
        history(&[
            create,
            unknown,
            (5, 6, Load, Loaded(Some((1, 10)))),
            (7, 8, Load, Loaded(Some((2, 11)))),
        ])
        .unwrap();
        history(&[
            create,
            unknown,
            (5, 6, Load, Loaded(Some((2, 11)))),
            (7, 8, Load, Loaded(Some((1, 10)))),
        ])
        .unwrap_err();
    }

    #[test]
    fn two_bodies_at_one_revision_are_found() {
        history(&[
            (1, 2, Create(1), Wrote(10)),
            (3, 4, Update(2, None), Wrote(10)),
            (5, 6, Load, Loaded(Some((2, 10)))),
        ])
        .unwrap_err();
    }

    #[test]
    fn a_long_history_of_many_callers_is_searched_at_once() {
        // Six callers whose calls all overlap with one another's, of which every answer names the last.
        let mut events = Vec::new();
        let mut revision = 1;
        events.push((0, 1, Create(0), Wrote(revision)));
        for round in 0..40u32 {
            let start = 10 + u64::from(round) * 100;
            for caller in 0..6u32 {
                let body = 1 + round * 6 + caller;
                revision += 1;
                let at = u64::from(caller);
                events.push((
                    start + at,
                    start + 50 - at,
                    Update(body, None),
                    Wrote(revision),
                ));
            }
        }
        history(&events).unwrap();
        let last = revision + 1;
        events.push((9_000, 9_001, Load, Loaded(Some((7_777, last)))));
        assert_eq!(history(&events).unwrap_err().explained, 241);
    }
}

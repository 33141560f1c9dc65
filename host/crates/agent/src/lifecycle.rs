//! The lifecycle of entities: every transition by compare-and-set, together with its history.

use mortise_store::inside::{ErrorInside as _, Later, StoreInside as _};
use mortise_store::limits::MAX_PAGE_RECORDS;
use mortise_store::{
    Attribute, Draft, Error, ErrorKind, Key, Move, Operation, Result, Revision, Store, Stored,
    Timestamp, TransitionRefusal, Write,
};

use crate::decode::decode;
use crate::history::{self, HistoryPage, Transition};
use crate::json::Object;
use crate::machine::{Machine, STATUS};
use crate::pages::EmptyPages;
use crate::retry::Attempts;
use crate::versioned::Versioned;

/// Leads the entities of a collection from state to state. Cheap to clone.
///
/// A transition is written by compare-and-set, in one batch with a record of it: state and history always
/// agree. Of two who want the same one at once, one makes it; the other is told the state that it led to. The rest
/// of the entity stays as it is, digit by digit.
///
/// It works on any record whose body is a JSON object: jobs and cases, agent tasks
/// ([`Machine::agent_task`]), tasks of A2A, and whatever has a [`Machine`] of its own.
///
/// ```no_run
/// # async fn example(store: mortise_store::Store) -> mortise_store::Result<()> {
/// use mortise_agent::{Lifecycle, Machine};
///
/// let jobs = Lifecycle::new(store, "job", Machine::entity());
/// jobs.handle_event("job-1", "start_work", "worker-3").await?;
/// match jobs.handle_event("job-1", "cancel_confirmed", "ann").await {
///     Ok(made) => println!("{}", made.transition.to),
///     Err(error) => match error.transition_refusal() {
///         Some(refusal) => println!("it is {:?}", refusal.state),
///         None => return Err(error),
///     },
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Lifecycle {
    store: Store,
    collection: String,
    machine: Machine,
}

/// A transition that was made.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Transitioned {
    /// What the history has of it.
    pub transition: Transition,
    /// The entity as it is now.
    pub entity: Versioned<Object>,
}

/// Where in the batch it is, after the entity and its history.
pub(crate) const BESIDE: usize = 2;

/// What has to be written in the same batch as a transition to this state.
pub(crate) type Beside<'a> = &'a (dyn Fn(&str) -> Result<Write> + Send + Sync);

impl Lifecycle {
    /// Leads the entities of this collection.
    pub fn new(store: Store, collection: impl Into<String>, machine: &Machine) -> Self {
        Self {
            store,
            collection: collection.into(),
            machine: machine.clone(),
        }
    }

    /// The store beneath.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The collection whose entities it leads.
    pub fn collection(&self) -> &str {
        &self.collection
    }

    /// The states and the events.
    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    /// Leads an entity to where an event leads from its state. `by` says who does it, for the history.
    ///
    /// # Errors
    ///
    /// `InvalidTransition` where the event does not lead on from the state
    /// ([`Error::transition_refusal`]); `NotFound`; `Corrupt` where the record is no JSON object;
    /// `Conflict` where others were faster 256 times; those of [`Store::load`] and [`Store::apply`].
    pub async fn handle_event(&self, id: &str, event: &str, by: &str) -> Result<Transitioned> {
        let asked = Move::Event(event.to_owned());
        let (made, _) = self.lead(id, asked, by, None).await?;
        Ok(made)
    }

    /// Leads an entity to a state, by the first event that leads there from its own.
    ///
    /// # Errors
    ///
    /// As [`handle_event`](Self::handle_event).
    pub async fn transition(&self, id: &str, to: &str, by: &str) -> Result<Transitioned> {
        let asked = Move::To(to.to_owned());
        let (made, _) = self.lead(id, asked, by, None).await?;
        Ok(made)
    }

    /// Every transition of an entity, oldest first; none where there is no such entity.
    /// [`history_page`](Self::history_page) answers them page by page.
    ///
    /// # Errors
    ///
    /// Those of [`Store::find`]; `Corrupt` where a record is no transition.
    pub async fn history(&self, id: &str) -> Result<Vec<Transition>> {
        let (mut all, mut after) = (Vec::new(), None);
        let mut empty = EmptyPages::default();
        loop {
            let page = self.history_page(id, after, MAX_PAGE_RECORDS).await?;
            empty.seen(&self.store, page.transitions.len())?;
            all.extend(page.transitions);
            after = page.next;
            if after.is_none() {
                return Ok(all);
            }
        }
    }

    /// One page of an entity's transitions, 1 to 1,000, oldest first.
    ///
    /// # Errors
    ///
    /// As [`history`](Self::history).
    pub async fn history_page(
        &self,
        id: &str,
        after: Option<String>,
        limit: u32,
    ) -> Result<HistoryPage> {
        history::page(&self.store, &self.collection, id, after, limit).await
    }

    /// Makes a transition, with another write where there is one; and the revisions of the batch.
    pub(crate) fn lead<'a>(
        &'a self,
        id: &'a str,
        asked: Move,
        by: &'a str,
        beside: Option<Beside<'a>>,
    ) -> Later<'a, Result<(Transitioned, Vec<Revision>)>> {
        Box::pin(async move {
            let mut attempts = Attempts::default();
            loop {
                match self.try_to_lead(id, &asked, by, beside).await {
                    Ok(made) => return Ok(made),
                    // It is not the entity that others were faster at, or there is none.
                    Err(error) if error.write_index().is_none_or(|index| index >= BESIDE) => {
                        return Err(error);
                    }
                    Err(error) => attempts.again(error).await?,
                }
            }
        })
    }

    async fn try_to_lead(
        &self,
        id: &str,
        asked: &Move,
        by: &str,
        beside: Option<Beside<'_>>,
    ) -> Result<(Transitioned, Vec<Revision>)> {
        let operation = Operation::Update;
        let told = |error: Error| error.with_operation(operation);
        let key = Key::new(&self.collection, id);
        let there = self.store.load(&key).await.map_err(told)?;
        let there = there.ok_or_else(|| {
            Error::new(ErrorKind::NotFound, operation, "there is no such record")
                .with_backend(self.store.backend())
                .with_key(key.clone())
        })?;
        let mut entity: Versioned<Object> =
            decode(&self.store, operation, &self.collection, &there).await?;
        let transition = self.step(&entity.value, id, asked, by).map_err(|refusal| {
            Error::invalid_transition(operation, refusal)
                .with_backend(self.store.backend())
                .with_key(key)
        })?;
        let draft = self.draft(&mut entity.value, &there, &transition)?;
        let left = there.revision();
        let mut batch = vec![
            Write::update(draft, left),
            history::append(&self.collection, left, &transition, entity.expires_at)?,
        ];
        if let Some(beside) = beside {
            batch.push(beside(&transition.to)?);
        }
        let revisions = self.store.apply(batch).await.map_err(told)?;
        entity.revision = revisions[0];
        Ok((Transitioned { transition, entity }, revisions))
    }

    /// The transition that is asked for, if the machine has it.
    fn step(
        &self,
        entity: &Object,
        id: &str,
        asked: &Move,
        by: &str,
    ) -> Result<Transition, TransitionRefusal> {
        let state = self.machine.state_of(entity);
        let from = state.as_deref().unwrap_or_default();
        let found = match asked {
            Move::Event(event) => self
                .machine
                .after(from, event)
                .map(|to| (event.as_str(), to)),
            Move::To(to) => {
                let event = self.machine.event_between(from, to);
                event.map(|event| (event, to.as_str()))
            }
        };
        match found {
            Some((event, to)) => Ok(Transition {
                entity: id.to_owned(),
                from: from.to_owned(),
                event: event.to_owned(),
                to: to.to_owned(),
                by: by.to_owned(),
                at: rfc3339(self.store.now()),
            }),
            None => Err(self.machine.refuse(state, asked.clone())),
        }
    }

    /// The record of an entity after a transition.
    fn draft(&self, entity: &mut Object, there: &Stored, transition: &Transition) -> Result<Draft> {
        let Transition { to, at, .. } = transition;
        let no_place = |error| {
            let message =
                "the entity has no place for its state or a time: a field on the path is no object";
            Error::invalid(Operation::Update, message)
                .with_key(there.key().clone())
                .with_source(error)
        };
        let times = self.machine.times(to).map(|path| (path, at.as_str()));
        for (path, text) in std::iter::once((self.machine.status(), to.as_str())).chain(times) {
            entity.set_text_at(path, text).map_err(no_place)?;
        }
        let mut draft = there.draft.clone();
        draft.body = serde_json::to_vec(entity).map_err(no_place)?;
        draft.attributes.retain(|pair| pair.name != STATUS);
        draft.attributes.push(Attribute::new(STATUS, to));
        Ok(draft)
    }
}

/// An instant as people and machines read it, in UTC.
fn rfc3339(at: Timestamp) -> String {
    let instant = i64::try_from(at).map(jiff::Timestamp::from_millisecond);
    match instant {
        Ok(Ok(instant)) => format!("{instant:.3}"),
        // The host's clock is centuries away.
        _ => at.to_string(),
    }
}

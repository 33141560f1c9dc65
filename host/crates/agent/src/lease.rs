//! Leases: who works on an entity, and until when.

use std::time::Duration;

use mortise_store::inside::{ErrorInside as _, StoreInside as _};
use mortise_store::limits::MAX_TIMESTAMP;
use mortise_store::{
    Attribute, Draft, Error, ErrorKind, Key, Move, Operation, Result, Revision, Store, Timestamp,
    Write,
};
use serde::{Deserialize, Serialize};

use crate::json::Object;
use crate::kind::lease_key;
use crate::lifecycle::{BESIDE, Lifecycle, Transitioned};
use crate::versioned::Versioned;

/// The attribute of a lease with its owner.
const OWNER: &str = "owner";

/// Who has an entity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LeaseHolder {
    /// Who.
    pub owner: String,
    /// Until when, unless the lease is renewed, in milliseconds since 1970.
    pub until: Timestamp,
}

/// An entity that an owner has for a while. Dropping it leaves the lease to run out;
/// [`release`](Self::release) gives it back at once.
#[derive(Debug)]
pub struct Lease {
    pub(crate) lifecycle: Lifecycle,
    pub(crate) id: String,
    pub(crate) holder: LeaseHolder,
    pub(crate) duration: Duration,
    pub(crate) revision: Revision,
    pub(crate) entity: Versioned<Object>,
}

impl Lease {
    /// The entity's id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The entity as it was when it was claimed, or after the last transition under this lease.
    pub fn entity(&self) -> &Versioned<Object> {
        &self.entity
    }

    /// Who has it, and until when.
    pub fn holder(&self) -> &LeaseHolder {
        &self.holder
    }

    /// Has the lease last for its whole duration again, from now on.
    ///
    /// # Errors
    ///
    /// `Conflict` where it ran out or others took it over: then the work on the entity is theirs, and must
    /// stop here. Those of [`Store::update`].
    pub async fn renew(&mut self) -> Result<()> {
        let (holder, draft) = self.renewed()?;
        let renewed = self.store().update(draft, Some(self.revision)).await;
        let stamp = renewed.map_err(|error| self.lost(error))?;
        (self.holder, self.revision) = (holder, stamp.mod_revision);
        Ok(())
    }

    /// As [`Lifecycle::handle_event`], by the owner, and only while the lease lasts, which is renewed with it. A
    /// transition to a final state gives it back.
    ///
    /// # Errors
    ///
    /// As [`Lifecycle::handle_event`]; `Conflict` as [`renew`](Self::renew), and nothing was written.
    pub async fn handle_event(&mut self, event: &str) -> Result<Transitioned> {
        self.lead(Move::Event(event.to_owned())).await
    }

    /// As [`Lifecycle::transition`], under the lease as [`handle_event`](Self::handle_event).
    ///
    /// # Errors
    ///
    /// As [`handle_event`](Self::handle_event).
    pub async fn transition(&mut self, to: &str) -> Result<Transitioned> {
        self.lead(Move::To(to.to_owned())).await
    }

    /// Gives the entity back before the lease runs out. Does nothing where it did.
    ///
    /// # Errors
    ///
    /// Those of [`Store::delete`].
    pub async fn release(self) -> Result<()> {
        let key = lease_key(self.lifecycle.collection(), &self.id);
        match self.store().delete(&key, Some(self.revision)).await {
            Err(error) if !error.is_not_found() && !error.is_conflict() => Err(error),
            _ => Ok(()),
        }
    }

    async fn lead(&mut self, asked: Move) -> Result<Transitioned> {
        let (holder, draft) = self.renewed()?;
        let key = draft.key.clone();
        let (machine, revision) = (self.lifecycle.machine(), self.revision);
        let beside = |to: &str| {
            Ok(match machine.is_final(to) {
                true => Write::delete(key.clone(), Some(revision)),
                false => Write::update(draft.clone(), revision),
            })
        };
        let led = self
            .lifecycle
            .lead(&self.id, asked, &self.holder.owner, Some(&beside));
        let (made, revisions) = led.await.map_err(|error| match error.write_index() {
            Some(BESIDE) => self.lost(error),
            _ => error,
        })?;
        (self.holder, self.entity) = (holder, made.entity.clone());
        self.revision = revisions.last().copied().unwrap_or(self.revision);
        Ok(made)
    }

    fn store(&self) -> &Store {
        self.lifecycle.store()
    }

    fn renewed(&self) -> Result<(LeaseHolder, Draft)> {
        let holder = LeaseHolder {
            owner: self.holder.owner.clone(),
            until: until(self.store(), self.duration),
        };
        let draft = draft(self.lifecycle.collection(), &self.id, &holder)?;
        Ok((holder, draft))
    }

    fn lost(&self, error: Error) -> Error {
        if !error.is_not_found() && !error.is_conflict() {
            return error;
        }
        let what = format!(
            "the lease of {:?} ran out, or was taken over",
            self.holder.owner
        );
        Error::new(ErrorKind::Conflict, Operation::Update, what)
            .with_backend(self.store().backend())
            .with_key(Key::new(self.lifecycle.collection(), &self.id))
            .with_hint("stop working on it, and claim it again")
    }
}

/// When a lease of this length that begins now runs out.
pub(crate) fn until(store: &Store, lease: Duration) -> Timestamp {
    let lease = u64::try_from(lease.as_millis()).unwrap_or(u64::MAX);
    store.now().saturating_add(lease).min(MAX_TIMESTAMP)
}

/// The record of a lease. The instant that counts is the one in its body: a store may keep records for longer
/// than they ask for.
pub(crate) fn draft(of: &str, id: &str, holder: &LeaseHolder) -> Result<Draft> {
    let body = serde_json::to_vec(holder).map_err(|error| {
        Error::invalid(Operation::Create, "the lease is no JSON").with_source(error)
    })?;
    let mut draft = Draft::new(lease_key(of, id), body).expires_at(holder.until);
    draft.attributes = vec![Attribute::new(OWNER, &holder.owner)];
    Ok(draft)
}

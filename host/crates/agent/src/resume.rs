//! Taking up after a restart what was not finished before it.

use std::time::Duration;

use mortise_store::inside::{ErrorInside as _, Later, StoreInside as _};
use mortise_store::{Error, Key, Operation, Result, Revision, Store, Stored};

use crate::decode::decode;
use crate::json::Object;
use crate::kind::lease_key;
use crate::lease::{Lease, LeaseHolder, draft, until};
use crate::lifecycle::Lifecycle;
use crate::machine::STATUS;
use crate::pages::{EmptyPages, EntityPage, EntityQuery, read_page};
use crate::retry::Attempts;
use crate::versioned::Versioned;

/// How many entities are looked at for one that nobody has.
const CLAIMED_AT_ONCE: u32 = 100;

/// Which entities to load after a restart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Scope {
    /// Those that are in a running state of the machine.
    #[default]
    Running,
    /// Those that are in one of these states.
    States(Vec<String>),
    /// All of the collection.
    All,
}

/// Finds what was running, and hands each entity to one owner at a time. Cheap to clone.
///
/// A host that starts asks for what was running and claims it. A claim is a *lease*: a record beside the
/// entity, taken by compare-and-set, that its owner renews while it works. Of any number of hosts that start at
/// once, one gets it. Once a lease ran out, because its owner is dead or was too slow to renew it, another
/// host may claim the entity; the transitions that the late owner still tries under its lease are refused.
///
/// Leases run by the clocks of the hosts: they must agree much better than a lease is long.
///
/// ```no_run
/// # async fn example(store: mortise_store::Store) -> mortise_store::Result<()> {
/// use std::time::Duration;
/// use mortise_agent::{Lifecycle, Machine, Resume};
///
/// let resume = Resume::new(Lifecycle::new(store, "job", Machine::entity()));
/// for mut lease in resume.take_over("host-7/4711", Duration::from_secs(30), 100).await? {
///     // … while it works, well before the lease runs out:
///     lease.renew().await?;
///     lease.handle_event("successfully_done").await?;
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Resume {
    lifecycle: Lifecycle,
}

/// What became of a claim.
#[derive(Debug)]
pub enum Claim {
    /// It is the owner's, as long as the lease lasts.
    Taken(Box<Lease>),
    /// Another owner has it.
    Held(LeaseHolder),
    /// There is nothing to resume: it is in this state, or tells none.
    NotRunning(Option<String>),
    /// There is no such entity.
    Absent,
}

impl Resume {
    /// Resumes the entities that this lifecycle leads.
    pub fn new(lifecycle: Lifecycle) -> Self {
        Self { lifecycle }
    }

    /// What leads the entities.
    pub fn lifecycle(&self) -> &Lifecycle {
        &self.lifecycle
    }

    /// One page of what was running, 1 to 1,000 entities. Go on with `next`; a page may be empty and have one.
    ///
    /// The states come one after the other, each oldest first. An entity that somebody leads from one running
    /// state to another meanwhile may come twice or not at all.
    ///
    /// # Errors
    ///
    /// As [`list`](Self::list).
    pub async fn running(&self, after: Option<&str>, limit: u32) -> Result<EntityPage> {
        self.list(&Scope::Running, after, limit).await
    }

    /// One page of the entities in this scope, as [`running`](Self::running).
    ///
    /// # Errors
    ///
    /// `Invalid` for a cursor that is not of this scope; `Corrupt` for JSON that is no object; those of
    /// [`Store::find`].
    pub async fn list(&self, scope: &Scope, after: Option<&str>, limit: u32) -> Result<EntityPage> {
        self.in_scope(scope, after, limit).await
    }

    fn in_scope<'a>(
        &'a self,
        scope: &'a Scope,
        after: Option<&'a str>,
        limit: u32,
    ) -> Later<'a, Result<EntityPage>> {
        Box::pin(async move {
            let states = match scope {
                Scope::All => return self.page(EntityQuery::default(), after, limit).await,
                Scope::Running => self
                    .lifecycle
                    .machine()
                    .running()
                    .map(str::to_owned)
                    .collect(),
                Scope::States(states) => states.clone(),
            };
            let (mut index, mut after) = match after {
                None => (0, None),
                Some(cursor) => self.read_cursor(cursor, states.len())?,
            };
            while let Some(state) = states.get(index) {
                let query = EntityQuery::by(STATUS, state);
                let page = self.page(query, after, limit).await?;
                let next = match page.next {
                    Some(cursor) => Some(format!("{index}:{cursor}")),
                    None => (index + 1 < states.len()).then(|| format!("{}:", index + 1)),
                };
                if !page.entities.is_empty() || next.is_none() {
                    return Ok(EntityPage { next, ..page });
                }
                (index, after) = match &next {
                    Some(cursor) if !cursor.ends_with(':') => {
                        return Ok(EntityPage { next, ..page });
                    }
                    _ => (index + 1, None),
                };
            }
            Ok(EntityPage::default())
        })
    }

    /// The state that a cursor goes on in, and where in it.
    fn read_cursor<'a>(&self, cursor: &'a str, states: usize) -> Result<(usize, Option<&'a str>)> {
        let read = || {
            let (index, rest) = cursor.split_once(':')?;
            let index = index.parse().ok().filter(|index| *index < states)?;
            Some((index, (!rest.is_empty()).then_some(rest)))
        };
        read().ok_or_else(|| {
            let what = "the cursor is none that an earlier page of this scope had as `next`";
            Error::invalid(Operation::Find, what).with_backend(self.store().backend())
        })
    }

    async fn page(
        &self,
        query: EntityQuery,
        after: Option<&str>,
        limit: u32,
    ) -> Result<EntityPage> {
        let query = EntityQuery {
            after: after.map(str::to_owned),
            limit,
            ..query
        };
        let collection = self.lifecycle.collection();
        read_page(self.store(), collection, query).await
    }

    /// Claims an entity for an owner, for so long. An owner's name must be its own: a host that starts anew
    /// takes another, or waits until its old lease ran out.
    ///
    /// # Errors
    ///
    /// `Invalid` where the owner has no name, or the lease no duration; `Corrupt` where the entity or the
    /// lease is damaged; those of [`Store::load_many`] and [`Store::create`].
    pub async fn claim(&self, id: &str, owner: &str, lease: Duration) -> Result<Claim> {
        self.try_to_claim(id, owner, lease).await
    }

    fn try_to_claim<'a>(
        &'a self,
        id: &'a str,
        owner: &'a str,
        lease: Duration,
    ) -> Later<'a, Result<Claim>> {
        Box::pin(async move {
            check(owner, lease)?;
            let keys = vec![self.key(id), lease_key(self.lifecycle.collection(), id)];
            let mut attempts = Attempts::default();
            loop {
                let mut there = self.store().load_many(keys.clone()).await?;
                let (held, entity) = (there.pop().flatten(), there.pop().flatten());
                if let Err(not_running) = self.still_running(entity).await? {
                    return Ok(not_running);
                }
                let held = match held {
                    None => None,
                    Some(stored) => Some(self.holder(&stored).await?),
                };
                let revision = match held {
                    Some(held) if held.until > self.store().now() => {
                        return Ok(Claim::Held(held.value));
                    }
                    // It ran out, and was not swept yet.
                    Some(held) => Some(held.revision),
                    None => None,
                };
                match self.take(id, owner, lease, revision).await {
                    Ok(claim) => return Ok(claim),
                    Err(error) => attempts.again(error).await?,
                }
            }
        })
    }

    /// Claims up to `limit` of what was running and nobody has.
    ///
    /// # Errors
    ///
    /// As [`running`](Self::running) and [`claim`](Self::claim). What was claimed until then is dropped, and
    /// its leases run out.
    pub async fn take_over(
        &self,
        owner: &str,
        lease: Duration,
        limit: usize,
    ) -> Result<Vec<Lease>> {
        check(owner, lease)?;
        let (mut leases, mut after) = (Vec::new(), None);
        let mut empty = EmptyPages::default();
        while leases.len() < limit {
            let page = self.running(after.as_deref(), CLAIMED_AT_ONCE).await?;
            empty.seen(self.store(), page.ids.len())?;
            let holders = self.holders(&page.ids).await?;
            for (id, held) in page.ids.iter().zip(holders) {
                if leases.len() < limit
                    && held.is_none()
                    && let Claim::Taken(taken) = self.claim(id, owner, lease).await?
                {
                    leases.push(*taken);
                }
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        Ok(leases)
    }

    /// Who has each of these entities now, in the order asked; none where nobody has.
    ///
    /// # Errors
    ///
    /// `Corrupt` where a lease is damaged; those of [`Store::load_many`].
    pub async fn holders(&self, ids: &[String]) -> Result<Vec<Option<LeaseHolder>>> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let keys = ids
            .iter()
            .map(|id| lease_key(self.lifecycle.collection(), id));
        let leases = self.store().load_many(keys.collect()).await?;
        let mut holders = Vec::with_capacity(leases.len());
        for stored in leases {
            let held = match stored {
                None => None,
                Some(stored) => Some(self.holder(&stored).await?.value),
            };
            holders.push(held.filter(|held| held.until > self.store().now()));
        }
        Ok(holders)
    }

    fn store(&self) -> &Store {
        self.lifecycle.store()
    }

    fn key(&self, id: &str) -> Key {
        Key::new(self.lifecycle.collection(), id)
    }

    async fn holder(&self, stored: &Stored) -> Result<Versioned<LeaseHolder>> {
        decode(self.store(), Operation::Load, "lease", stored).await
    }

    /// The entity, where it is one to be resumed; else what to answer.
    async fn still_running(
        &self,
        stored: Option<Stored>,
    ) -> Result<Result<Versioned<Object>, Claim>> {
        let Some(stored) = stored else {
            return Ok(Err(Claim::Absent));
        };
        let collection = self.lifecycle.collection();
        let entity: Versioned<Object> =
            decode(self.store(), Operation::Load, collection, &stored).await?;
        let machine = self.lifecycle.machine();
        Ok(match machine.state_of(&entity) {
            Some(state) if machine.is_running(&state) => Ok(entity),
            state => Err(Claim::NotRunning(state)),
        })
    }

    /// Takes the lease, on what is left of one that ran out at `revision`, and looks at the entity again:
    /// who had the lease until now may have brought it to its end.
    async fn take(
        &self,
        id: &str,
        owner: &str,
        duration: Duration,
        revision: Option<Revision>,
    ) -> Result<Claim> {
        let holder = LeaseHolder {
            owner: owner.to_owned(),
            until: until(self.store(), duration),
        };
        let draft = draft(self.lifecycle.collection(), id, &holder)?;
        let stamp = match revision {
            None => self.store().create(draft).await?,
            Some(_) => self.store().update(draft, revision).await?,
        };
        let stored = self.store().load(&self.key(id)).await?;
        let running = self.still_running(stored).await?;
        let mut lease = Lease {
            lifecycle: self.lifecycle.clone(),
            id: id.to_owned(),
            holder,
            duration,
            revision: stamp.mod_revision,
            entity: Versioned::new(Object::default(), 0),
        };
        match running {
            Ok(entity) => {
                lease.entity = entity;
                Ok(Claim::Taken(Box::new(lease)))
            }
            Err(not_running) => {
                lease.release().await?;
                Ok(not_running)
            }
        }
    }
}

fn check(owner: &str, lease: Duration) -> Result<()> {
    let what = match (owner, lease.as_millis()) {
        ("", _) => "the owner of a lease has no name",
        (_, 0) => "the lease lasts for less than a millisecond",
        _ => return Ok(()),
    };
    Err(Error::invalid(Operation::Create, what))
}

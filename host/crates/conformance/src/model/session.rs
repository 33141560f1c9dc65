//! A script run on a store and on the model side by side.

use std::collections::{BTreeMap, BTreeSet};

use super::answer::{Answer, Expected, done, stamp, told};
use super::contract::{Model, position};
use super::script::{self, Call, Expect, Find, Imported, Name, Seen};
use crate::clause::Finding;
use crate::world::{START, Subject};
use mortise_store::{
    Draft, Key, Order, Page, Precondition, Put, Query, Remove, Result, Revision, Stamp, Store,
    Stored, Write,
};

/// One call, what it was answered, and what the model says.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Step {
    /// The call, as a line of a script.
    pub call: String,
    /// What the backend answered.
    pub answer: String,
    /// What the contract's model expects.
    pub expected: String,
    /// Whether they agree.
    pub agrees: bool,
}

/// A store and its model.
pub(super) struct Session {
    subject: Subject,
    /// None while it is reopened.
    store: Option<Store>,
    namespace: String,
    /// How often the session moved to another store.
    moves: u32,
    model: Model,
    /// Of each query that has a next page: its cursor, and the position that it stands for.
    cursors: BTreeMap<String, (String, Option<Revision>)>,
}

impl Session {
    /// A session on an empty store of its own: no other may have this name.
    pub(super) async fn start(subject: &Subject, name: &str) -> Result<Self, Finding> {
        subject.clock().set(START);
        let store = open(subject, name).await?;
        let revision = probe(&store).await?;
        Ok(Self {
            subject: subject.clone(),
            store: Some(store),
            namespace: name.to_owned(),
            moves: 0,
            model: Model::new(revision, START),
            cursors: BTreeMap::new(),
        })
    }

    /// Runs calls until one is answered otherwise than the model says; each with its answer.
    pub(super) async fn run(&mut self, calls: &[Call]) -> Result<Vec<Step>, Finding> {
        let mut steps = Vec::new();
        for call in calls {
            let (answer, expected) = self.call(call).await?;
            let agrees = expected.allows(&answer);
            steps.push(Step {
                call: script::line(call),
                answer: told(&answer),
                expected: expected.told(),
                agrees,
            });
            if !agrees {
                break;
            }
        }
        Ok(steps)
    }

    fn store(&self) -> Result<&Store, Finding> {
        let store = self.store.as_ref();
        store.ok_or_else(|| Finding::broken("the store did not open again"))
    }

    async fn call(&mut self, call: &Call) -> Result<(Answer, Expected), Finding> {
        let exactly = |answer| Expected::Exactly(answer);
        let now = self.model.now;
        Ok(match call {
            Call::Create(draft) => {
                let draft = draft.draft(now);
                let answer = self.store()?.create(draft.clone()).await;
                let expected = self.model.create(draft);
                (stamp(answer), exactly(stamp(expected)))
            }
            Call::Update { draft, expect } => {
                let draft = draft.draft(now);
                let expect = expect.map(|seen| self.revision(&draft.key, seen));
                let answer = self.store()?.update(draft.clone(), expect).await;
                let expected = self.model.update(draft, expect);
                (stamp(answer), exactly(stamp(expected)))
            }
            Call::Delete { key, expect } => {
                let key = key.key();
                let expect = expect.map(|seen| self.revision(&key, seen));
                let answer = self.store()?.delete(&key, expect).await;
                let expected = self.model.delete(&key, expect);
                (done(answer), exactly(done(expected)))
            }
            Call::Load(name) => {
                let loaded = self.store()?.load(&name.key()).await;
                let answer = loaded.map_or_else(Answer::from, Answer::Record);
                let expected = self.model.load(&name.key()).cloned();
                (answer, exactly(Answer::Record(expected)))
            }
            Call::LoadMany(names) => {
                let keys: Vec<Key> = names.iter().map(Name::key).collect();
                let expected = keys
                    .iter()
                    .map(|key| self.model.load(key).cloned())
                    .collect();
                let loaded = self.store()?.load_many(keys).await;
                let answer = loaded.map_or_else(Answer::from, Answer::Records);
                (answer, exactly(Answer::Records(expected)))
            }
            Call::Apply(batch) => {
                let batch: Vec<Write> = batch.iter().map(|write| self.write(write)).collect();
                let batch = without_repeats(batch, |write| write.key().clone());
                let answer = self.store()?.apply(batch.clone()).await;
                let answer = answer.map_or_else(Answer::from, Answer::Revisions);
                let expected = self.model.apply(batch);
                let expected = expected.map_or_else(Answer::Refused, Answer::Revisions);
                (answer, exactly(expected))
            }
            Call::Find(find) => self.find(find).await?,
            Call::Export { limit, next } => self.export(*limit, *next).await?,
            Call::Import(records) => self.import(records).await?,
            Call::Sweep(limit) => {
                let answer = self.store()?.sweep(*limit).await;
                let answer = answer.map_or_else(Answer::from, |swept| Answer::Count(swept.into()));
                (answer, Expected::AtMost(self.model.sweep(*limit).into()))
            }
            Call::Clear(collection) => {
                let answer = self.store()?.clear(collection.as_deref()).await;
                let expected = self.model.clear(collection.as_deref());
                let answer = answer.map_or_else(Answer::from, Answer::Count);
                (answer, exactly(Answer::Count(expected)))
            }
            Call::Statistics => {
                let answer = self.store()?.statistics().await;
                let answer = answer.map_or_else(Answer::from, Answer::Statistics);
                (answer, exactly(Answer::Statistics(self.model.statistics())))
            }
            Call::Health => {
                let answer = self.store()?.health().await;
                (done(answer), exactly(Answer::Done))
            }
            Call::TurnClock(by) => {
                self.model.now = now.saturating_add(*by);
                self.subject.clock().set(self.model.now);
                (Answer::Done, exactly(Answer::Done))
            }
            Call::Reopen => {
                if self.subject.description().durable {
                    drop(self.store.take());
                    self.store = Some(open(&self.subject, &self.namespace).await?);
                }
                (Answer::Done, exactly(Answer::Done))
            }
            Call::Move => {
                let moved = self.move_elsewhere().await?;
                (moved, exactly(Answer::Done))
            }
        })
    }

    async fn find(&mut self, find: &Find) -> Result<(Answer, Expected), Finding> {
        let order = match find.updated {
            true => Order::Updated,
            false => Order::Created,
        };
        let of_query = (
            &find.collection,
            &find.attributes,
            order as u8,
            find.descending,
        );
        let name = format!("find {of_query:?}");
        let (cursor, after) = self.cursor(&name, find.next);
        let query = Query {
            collection: find.collection.clone(),
            attributes: without_repeats(script::attributes(&find.attributes), Clone::clone),
            order,
            descending: find.descending,
            after: cursor,
            limit: find.limit,
            bodies: !find.without_bodies,
        };
        let expected = self.model.find(&query, after);
        let answer = self.store()?.find(query).await;
        Ok(self.page(
            name,
            order,
            after,
            answer,
            Expected::PageOf(expected, find.limit),
        ))
    }

    async fn export(&mut self, limit: u32, next: bool) -> Result<(Answer, Expected), Finding> {
        let name = "export".to_owned();
        let (cursor, after) = self.cursor(&name, next);
        let expected = self.model.export(after);
        let answer = self.store()?.export(cursor, limit).await;
        let expected = Expected::PageOf(expected, limit);
        Ok(self.page(name, Order::Created, after, answer, expected))
    }

    fn cursor(&self, name: &str, next: bool) -> (Option<String>, Option<Revision>) {
        match self.cursors.get(name) {
            Some((cursor, after)) if next => (Some(cursor.clone()), *after),
            _ => (None, None),
        }
    }

    /// Keeps where the next page starts.
    fn page(
        &mut self,
        name: String,
        order: Order,
        after: Option<Revision>,
        answer: Result<Page>,
        expected: Expected,
    ) -> (Answer, Expected) {
        let page = match answer {
            Ok(page) => page,
            Err(error) => return (error.into(), expected),
        };
        let last = page.records.last().map(|record| position(record, order));
        let has_next = page.next.is_some();
        match page.next {
            Some(cursor) => self.cursors.insert(name, (cursor, last.or(after))),
            None => self.cursors.remove(&name),
        };
        (Answer::Page(page.records, has_next), expected)
    }

    async fn import(&mut self, records: &[Imported]) -> Result<(Answer, Expected), Finding> {
        let records: Vec<Stored> = (1..)
            .zip(records)
            .filter_map(|(number, imported)| self.imported(imported, number))
            .collect();
        let mut records = without_repeats(records, |record| record.key().clone());
        // What two records of one import may have in common is nobody's promise.
        let mut revisions = BTreeSet::new();
        records.retain(|record| {
            let own = BTreeSet::from([record.stamp.create_revision, record.stamp.mod_revision]);
            let is_free = revisions.is_disjoint(&own);
            revisions.extend(own);
            is_free
        });
        let store = self.store()?;
        let answer = store.import(records.clone()).await;
        let imported = answer.is_ok();
        let answer = done(answer);
        let expected = match self.model.import(records) {
            Ok(()) => Expected::Exactly(Answer::Done),
            Err(refusals) => Expected::AnyOf(refusals.into_iter().map(Answer::Refused).collect()),
        };
        if imported {
            self.continue_above().await?;
        }
        Ok((answer, expected))
    }

    /// Later revisions continue above the highest; by how much is the backend's own affair.
    async fn continue_above(&mut self) -> Result<(), Finding> {
        let revision = probe(self.store()?).await?;
        if revision <= self.model.revision {
            return Err(Finding::broken(format!(
                "after an import up to revision {}, the next write had revision {revision}",
                self.model.revision
            )));
        }
        self.model.revision = revision;
        Ok(())
    }

    async fn move_elsewhere(&mut self) -> Result<Answer, Finding> {
        let namespace = format!("{}-{}", self.namespace, self.moves);
        let copy = open(&self.subject, &namespace).await?;
        let mut after = None;
        loop {
            let page = match self.store()?.export(after, 2).await {
                Ok(page) => page,
                Err(error) => return Ok(error.into()),
            };
            if let Err(error) = copy.import(page.records).await {
                return Ok(error.into());
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        self.moves += 1;
        self.store = Some(copy);
        self.namespace = namespace;
        self.cursors.clear();
        self.model.forget_expired();
        let highest = self.model.export(None).into_iter();
        let highest = highest.map(|record| record.stamp.mod_revision).max();
        self.model.revision = highest.unwrap_or(0);
        self.continue_above().await?;
        Ok(Answer::Done)
    }

    fn revision(&self, key: &Key, seen: Seen) -> Revision {
        let there = self.model.load(key).map(Stored::revision);
        match (seen, there) {
            (Seen::Current, there) => there.unwrap_or(self.model.revision),
            (Seen::Stale, Some(current)) if current > 1 => current - 1,
            (Seen::Stale, _) => self.model.revision + 1,
        }
    }

    fn write(&self, write: &script::Write) -> Write {
        let precondition = |key: &Key, expect: Expect| match expect {
            Expect::None => Precondition::None,
            Expect::Absent => Precondition::Absent,
            Expect::Present => Precondition::Present,
            Expect::Current => Precondition::UnchangedSince(self.revision(key, Seen::Current)),
            Expect::Stale => Precondition::UnchangedSince(self.revision(key, Seen::Stale)),
        };
        match write {
            script::Write::Put { draft, expect } => {
                let draft = draft.draft(self.model.now);
                let expect = precondition(&draft.key, *expect);
                Write::Put(Put { draft, expect })
            }
            script::Write::Remove { key, expect } => {
                let key = key.key();
                let expect = match precondition(&key, *expect) {
                    Precondition::Absent => Precondition::None,
                    expect => expect,
                };
                Write::Remove(Remove { key, expect })
            }
        }
    }

    /// The record to import; none where it is made from one that is not there.
    fn imported(&self, imported: &Imported, number: u64) -> Option<Stored> {
        let now = self.model.now;
        let ahead = self.model.revision + 10 * number;
        let stamped = |draft: Draft, revision: Revision| Stored {
            draft,
            stamp: Stamp {
                create_revision: revision,
                mod_revision: revision,
                created_at: now,
                updated_at: now,
            },
        };
        match imported {
            Imported::Same(name) => self.model.load(&name.key()).cloned(),
            Imported::Changed(name) => {
                let mut record = self.model.load(&name.key())?.clone();
                record.stamp.mod_revision = ahead;
                Some(record)
            }
            Imported::New(draft) => Some(stamped(draft.draft(now), ahead)),
            Imported::Clash { draft, with } => {
                let revision = self.model.load(&with.key())?.revision();
                Some(stamped(draft.draft(now), revision))
            }
        }
    }
}

async fn open(subject: &Subject, namespace: &str) -> Result<Store, Finding> {
    let opened = subject
        .open_with(|config| config.namespace(namespace))
        .await;
    Ok(opened?)
}

/// Takes a revision, and changes nothing: which one.
async fn probe(store: &Store) -> Result<Revision, Finding> {
    let remove = Remove {
        key: Key::new("model", "nobody"),
        expect: Precondition::None,
    };
    let revisions = store.apply(vec![Write::Remove(remove)]).await?;
    let first = revisions.first().copied();
    first.ok_or_else(|| Finding::broken("a batch of one removal was answered without a revision"))
}

/// Leaves out what has a name that came before.
fn without_repeats<T, N: PartialEq>(items: Vec<T>, name: impl Fn(&T) -> N) -> Vec<T> {
    let mut names = Vec::new();
    let mut once = Vec::new();
    for item in items {
        let name = name(&item);
        if !names.contains(&name) {
            names.push(name);
            once.push(item);
        }
    }
    once
}

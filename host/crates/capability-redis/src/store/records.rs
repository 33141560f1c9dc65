//! What a guest can call: each is one round trip, unless it says otherwise.

use mortise_store::inside::{ContractError as Contract, DraftInside as _, Later, Rejection};
use mortise_store::limits::MAX_ATTRIBUTES;
use mortise_store::{Draft, Key, Order, Precondition, Put, Remove, Stamp, Stored, Write};
use redis::{Value, cmd};
use tokio::time::Instant;

use super::answer::{Verdict, in_doubt, odd, read};
use super::{Answer, Redis};
use crate::range::{Count, Range, Run};
use crate::script::Call;
use crate::{layout, script};

/// How many entries of a collection are counted in one round trip.
const COUNTED_AT_ONCE: u64 = 5_000;
/// How often a run is read anew because all that was found in it was set aside.
const FIND_ROUNDS: u32 = 8;

impl Redis {
    /// Reads one record.
    pub fn load(&self, key: Key, deadline: Instant) -> Later<'_, Answer<Option<Stored>>> {
        Box::pin(async move {
            let stored_under = layout::record_key(&self.0.prefix, &key);
            let answer = self.read(cmd("GET").arg(stored_under), deadline).await?;
            match answer {
                Value::Nil => Ok(None),
                Value::BulkString(value) => Ok(self.live(self.decode(key, value, deadline).await?)),
                other => Err(odd(&other)),
            }
        })
    }

    /// Reads up to 1,000 records, in the order asked; `TooLarge` when they have more than `max_bytes` together.
    pub fn load_many(
        &self,
        keys: Vec<Key>,
        max_bytes: u64,
        deadline: Instant,
    ) -> Later<'_, Answer<Vec<Option<Stored>>>> {
        Box::pin(async move {
            // What a record has beside what counts: its head, and three bytes for each attribute.
            let beside = (keys.len() * 4 * MAX_ATTRIBUTES) as u64;
            let mut call = self.script(&script::LOAD_MANY);
            call.push(
                max_bytes
                    .min(self.0.max_answer_bytes)
                    .saturating_add(beside),
            );
            for key in &keys {
                call.push(key.collection.as_str()).push(key.id.as_str());
            }
            let too_large = || {
                Contract::TooLarge(format!(
                    "the records asked for are over {max_bytes} bytes: ask for fewer"
                ))
            };
            let values = match self.run(&call, deadline).await? {
                Value::Array(values) if values.len() == keys.len() => values,
                Value::Array(values) => return Err(odd(&values.len())),
                _ => return Err(too_large()),
            };
            let (mut records, mut bytes) = (Vec::with_capacity(keys.len()), 0);
            for (key, value) in keys.into_iter().zip(values) {
                let value: Option<Vec<u8>> = read(value)?;
                let record = match value {
                    None => None,
                    Some(value) => Some(self.decode(key, value, deadline).await?),
                };
                bytes += record.as_ref().map_or(0, |record| record.draft.size());
                records.push(record);
            }
            if bytes > max_bytes {
                return Err(too_large());
            }
            Ok(records)
        })
    }

    /// Reads records in order. What cannot be read back is set aside and left out.
    pub fn find(&self, range: Range, deadline: Instant) -> Later<'_, Answer<Run>> {
        Box::pin(async move {
            let mut call = self.script(&script::FIND);
            call.push(range.limit)
                .push(range.max_bytes.min(self.0.max_answer_bytes))
                .flag(range.bodies)
                .flag(range.descending)
                .optional(range.after.map(layout::revision))
                .push(match range.order {
                    Order::Created => "c",
                    Order::Updated => "u",
                })
                .optional(range.collection);
            for attribute in range.attributes {
                call.push(attribute.name).push(attribute.value);
            }
            let mut rounds = 1;
            loop {
                let answer = self.run(&call, deadline).await?;
                let mut values = read::<Vec<Value>>(answer)?.into_iter();
                let more = values.next().ok_or_else(|| odd(&"no page"))?;
                let mut run = Run {
                    records: Vec::with_capacity(values.len() / 2),
                    more: read(more)?,
                };
                let mut unreadable = None;
                while let (Some(name), Some(value)) = (values.next(), values.next()) {
                    let key = layout::key_of(read(name)?);
                    let key = key.ok_or_else(|| odd(&"a record without a name"))?;
                    match layout::decode(key.clone(), read(value)?) {
                        Ok(record) => run.records.push(record),
                        // To be set aside it is read again, with its body, which may be missing here.
                        Err(_) => unreadable = self.load(key, deadline).await.err(),
                    }
                }
                match unreadable {
                    // All that was found was set aside. What comes after it has not been looked at.
                    Some(error) if run.records.is_empty() && run.more => {
                        rounds += 1;
                        if rounds > FIND_ROUNDS {
                            return Err(error);
                        }
                    }
                    _ => return Ok(run),
                }
            }
        })
    }

    /// Checks the preconditions of all writes, then writes them in order, or writes nothing. A record whose draft
    /// names no expiry lives for `lifetime` milliseconds from its creation, where one is given.
    pub fn commit(
        &self,
        batch: Vec<Write>,
        lifetime: Option<u64>,
        deadline: Instant,
    ) -> Later<'_, Result<Vec<Stamp>, Rejection>> {
        Box::pin(async move {
            let as_a_whole = |error| Rejection { index: 0, error };
            let keys: Vec<Key> = batch.iter().map(|write| write.key().clone()).collect();
            let writes = batch.len();
            let mut call = self.script(&script::COMMIT);
            call.optional(self.0.max_store_bytes).optional(lifetime);
            for write in batch {
                push_write(&mut call, write);
            }
            let answer = self.run(&call, deadline).await.map_err(as_a_whole)?;
            match Verdict::read(answer).map_err(as_a_whole)? {
                // It is committed: an answer that cannot be read leaves the caller in doubt.
                Verdict::Ok(stamps) => stamps
                    .into_iter()
                    .map(read_stamp)
                    .collect::<Option<Vec<_>>>()
                    .filter(|stamps| stamps.len() == writes)
                    .ok_or_else(|| as_a_whole(in_doubt())),
                Verdict::No(why, index, value) => {
                    let key = keys
                        .into_iter()
                        .nth(index)
                        .ok_or_else(|| as_a_whole(odd(&index)))?;
                    let error = self.refusal(&why, key, value, deadline).await;
                    let index = index as u32;
                    Err(Rejection { index, error })
                }
            }
        })
    }

    /// Writes records with their stamps, all or nothing.
    pub fn import(&self, records: Vec<Stored>, deadline: Instant) -> Later<'_, Answer<()>> {
        Box::pin(async move {
            let keys: Vec<Key> = records.iter().map(|record| record.key().clone()).collect();
            let mut call = self.script(&script::IMPORT);
            call.optional(self.0.max_store_bytes);
            for Stored { draft, stamp } in records {
                call.push(draft.key.collection)
                    .push(draft.key.id)
                    .push(layout::revision(stamp.create_revision))
                    .push(layout::revision(stamp.mod_revision))
                    .push(layout::instant(stamp.created_at))
                    .push(layout::instant(stamp.updated_at))
                    .push(layout::expiry(draft.expires_at))
                    .push(layout::attributes(&draft.attributes))
                    .push(draft.body);
            }
            match Verdict::read(self.run(&call, deadline).await?)? {
                Verdict::Ok(_) => Ok(()),
                Verdict::No(why, index, value) => {
                    let key = keys.into_iter().nth(index).ok_or_else(|| odd(&index))?;
                    Err(self.refusal(&why, key, value, deadline).await)
                }
            }
        })
    }

    /// Removes up to `limit` expired records and their index entries; how many.
    pub fn sweep(&self, limit: u32, deadline: Instant) -> Later<'_, Answer<u32>> {
        Box::pin(async move {
            let mut call = self.script(&script::SWEEP);
            call.push(limit);
            read(self.run(&call, deadline).await?)
        })
    }

    /// Removes every record of a collection, or of all; how many unexpired ones.
    pub fn clear(&self, collection: Option<String>, deadline: Instant) -> Later<'_, Answer<u64>> {
        Box::pin(async move {
            let mut call = self.script(&script::CLEAR);
            call.optional(collection);
            read(self.run(&call, deadline).await?)
        })
    }

    /// Removes all that is left of a store: no record, and no revision that it had.
    pub fn forget(&self, deadline: Instant) -> Later<'_, Answer<()>> {
        Box::pin(async move {
            self.clear(None, deadline).await?;
            let mut unlink = cmd("UNLINK");
            for name in ["expiry", "collections", "revision", "bytes", "layout"] {
                unlink.arg(format!("{}{name}", self.0.prefix));
            }
            self.read(&unlink, deadline).await?;
            Ok(())
        })
    }

    /// Counts the collections that hold a record, by name, ascending. Some round trips.
    pub fn statistics(&self, deadline: Instant) -> Later<'_, Answer<Vec<Count>>> {
        Box::pin(async move {
            let key = format!("{}collections", self.0.prefix);
            let answer = self.read(cmd("SMEMBERS").arg(key), deadline).await?;
            let mut collections: Vec<String> = read(answer)?;
            collections.sort_unstable();
            let mut counts = Vec::new();
            for collection in collections {
                let mut count = Count {
                    collection,
                    records: 0,
                    body_bytes: 0,
                };
                let mut after = String::new();
                loop {
                    let mut call = self.script(&script::COUNT);
                    call.push(count.collection.as_str())
                        .push(after)
                        .push(COUNTED_AT_ONCE);
                    let answer = self.run(&call, deadline).await?;
                    let (last, records, bytes): (String, u64, u64) = read(answer)?;
                    count.records += records;
                    count.body_bytes += bytes;
                    after = last;
                    if after.is_empty() {
                        break;
                    }
                }
                if count.records > 0 {
                    counts.push(count);
                }
            }
            Ok(counts)
        })
    }

    /// Reaches the server and comes back.
    pub fn ping(&self, deadline: Instant) -> Later<'_, Answer<()>> {
        Box::pin(async move {
            let key = format!("{}revision", self.0.prefix);
            self.read(cmd("GET").arg(key), deadline).await.map(drop)
        })
    }
}

/// A write as an argument of `commit.lua`.
pub(super) fn push_write(call: &mut Call, write: Write) {
    let expect = |expect: Precondition| match expect {
        Precondition::None => "*".to_owned(),
        Precondition::Absent => "-".to_owned(),
        Precondition::Present => "+".to_owned(),
        Precondition::UnchangedSince(revision) => layout::revision(revision),
    };
    match write {
        Write::Put(Put {
            draft,
            expect: when,
        }) => {
            let Draft {
                key,
                body,
                attributes,
                expires_at,
            } = draft;
            call.push("P")
                .push(expect(when))
                .push(key.collection)
                .push(key.id)
                .push(layout::expiry(expires_at))
                .push(layout::attributes(&attributes))
                .push(body);
        }
        Write::Remove(Remove { key, expect: when }) => {
            call.push("R")
                .push(expect(when))
                .push(key.collection)
                .push(key.id);
        }
    }
}

fn read_stamp(value: Value) -> Option<Stamp> {
    let text: String = read(value).ok()?;
    let number = |from: usize, to: usize| text.get(from..to)?.parse().ok();
    Some(Stamp {
        create_revision: number(0, 19)?,
        mod_revision: number(19, 38)?,
        created_at: number(38, 53)?,
        updated_at: number(53, 68)?,
    })
}

//! Writing: each batch is one transaction.

use mortise_guest::sqlite::{self, Failure, Outcome, Statement, Value};
use mortise_guest::{
    Attribute, Error, Key, Precondition, Put, Rejection, Remove, Stamp, Timestamp, Write,
};

use crate::database::{Cells, guard, integer, meaning, statement, text, transact};
use crate::read;
use crate::row::encode_attributes;

/// How often a batch is tried while others change what it failed on.
pub const ATTEMPTS: u32 = 8;

/// Takes the next revision.
pub const NEXT_REVISION: &str =
    "UPDATE store SET revision = revision + 1 WHERE id = 1 RETURNING revision";

/// Frees a key that an expired record holds.
const DELETE_EXPIRED: &str =
    "DELETE FROM records WHERE collection = ?1 AND id = ?2 AND expires_at <= ?3";

// The parameters of every put: ?1 collection, ?2 id, ?3 now, ?4 expiry, ?5 attributes, ?6 body.

// The write whose guard can fail comes before the revision is taken, so that a transaction that fails
// has mostly touched nothing, and costs the others in its group nothing. VALUES rather than a SELECT
// from `store`: SQLite knows then that it is one row, and keeps no copy of the pages to undo it.
//
// A write replaces all of a record but what creation set. Where that cannot be read, the write does not
// happen, and the row is set aside as on a read.

const CREATE: &str = "INSERT INTO records (create_revision, mod_revision, collection, id, \
     created_at, updated_at, expires_at, attributes, body) \
     VALUES ((SELECT revision + 1 FROM store WHERE id = 1), \
     (SELECT revision + 1 FROM store WHERE id = 1), ?1, ?2, ?3, ?3, ?4, ?5, ?6) \
     ON CONFLICT (collection, id) DO NOTHING \
     RETURNING create_revision, mod_revision, created_at, updated_at";

const UPSERT: &str = "INSERT INTO records (create_revision, mod_revision, collection, id, \
     created_at, updated_at, expires_at, attributes, body) \
     VALUES ((SELECT revision + 1 FROM store WHERE id = 1), \
     (SELECT revision + 1 FROM store WHERE id = 1), ?1, ?2, ?3, ?3, ?4, ?5, ?6) \
     ON CONFLICT (collection, id) DO UPDATE SET mod_revision = excluded.mod_revision, \
     updated_at = excluded.updated_at, expires_at = excluded.expires_at, \
     attributes = excluded.attributes, body = excluded.body \
     WHERE create_revision > 0 AND created_at >= 0 \
     RETURNING create_revision, mod_revision, created_at, updated_at";

const UPDATE: &str = "UPDATE records SET \
     mod_revision = (SELECT revision + 1 FROM store WHERE id = 1), \
     updated_at = ?3, expires_at = ?4, attributes = ?5, body = ?6 \
     WHERE collection = ?1 AND id = ?2 AND (expires_at IS NULL OR expires_at > ?3) \
     AND create_revision > 0 AND created_at >= 0 \
     RETURNING create_revision, mod_revision, created_at, updated_at";

const UPDATE_UNCHANGED: &str = "UPDATE records SET \
     mod_revision = (SELECT revision + 1 FROM store WHERE id = 1), \
     updated_at = ?3, expires_at = ?4, attributes = ?5, body = ?6 \
     WHERE collection = ?1 AND id = ?2 AND (expires_at IS NULL OR expires_at > ?3) \
     AND mod_revision = ?7 AND create_revision > 0 AND created_at >= 0 \
     RETURNING create_revision, mod_revision, created_at, updated_at";

const DELETE_ATTRIBUTES: &str = "DELETE FROM attributes WHERE record = \
     (SELECT create_revision FROM records WHERE collection = ?1 AND id = ?2)";

/// The create-revision of a record that was there.
const RECORD: &str = "(SELECT create_revision FROM records WHERE collection = ?1 AND id = ?2)";

/// The record was created by this write: its create-revision is the store's.
pub const NEW_RECORD: &str = "(SELECT revision FROM store WHERE id = 1)";

/// How many attributes one statement inserts: a text for each number, of which the host keeps the prepared
/// statements.
const ATTRIBUTES_A_STATEMENT: usize = 8;

const REMOVE: &str = "DELETE FROM records WHERE collection = ?1 AND id = ?2";

const REMOVE_PRESENT: &str = "DELETE FROM records WHERE collection = ?1 AND id = ?2 \
     AND (expires_at IS NULL OR expires_at > ?3)";

const REMOVE_UNCHANGED: &str = "DELETE FROM records WHERE collection = ?1 AND id = ?2 \
     AND (expires_at IS NULL OR expires_at > ?3) AND mod_revision = ?4";

/// Frees a key that an expired record holds. Nobody sees it: the record was absent already.
fn delete_expired(key: [Value; 2], now: Timestamp) -> Statement {
    let [collection, id] = key;
    statement(DELETE_EXPIRED, [collection, id, integer(now)])
}

/// Inserts attributes. `record` is the SQL for a create-revision; `of` are the parameters that it needs, of
/// which the first is the collection.
///
/// OR FAIL: where a row fails, the whole transaction does, and SQLite need not keep what undoes the rows
/// before it.
pub fn insert_attributes(
    record: &str,
    of: &[Value],
    attributes: &[Attribute],
) -> impl Iterator<Item = Statement> {
    attributes
        .chunks(ATTRIBUTES_A_STATEMENT)
        .map(move |attributes| {
            let mut sql =
                "INSERT OR FAIL INTO attributes (collection, name, value, record) VALUES "
                    .to_owned();
            let mut params = of.to_vec();
            for (index, attribute) in attributes.iter().enumerate() {
                let separator = if index == 0 { "" } else { ", " };
                let (name, value) = (params.len() + 1, params.len() + 2);
                sql.push_str(&format!("{separator}(?1, ?{name}, ?{value}, {record})"));
                params.extend([text(&attribute.name), text(&attribute.value)]);
            }
            statement(sql, params)
        })
}

/// Applies all writes, or none.
///
/// `now` is the same for every attempt and every read, so that what is expired does not change on the
/// way.
pub fn apply(batch: Vec<Write>, now: Timestamp) -> Result<Vec<Stamp>, Rejection> {
    if batch.is_empty() {
        return Ok(Vec::new());
    }
    let mut plan = Plan::default();
    for write in batch {
        plan.add(write, now);
    }
    for _ in 0..ATTEMPTS {
        let failure = match transact(&plan.statements) {
            Ok(outcomes) => return plan.stamps(outcomes, now).map_err(Rejection::from),
            Err(failure) => failure,
        };
        plan.explain(failure, now)?;
    }
    Err(Error::Unavailable("others kept changing the records of the batch".into()).into())
}

/// The statements of a batch, and which of them belong to which write.
#[derive(Default)]
struct Plan {
    statements: Vec<Statement>,
    writes: Vec<Planned>,
}

struct Planned {
    key: Key,
    expect: Precondition,
    /// The index after its last statement.
    end: usize,
    /// The index of the statement that answers its stamp or, for a removal, its revision.
    answer: usize,
    removes: bool,
}

impl Plan {
    fn add(&mut self, write: Write, now: Timestamp) {
        let key = write.key().clone();
        let expect = *write.expect();
        let removes = matches!(write, Write::Remove(_));
        let answer = match write {
            Write::Put(put) => self.put(put, now),
            Write::Remove(remove) => self.remove(&remove, now),
        };
        self.writes.push(Planned {
            key,
            expect,
            end: self.statements.len(),
            answer,
            removes,
        });
    }

    /// Adds the statements of a put; the index of the one that answers its stamp.
    fn put(&mut self, put: Put, now: Timestamp) -> usize {
        let Put { draft, expect } = put;
        let key = [text(&draft.key.collection), text(&draft.key.id)];
        let mut params = Vec::from(key.clone());
        params.extend([
            integer(now),
            draft.expires_at.map_or(Value::Null, integer),
            Value::Blob(encode_attributes(&draft.attributes)),
            Value::Blob(draft.body),
        ]);
        let put = match expect {
            Precondition::Absent => guard(CREATE, params),
            Precondition::None => guard(UPSERT, params),
            Precondition::Present => guard(UPDATE, params),
            Precondition::UnchangedSince(revision) => {
                params.push(integer(revision));
                guard(UPDATE_UNCHANGED, params)
            }
        };
        // What is to be absent mostly is: a record that expired is removed once it was in the way.
        if expect == Precondition::None {
            self.statements.push(delete_expired(key.clone(), now));
        }
        let answer = self.statements.len();
        self.statements.push(put);
        self.statements.push(statement(NEXT_REVISION, []));

        let is_new = expect == Precondition::Absent;
        if !is_new {
            self.statements
                .push(statement(DELETE_ATTRIBUTES, key.clone()));
        }
        let (record, key) = match is_new {
            true => (NEW_RECORD, &key[..1]),
            false => (RECORD, &key[..]),
        };
        let attributes = insert_attributes(record, key, &draft.attributes);
        self.statements.extend(attributes);
        answer
    }

    /// Adds the statements of a removal; the index of the one that answers its revision.
    fn remove(&mut self, remove: &Remove, now: Timestamp) -> usize {
        let mut params = vec![text(&remove.key.collection), text(&remove.key.id)];
        self.statements.push(match remove.expect {
            // The SDK refuses a removal that expects absence.
            Precondition::None | Precondition::Absent => statement(REMOVE, params),
            Precondition::Present => {
                params.push(integer(now));
                guard(REMOVE_PRESENT, params)
            }
            Precondition::UnchangedSince(revision) => {
                params.extend([integer(now), integer(revision)]);
                guard(REMOVE_UNCHANGED, params)
            }
        });
        let answer = self.statements.len();
        self.statements.push(statement(NEXT_REVISION, []));
        answer
    }

    /// The stamp of each write, from what its statements answered.
    fn stamps(&self, outcomes: Vec<Outcome>, now: Timestamp) -> Result<Vec<Stamp>, Error> {
        // It is committed: an answer that cannot be read leaves the caller in doubt.
        let in_doubt = || Error::Ambiguous("the database's answer to the commit is odd".into());
        let mut outcomes: Vec<_> = outcomes.into_iter().map(Some).collect();
        let stamp = |planned: &Planned| {
            let outcome = outcomes.get_mut(planned.answer)?.take()?;
            let mut cells = Cells::of(outcome.rows);
            if planned.removes {
                return Some(Stamp::next(None, cells.integer()?, now));
            }
            Some(Stamp {
                create_revision: cells.integer()?,
                mod_revision: cells.integer()?,
                created_at: cells.integer()?,
                updated_at: cells.integer()?,
            })
        };
        let stamps: Option<Vec<Stamp>> = self.writes.iter().map(stamp).collect();
        stamps.ok_or_else(in_doubt)
    }

    /// Removes what expired under the keys that have to be free.
    fn make_room(&self, now: Timestamp) -> Result<(), Error> {
        let wanted = self.writes.iter();
        let wanted = wanted.filter(|planned| planned.expect == Precondition::Absent);
        let deletes: Vec<_> = wanted
            .map(|Planned { key, .. }| delete_expired([text(&key.collection), text(&key.id)], now))
            .collect();
        let deleted = transact(&deletes).map(drop);
        deleted.map_err(|failure| meaning(failure.error))
    }

    /// Why the transaction failed. Answers nothing where it failed on a record that others have changed
    /// since, so that it might succeed now.
    fn explain(&self, failure: Failure, now: Timestamp) -> Result<(), Rejection> {
        let Failure { index, error } = failure;
        let place = self
            .writes
            .partition_point(|planned| planned.end <= index as usize);
        let sqlite::Error::UnexpectedChanges(_) = error else {
            return Err(Rejection::at(place, meaning(error)));
        };
        let Some(planned) = self.writes.get(place) else {
            return Err(Rejection::from(meaning(error)));
        };
        let key = &planned.key;
        read::load(key, now)
            .and_then(|current| planned.expect.check(key, current.as_ref()))
            .and_then(|()| match planned.expect {
                Precondition::Absent => self.make_room(now),
                _ => Ok(()),
            })
            .map_err(|error| Rejection::at(place, error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mortise_guest::Draft;

    fn plan(expect: Precondition) -> Plan {
        let key = Key {
            collection: "task".into(),
            id: "t-1".into(),
        };
        let attribute = Attribute {
            name: "n".into(),
            value: "v".into(),
        };
        let draft = Draft {
            key: key.clone(),
            body: vec![1],
            attributes: vec![attribute],
            expires_at: None,
        };
        let mut plan = Plan::default();
        plan.add(Write::Put(Put { draft, expect }), 5);
        plan.add(Write::Remove(Remove { key, expect }), 5);
        plan
    }

    /// The highest `?N` of a statement.
    fn parameters(sql: &str) -> usize {
        let numbers = sql.split('?').skip(1);
        let digits = numbers.map(|rest| rest.split(|c: char| !c.is_ascii_digit()).next());
        digits
            .map(|digits| digits.unwrap_or_default().parse().unwrap())
            .max()
            .unwrap_or(0)
    }

    #[test]
    fn every_statement_has_its_parameters_and_every_write_its_answer() {
        for expect in [
            Precondition::None,
            Precondition::Absent,
            Precondition::Present,
            Precondition::UnchangedSince(7),
        ] {
            let plan = plan(expect);
            for statement in &plan.statements {
                assert_eq!(parameters(&statement.sql), statement.params.len());
            }
            for planned in &plan.writes {
                assert!(plan.statements[planned.answer].sql.contains("RETURNING"));
            }
            let ends: Vec<_> = plan.writes.iter().map(|planned| planned.end).collect();
            assert_eq!(ends[1], plan.statements.len());
        }
    }
}

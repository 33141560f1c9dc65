//! Records that come with their stamps.

use std::collections::BTreeMap;

use mortise_guest::sqlite::{self, Failure, Statement, Value};
use mortise_guest::{Error, Key, Stamp, Stored, Timestamp};

use crate::database::{
    Cells, guard, integer, meaning, odd_answer, query, statement, text, transact,
};
use crate::read::{load, load_many_sql};
use crate::row::encode_attributes;
use crate::write::{ATTEMPTS, insert_attributes};

/// An expired record that holds the key or a revision gives way: it is absent already. The `+` keeps
/// SQLite from looking at everything that is expired.
const DELETE_EXPIRED: &str = "DELETE FROM records WHERE +expires_at <= ?5 \
     AND ((collection = ?1 AND id = ?2) OR create_revision IN (?3, ?4) OR mod_revision IN (?3, ?4))";

/// Writes nothing where the key is taken, or another record carries one of the revisions.
const INSERT: &str = "INSERT INTO records (create_revision, mod_revision, collection, id, \
     created_at, updated_at, expires_at, attributes, body) \
     SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9 WHERE NOT EXISTS (SELECT 1 FROM records \
     WHERE create_revision IN (?1, ?2) OR mod_revision IN (?1, ?2)) \
     ON CONFLICT (collection, id) DO NOTHING";

const RAISE_REVISION: &str = "UPDATE store SET revision = max(revision, ?1) WHERE id = 1";

/// Takes in records with their stamps, all or none.
///
/// Those that are there already are found first and left out; the transaction expects that all others
/// are new, and is tried again where one came in between.
pub fn import(records: Vec<Stored>, now: Timestamp) -> Result<(), Error> {
    let records = without_repeats(records)?;
    for _ in 0..ATTEMPTS {
        let there = stamps_of(&records, now)?;
        let new: Vec<&Stored> = records
            .iter()
            .zip(&there)
            .filter(|(record, there)| **there != Some(record.stamp))
            .map(|(record, _)| record)
            .collect();
        if new.is_empty() {
            return Ok(());
        }
        let (statements, owners) = plan(&new, now);
        let Err(Failure { index, error }) = transact(&statements) else {
            return Ok(());
        };
        let Some(&record) = owners.get(index as usize).and_then(|&at| new.get(at)) else {
            return Err(meaning(error));
        };
        let revision_is_taken = || {
            Error::Invalid(format!(
                "a revision of {:?} belongs to another record",
                record.draft.key.id
            ))
        };
        match error {
            sqlite::Error::UnexpectedChanges(_) => match load(&record.draft.key, now)? {
                None => return Err(revision_is_taken()),
                Some(current) if current.stamp != record.stamp => {
                    return Err(Error::Conflict(current));
                }
                Some(_) => {}
            },
            sqlite::Error::Constraint(_) => return Err(revision_is_taken()),
            error => return Err(meaning(error)),
        }
    }
    Err(Error::Unavailable(
        "others kept importing the same records".into(),
    ))
}

/// Leaves out what comes a second time with the same stamp.
fn without_repeats(records: Vec<Stored>) -> Result<Vec<Stored>, Error> {
    let mut keys = BTreeMap::<Key, usize>::new();
    let mut once: Vec<Stored> = Vec::with_capacity(records.len());
    for record in records {
        match keys.get(&record.draft.key) {
            None => {
                keys.insert(record.draft.key.clone(), once.len());
                once.push(record);
            }
            Some(&first) if once[first].stamp != record.stamp => {
                return Err(Error::Conflict(once.swap_remove(first)));
            }
            Some(_) => {}
        }
    }
    Ok(once)
}

/// The stamps of the unexpired records under the same keys.
fn stamps_of(records: &[Stored], now: Timestamp) -> Result<Vec<Option<Stamp>>, Error> {
    let keys: Vec<Key> = records
        .iter()
        .map(|record| record.draft.key.clone())
        .collect();
    let mut stamps = vec![None; records.len()];
    if records.is_empty() {
        return Ok(stamps);
    }
    let columns = "r.create_revision, r.mod_revision, r.created_at, r.updated_at";
    let (sql, params) = load_many_sql(&keys, now, columns);
    let mut cells = Cells::of(query(&statement(sql, params), None)?);
    while !cells.is_empty() {
        let index = cells.integer().ok_or_else(odd_answer)?;
        let place = stamps.get_mut(index as usize).ok_or_else(odd_answer)?;
        let numbers = [(); 4].map(|()| cells.integer());
        // A row whose stamp cannot be read has none: it is in the way of the insertion then, is loaded,
        // and so is set aside.
        if let [
            Some(create_revision),
            Some(mod_revision),
            Some(created_at),
            Some(updated_at),
        ] = numbers
        {
            *place = Some(Stamp {
                create_revision,
                mod_revision,
                created_at,
                updated_at,
            });
        }
    }
    Ok(stamps)
}

/// The statements, and for each the index of its record.
fn plan(records: &[&Stored], now: Timestamp) -> (Vec<Statement>, Vec<usize>) {
    let mut statements = Vec::new();
    let mut owners = Vec::new();
    let mut highest = 0;
    for (index, record) in records.iter().enumerate() {
        let Stored { draft, stamp } = record;
        let (created, changed) = (stamp.create_revision, stamp.mod_revision);
        let (collection, id) = (text(&draft.key.collection), text(&draft.key.id));
        highest = highest.max(created).max(changed);
        statements.push(statement(
            DELETE_EXPIRED,
            [
                collection.clone(),
                id.clone(),
                integer(created),
                integer(changed),
                integer(now),
            ],
        ));
        statements.push(guard(
            INSERT,
            [
                integer(created),
                integer(changed),
                collection.clone(),
                id,
                integer(stamp.created_at),
                integer(stamp.updated_at),
                draft.expires_at.map_or(Value::Null, integer),
                Value::Blob(encode_attributes(&draft.attributes)),
                Value::Blob(draft.body.clone()),
            ],
        ));
        let of = [collection, integer(created)];
        statements.extend(insert_attributes("?2", &of, &draft.attributes));
        owners.resize(statements.len(), index);
    }
    statements.push(statement(RAISE_REVISION, [integer(highest)]));
    (statements, owners)
}

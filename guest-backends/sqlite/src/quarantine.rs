//! Rows that make no record are set aside, and never deleted.

use mortise_guest::sqlite::{self, Value};
use mortise_guest::{Attribute, QUARANTINE, Timestamp, log, quarantined};

use crate::database::{Cells, guard, integer, meaning, statement, text, transact};
use crate::row::{Damaged, encode_attributes};
use crate::write::{NEW_RECORD, NEXT_REVISION, insert_attributes};

/// Copies the body where it is, and only while the row is as it was read. An entry of the same id can be
/// there after an import; then the entry's own revision tells the two apart.
const INSERT_ENTRY: &str = "INSERT INTO records (create_revision, mod_revision, collection, id, \
     created_at, updated_at, expires_at, attributes, body) \
     SELECT store.revision + 1, store.revision + 1, ?3, \
     CASE WHEN EXISTS (SELECT 1 FROM records WHERE collection = ?3 AND id = ?4) \
     THEN ?4 || '-' || (store.revision + 1) ELSE ?4 END, \
     ?5, ?5, NULL, ?6, r.body FROM store CROSS JOIN records AS r \
     WHERE store.id = 1 AND r.create_revision = ?1 AND r.mod_revision = ?2 RETURNING id";

const DELETE_ROW: &str = "DELETE FROM records WHERE create_revision = ?1";

/// The index knows a record's attributes too, though not their order.
const INDEXED: &str =
    "SELECT CAST(name AS BLOB), CAST(value AS BLOB) FROM attributes WHERE record = ?1";

/// Puts the rows into quarantine, one by one, so that one that cannot go there keeps back none of the
/// others. Whether none of them is where it was read any more.
pub fn set_aside(rows: &[Damaged], now: Timestamp) -> bool {
    let mut all = true;
    for row in rows {
        let Damaged { key, reason, .. } = row;
        let record = format!("the record {:?} of {:?} is corrupt", key.id, key.collection);
        match move_row(row, now) {
            Ok(id) => log::error(&format!("{record} and was set aside as {id:?}: {reason}")),
            // Others set it aside, or wrote over it, since it was read.
            Err(sqlite::Error::UnexpectedChanges(0)) => {}
            Err(error) => {
                let refused = meaning(error);
                log::error(&format!(
                    "{record} and could not be set aside: {reason}; {refused:?}"
                ));
                all = false;
            }
        }
    }
    all
}

/// Moves one row, in one transaction; the id of its entry.
fn move_row(row: &Damaged, now: Timestamp) -> Result<String, sqlite::Error> {
    let attributes = match &row.attributes {
        Some(attributes) => attributes.clone(),
        None => indexed(row.create_revision)?,
    };
    let id = row.mod_revision.to_string();
    let entry = quarantined(id, &row.key, &row.reason, Vec::new(), attributes);
    let which = Value::Integer(row.create_revision);
    let mut statements = vec![
        guard(
            INSERT_ENTRY,
            [
                which.clone(),
                Value::Integer(row.mod_revision),
                text(QUARANTINE),
                text(&entry.key.id),
                integer(now),
                Value::Blob(encode_attributes(&entry.attributes)),
            ],
        ),
        statement(NEXT_REVISION, []),
    ];
    let of = [text(QUARANTINE)];
    statements.extend(insert_attributes(NEW_RECORD, &of, &entry.attributes));
    statements.push(guard(DELETE_ROW, [which]));
    let outcomes = transact(&statements).map_err(|failure| failure.error)?;
    let inserted = outcomes.into_iter().next();
    let id = inserted.and_then(|outcome| Cells::of(outcome.rows).text());
    Ok(id.unwrap_or(entry.key.id))
}

/// A row's attributes, from the index.
fn indexed(create_revision: i64) -> Result<Vec<Attribute>, sqlite::Error> {
    let select = statement(INDEXED, [Value::Integer(create_revision)]);
    let mut cells = Cells::of(sqlite::query(&select, None)?);
    let mut attributes = Vec::new();
    while let (Some(name), Some(value)) = (cells.blob(), cells.blob()) {
        // What is not UTF-8 is no attribute.
        if let (Ok(name), Ok(value)) = (String::from_utf8(name), String::from_utf8(value)) {
            attributes.push(Attribute { name, value });
        }
    }
    Ok(attributes)
}

//! Reading: each call is one statement, and sees one instant.

use mortise_guest::sqlite::{Rows, Value};
use mortise_guest::{
    CollectionStatistics, Cursors, Error, Key, Order, Page, Pager, Query, Revision, Stored,
    Timestamp,
};

use crate::database::{Cells, integer, odd_answer, query, statement, text};
use crate::row::{COLUMNS, COLUMNS_WITHOUT_BODY, columns_under_a_key, decode, decode_under};

const LOAD: &str = concat!(
    "SELECT ",
    columns_under_a_key!(),
    " FROM records AS r WHERE r.collection = ?1 AND r.id = ?2 \
     AND (r.expires_at IS NULL OR r.expires_at > ?3)"
);

/// Reads one cell of the one row that is always there.
pub fn health() -> Result<(), Error> {
    let rows = query(
        &statement("SELECT revision FROM store WHERE id = 1", []),
        None,
    )?;
    match Cells::of(rows).integer() {
        Some(_) => Ok(()),
        None => Err(Error::Internal("the table `store` has no row".into())),
    }
}

/// The unexpired record under a key.
pub fn load(key: &Key, now: Timestamp) -> Result<Option<Stored>, Error> {
    let params = [text(&key.collection), text(&key.id), integer(now)];
    // There is but one row, and the first row comes however large it is.
    let mut cells = Cells::of(query(&statement(LOAD, params), Some(0))?);
    if cells.is_empty() {
        return Ok(None);
    }
    decode_under(key.clone(), &mut cells).map(Some)
}

/// The unexpired records under keys, in their order.
pub fn load_many(
    keys: &[Key],
    now: Timestamp,
    max_bytes: u64,
) -> Result<Vec<Option<Stored>>, Error> {
    let mut records = vec![None; keys.len()];
    if keys.is_empty() {
        return Ok(records);
    }
    let too_large = || {
        Error::TooLarge(format!(
            "the records asked for are over {max_bytes} bytes: ask for fewer"
        ))
    };
    // What a row holds beside what the contract counts: numbers, the collection, lengths.
    let beside = 512 * keys.len() as u64;
    let (sql, params) = load_many_sql(keys, now, COLUMNS);
    let rows = query(
        &statement(sql, params),
        Some(max_bytes.saturating_add(beside)),
    )?;
    if !rows.complete {
        return Err(too_large());
    }
    let mut bytes = 0;
    let mut cells = Cells::of(rows);
    while !cells.is_empty() {
        let index = cells.integer().ok_or_else(odd_answer)?;
        let record = decode(&mut cells)?;
        bytes += record.draft.size();
        let place = records.get_mut(index as usize).ok_or_else(odd_answer)?;
        *place = Some(record);
    }
    if bytes > max_bytes {
        return Err(too_large());
    }
    Ok(records)
}

/// Selects the index of a key among `keys`, and columns of the record under it. The list of keys is
/// filled up with NULL, which equals nothing, to a power of two, so that there are but few texts.
pub fn load_many_sql(keys: &[Key], now: Timestamp, columns: &str) -> (String, Vec<Value>) {
    let places = keys.len().next_power_of_two();
    let mut wanted = String::new();
    for place in 0..places {
        let separator = if place == 0 { "" } else { ", " };
        let (collection, id) = (2 * place + 2, 2 * place + 3);
        wanted.push_str(&format!("{separator}({place}, ?{collection}, ?{id})"));
    }
    let mut params = vec![integer(now)];
    for key in keys {
        params.extend([text(&key.collection), text(&key.id)]);
    }
    params.resize(2 * places + 1, Value::Null);
    let sql = format!(
        "WITH wanted (place, collection, id) AS (VALUES {wanted}) \
         SELECT wanted.place, {columns} FROM wanted CROSS JOIN records AS r \
         ON r.collection = wanted.collection AND r.id = wanted.id \
         WHERE r.expires_at IS NULL OR r.expires_at > ?1"
    );
    (sql, params)
}

/// One page of the records that match.
pub fn find(query: Query, now: Timestamp, max_bytes: u64) -> Result<Page, Error> {
    let after = Cursors::of_query(&query).read(query.after.as_deref())?;
    let edge = match after {
        None if query.descending => Revision::MAX,
        None => 0,
        Some(after) if query.descending => after.saturating_sub(1),
        Some(after) => after.saturating_add(1),
    };
    let mut params = vec![
        text(&query.collection),
        integer(edge),
        integer(now),
        integer(query.limit.saturating_add(1)),
    ];
    for attribute in &query.attributes {
        params.extend([text(&attribute.name), text(&attribute.value)]);
    }
    let find = statement(find_sql(&query), params);
    let rows = crate::database::query(&find, Some(max_bytes))?;
    let pager = Pager::of_query(&query, max_bytes);
    fill(pager, query.order, query.descending, rows)
}

/// Rows come in order from an index, so that none is read that the page does not take. Only the order of
/// changes among the records with an attribute has to be sorted: without the bodies, which are read
/// after it, in the order of the sorted list.
fn find_sql(query: &Query) -> String {
    let columns = if query.bodies {
        COLUMNS
    } else {
        COLUMNS_WITHOUT_BODY
    };
    let (edge, direction) = if query.descending {
        ("<=", "DESC")
    } else {
        (">=", "ASC")
    };
    let rest = |position: &str| {
        format!(
            "AND {position} {edge} ?2 AND (r.expires_at IS NULL OR r.expires_at > ?3) \
             ORDER BY {position} {direction} LIMIT ?4"
        )
    };
    let position = match query.order {
        Order::Created => "r.create_revision",
        Order::Updated => "r.mod_revision",
    };
    if query.attributes.is_empty() {
        let rest = rest(position);
        return format!("SELECT {columns} FROM records AS r WHERE r.collection = ?1 {rest}");
    }

    let mut listed = "attributes AS a CROSS JOIN records AS r ON r.create_revision = a.record \
         WHERE a.collection = ?1 AND a.name = ?5 AND a.value = ?6"
        .to_owned();
    for index in 1..query.attributes.len() {
        let (name, value) = (2 * index + 5, 2 * index + 6);
        listed.push_str(&format!(
            " AND EXISTS (SELECT 1 FROM attributes AS b WHERE b.collection = ?1 \
             AND b.name = ?{name} AND b.value = ?{value} AND b.record = a.record)"
        ));
    }
    match query.order {
        Order::Created => format!("SELECT {columns} FROM {listed} {}", rest("a.record")),
        Order::Updated => format!(
            "WITH page AS MATERIALIZED (SELECT r.create_revision FROM {listed} {}) \
             SELECT {columns} FROM page CROSS JOIN records AS r \
             ON r.create_revision = page.create_revision",
            rest(position)
        ),
    }
}

/// One page of all records, in create order.
pub fn export(
    after: Option<&str>,
    limit: u32,
    now: Timestamp,
    max_bytes: u64,
) -> Result<Page, Error> {
    let after = Cursors::of_export().read(after)?.unwrap_or(0);
    let sql = format!(
        "SELECT {COLUMNS} FROM records AS r WHERE r.create_revision > ?1 \
         AND (r.expires_at IS NULL OR r.expires_at > ?2) ORDER BY r.create_revision LIMIT ?3"
    );
    let params = [
        integer(after),
        integer(now),
        integer(limit.saturating_add(1)),
    ];
    let rows = query(&statement(sql, params), Some(max_bytes))?;
    let pager = Pager::of_export(limit, max_bytes);
    fill(pager, Order::Created, false, rows)
}

/// Fills a page, and makes sure that its rows do come in order: the cursors stand on that.
fn fill(mut pager: Pager, order: Order, descending: bool, rows: Rows) -> Result<Page, Error> {
    let complete = rows.complete;
    let mut cells = Cells::of(rows);
    let mut last = None;
    while !cells.is_empty() {
        let record = decode(&mut cells)?;
        let position = match order {
            Order::Created => record.stamp.create_revision,
            Order::Updated => record.stamp.mod_revision,
        };
        if last.is_some_and(|last| position == last || (position < last) != descending) {
            return Err(Error::Internal("a page's rows came out of order".into()));
        }
        last = Some(position);
        if !pager.give(position, record) {
            return Ok(pager.finish());
        }
    }
    if !complete {
        pager.cut();
    }
    Ok(pager.finish())
}

/// Counts the unexpired records of each collection that has any.
pub fn statistics(now: Timestamp) -> Result<Vec<CollectionStatistics>, Error> {
    let sql = "SELECT collection, count(*), sum(length(body)) FROM records \
               WHERE expires_at IS NULL OR expires_at > ?1 GROUP BY collection ORDER BY collection";
    let mut cells = Cells::of(query(&statement(sql, [integer(now)]), None)?);
    let mut collections = Vec::new();
    while !cells.is_empty() {
        collections.push(CollectionStatistics {
            collection: cells.text().ok_or_else(odd_answer)?,
            records: cells.integer().ok_or_else(odd_answer)?,
            body_bytes: cells.integer().ok_or_else(odd_answer)?,
        });
    }
    Ok(collections)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mortise_guest::Attribute;

    fn query(attributes: usize, order: Order) -> Query {
        let attribute = Attribute {
            name: "n".into(),
            value: "v".into(),
        };
        Query {
            collection: "task".into(),
            attributes: vec![attribute; attributes],
            order,
            descending: false,
            after: None,
            limit: 10,
            bodies: true,
        }
    }

    #[test]
    fn find_has_a_parameter_for_every_value_and_no_more() {
        for order in [Order::Created, Order::Updated] {
            for attributes in [0, 1, 2, 16] {
                let sql = find_sql(&query(attributes, order));
                let last = 4 + 2 * attributes;
                assert!((1..=last).all(|number| sql.contains(&format!("?{number}"))));
                assert!(!sql.contains(&format!("?{}", last + 1)));
            }
        }
    }

    #[test]
    fn load_many_has_one_text_for_up_to_as_many_keys_as_a_power_of_two() {
        let key = Key {
            collection: "task".into(),
            id: "t-1".into(),
        };
        let sql = |keys: usize| load_many_sql(&vec![key.clone(); keys], 5, COLUMNS);
        assert_eq!(sql(3).0, sql(4).0);
        assert_ne!(sql(4).0, sql(5).0);
        assert_eq!(sql(3).1.len(), 9);
        assert_eq!(sql(3).1[8], Value::Null);
    }

    #[test]
    fn rows_out_of_order_are_no_page() {
        let row = |revision: i64| {
            let mut values = vec![Value::Text("task".into()), Value::Text("t-1".into())];
            values.extend([revision, revision, 3, 4].map(Value::Integer));
            values.extend([Value::Null, Value::Blob(vec![]), Value::Blob(vec![])]);
            values
        };
        let fill = |revisions: [i64; 2], descending| {
            let rows = Rows {
                columns: 9,
                values: revisions.into_iter().flat_map(row).collect(),
                complete: false,
            };
            fill(Pager::of_export(10, 100), Order::Created, descending, rows)
        };
        assert!(fill([1, 2], true).is_err());
        assert!(fill([2, 1], false).is_err());
        assert!(fill([2, 2], false).is_err());
        let page = fill([1, 2], false).unwrap();
        assert_eq!(page.next, Some(Cursors::of_export().write(2)));
    }
}

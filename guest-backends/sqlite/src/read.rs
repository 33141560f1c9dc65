//! Reading: each call is one statement, and sees one instant. Where that shows rows that make no record,
//! they are set aside, and a page is read again.

use mortise_guest::sqlite::{Rows, Value};
use mortise_guest::{
    CollectionStatistics, Cursors, Error, Key, Order, Page, Pager, Query, Stored, Timestamp,
};

use crate::database::{Cells, integer, odd_answer, query, statement, text};
use crate::quarantine::set_aside;
use crate::row::{
    COLUMNS, COLUMNS_WITHOUT_BODY, Damaged, columns_under_a_key, decode, decode_under,
};
use crate::write::ATTEMPTS;

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
    match decode_under(key.clone(), &mut cells)?.into_record() {
        Ok(record) => Ok(Some(record)),
        Err(damaged) => {
            set_aside(&[damaged], now);
            Err(Error::Corrupt(key.clone()))
        }
    }
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
    let mut damaged = Vec::new();
    let mut cells = Cells::of(rows);
    while !cells.is_empty() {
        let index = cells.integer().ok_or_else(odd_answer)?;
        let place = records.get_mut(index as usize).ok_or_else(odd_answer)?;
        match decode(&mut cells)?.into_record() {
            Ok(record) => {
                bytes += record.draft.size();
                *place = Some(record);
            }
            Err(row) => damaged.push(row),
        }
    }
    if let Some(first) = damaged.first() {
        set_aside(&damaged, now);
        return Err(Error::Corrupt(first.key.clone()));
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
        None if query.descending => Value::Integer(i64::MAX),
        // Rows whose revision is none are found too.
        None => Value::Integer(i64::MIN),
        Some(after) if query.descending => integer(after.saturating_sub(1)),
        Some(after) => integer(after.saturating_add(1)),
    };
    let mut params = vec![
        text(&query.collection),
        edge,
        integer(now),
        integer(query.limit.saturating_add(1)),
    ];
    for attribute in &query.attributes {
        params.extend([text(&attribute.name), text(&attribute.value)]);
    }
    let find = statement(find_sql(&query), params);
    readable(now, || {
        let rows = crate::database::query(&find, Some(max_bytes))?;
        let pager = Pager::of_query(&query, max_bytes);
        fill(pager, (query.order, query.descending), query.limit, rows)
    })
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
    // Rows whose revision is none are found too.
    let after = Cursors::of_export().read(after)?;
    let edge = after.map_or(Value::Integer(i64::MIN), |after| {
        integer(after.saturating_add(1))
    });
    let sql = format!(
        "SELECT {COLUMNS} FROM records AS r WHERE r.create_revision >= ?1 \
         AND (r.expires_at IS NULL OR r.expires_at > ?2) ORDER BY r.create_revision LIMIT ?3"
    );
    let params = [edge, integer(now), integer(limit.saturating_add(1))];
    let select = statement(sql, params);
    readable(now, || {
        let rows = query(&select, Some(max_bytes))?;
        let pager = Pager::of_export(limit, max_bytes);
        fill(pager, (Order::Created, false), limit, rows)
    })
}

/// Reads a page; again while rows of it had to be set aside, so that it is as full as any. Where they
/// cannot be, or are more than some rounds take, the page goes on after them.
fn readable(
    now: Timestamp,
    read: impl Fn() -> Result<(Page, Vec<Damaged>), Error>,
) -> Result<Page, Error> {
    let mut rounds = ATTEMPTS;
    loop {
        let (page, damaged) = read()?;
        rounds -= 1;
        let again = !damaged.is_empty() && set_aside(&damaged, now) && rounds > 0;
        if !again {
            return Ok(page);
        }
    }
}

/// Fills a page with the rows that make a record, and makes sure that all of them do come in order: the
/// cursors stand on that. One row more than `limit` was asked for.
fn fill(
    mut pager: Pager,
    (order, descending): (Order, bool),
    limit: u32,
    rows: Rows,
) -> Result<(Page, Vec<Damaged>), Error> {
    let mut more = !rows.complete;
    let mut cells = Cells::of(rows);
    let mut damaged = Vec::new();
    let mut last = None;
    let mut count = 0;
    while !cells.is_empty() {
        let row = decode(&mut cells)?;
        let position = match order {
            Order::Created => row.create_revision,
            Order::Updated => row.mod_revision,
        };
        if last.is_some_and(|last| position == last || (position < last) != descending) {
            return Err(Error::Internal("a page's rows came out of order".into()));
        }
        last = Some(position);
        count += 1;
        match row.into_record() {
            Ok(record) => {
                if !pager.give(position.cast_unsigned(), record) {
                    return Ok((pager.finish(), damaged));
                }
            }
            Err(row) => damaged.push(row),
        }
    }
    more |= count > limit;
    match last {
        // Nothing that can be read comes after a revision that is none.
        Some(..1) if descending => {}
        Some(last) if more => pager.cut_after(last.max(0).cast_unsigned()),
        _ => {}
    }
    Ok((pager.finish(), damaged))
}

/// Counts the unexpired records of each collection that has any.
pub fn statistics(now: Timestamp) -> Result<Vec<CollectionStatistics>, Error> {
    let sql = "SELECT CAST(collection AS BLOB), count(*), sum(length(body)) FROM records \
               WHERE expires_at IS NULL OR expires_at > ?1 GROUP BY collection ORDER BY collection";
    let mut cells = Cells::of(query(&statement(sql, [integer(now)]), None)?);
    let mut collections = Vec::new();
    while !cells.is_empty() {
        // A row's name may be damaged, and it counts all the same.
        let collection = cells.blob().ok_or_else(odd_answer)?;
        collections.push(CollectionStatistics {
            collection: String::from_utf8_lossy(&collection).into(),
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

    /// A page of three at most, of rows with these create-revisions, and of how many none.
    fn fill(revisions: &[i64], descending: bool, complete: bool) -> Result<(Page, usize), Error> {
        let row = |&revision: &i64| {
            let mut values = vec![Value::Blob(b"task".into()), Value::Blob(b"t-1".into())];
            values.extend([revision, 9, 3, 4].map(Value::Integer));
            values.extend([Value::Null, Value::Blob(vec![]), Value::Blob(vec![])]);
            values
        };
        let rows = Rows {
            columns: 9,
            values: revisions.iter().flat_map(row).collect(),
            complete,
        };
        let pager = Pager::of_export(3, 100);
        super::fill(pager, (Order::Created, descending), 3, rows)
            .map(|(page, damaged)| (page, damaged.len()))
    }

    #[test]
    fn rows_out_of_order_are_no_page() {
        assert!(fill(&[1, 2], true, false).is_err());
        assert!(fill(&[2, 1], false, false).is_err());
        assert!(fill(&[2, 2], false, false).is_err());
        assert!(fill(&[-1, -2], false, false).is_err());
        assert!(fill(&[1, 2], false, false).is_ok());
    }

    #[test]
    fn a_page_goes_on_after_what_it_left_out() {
        // A create-revision over 9, that of the change, is none, and so is one under 1.
        for (revisions, descending, complete, (records, damaged), next) in [
            (&[1, 2][..], false, false, (2, 0), Some(2)),
            (&[1, 2], false, true, (2, 0), None),
            (&[1, 2, 3, 4], false, true, (3, 0), Some(3)),
            (&[-1, 1, 2, 3], false, true, (3, 1), Some(3)),
            (&[1, 2, 10, 11], false, true, (2, 2), Some(11)),
            (&[1, 10], false, true, (1, 1), None),
            (&[10, 11, 12, 13], false, true, (0, 4), Some(13)),
            (&[10], false, false, (0, 1), Some(10)),
            (&[-4, -3, -2, -1], false, true, (0, 4), Some(0)),
            (&[11, 10, 2, 1], true, true, (2, 2), Some(1)),
            (&[2, 1, 0, -1], true, true, (2, 2), None),
        ] {
            let (page, left_out) = fill(revisions, descending, complete).unwrap();
            assert_eq!(
                (page.records.len(), left_out),
                (records, damaged),
                "{revisions:?}"
            );
            let next = next.map(|position| Cursors::of_export().write(position));
            assert_eq!(page.next, next, "{revisions:?}");
        }
    }
}

//! What must hold of the rows for a change, and what is found where it does not.

use mortise_store::inside::schema::loss;
use mortise_store::schema::Loss;
use rusqlite::types::Value;
use rusqlite::{Connection, Result};

use super::rebuild::{Affinity, conversion};
use super::schema::{ForeignKey, Object, Schema, Table};
use super::sql::{closing, fold, list, literal, normal_of, parts, quoted, tokens};

/// What must hold of the rows of a table.
#[derive(Debug)]
pub(super) struct Need {
    table: String,
    /// An expression that names a row.
    row: String,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// The values of a column convert to this without loss.
    Exact { column: String, to: Affinity },
    /// None is so.
    None { what: String, condition: String },
    /// No two rows have the same.
    Distinct {
        what: String,
        terms: Vec<String>,
        condition: String,
    },
}

/// What was found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Finding {
    /// Goes on where the operator confirms it.
    Loss(Loss),
    /// Cannot go on.
    Obstacle(String),
}

/// What a rebuild needs.
pub(super) fn of_rebuild(want: &Table, have: &Table) -> Vec<Need> {
    let need = |kind| Need {
        table: have.name.clone(),
        row: row_of(have),
        kind,
    };
    let none = |what: String, condition: String| need(Kind::None { what, condition });
    let mut needs = Vec::new();
    for column in &want.columns {
        let (name, has_default) = (&column.name, column.default.is_some());
        let Some(there) = have.column(name) else {
            if column.not_null && !has_default && !column.generated {
                let what = format!("lack {name}, which is NOT NULL and has no default");
                needs.push(none(what, "1".to_owned()));
            }
            continue;
        };
        if let Some(to) = conversion(want, have, name) {
            needs.push(need(Kind::Exact {
                column: there.name.clone(),
                to,
            }));
        }
        if column.not_null && !there.not_null && !has_default {
            let what = format!("have NULL in {name}, which becomes NOT NULL and has no default");
            needs.push(none(what, format!("{} IS NULL", quoted(name))));
        }
    }
    let keys = want.unique.difference(&have.unique);
    let new_key =
        Some(&want.primary_key).filter(|key| **key != have.primary_key && !key.is_empty());
    for key in keys.chain(new_key) {
        if key.iter().all(|column| have.column(&column.name).is_some()) {
            let terms = key.iter().map(|column| {
                format!(
                    "{} COLLATE {}",
                    quoted(&column.name),
                    quoted(&column.collation)
                )
            });
            let names: Vec<_> = key.iter().map(|column| column.name.as_str()).collect();
            needs.push(need(distinct(names.join(", "), terms.collect(), None)));
        }
    }
    for key in want.foreign_keys.difference(&have.foreign_keys) {
        if let Some(condition) = without_parent(key, have) {
            needs.push(none(format!("have no parent in {}", key.parent), condition));
        }
    }
    let there = have.checks_without(&[]);
    for (check, text) in want.checks_without(&[]) {
        if !there.contains_key(check) {
            let what = format!("do not keep CHECK ({})", text.text);
            needs.push(none(what, format!("NOT ({})", text.text)));
        }
    }
    needs
}

/// What a UNIQUE index needs of a table that is there.
pub(super) fn of_index(index: &Object, have: &Schema) -> Option<Need> {
    let table = have.tables.get(&index.table)?;
    let all = tokens(&index.sql);
    if !all.get(1)?.is_word("unique") {
        return None;
    }
    let open = all.iter().position(|token| token.is_symbol("("))?;
    let close = closing(&all, open)?;
    let terms = parts(&all[open + 1..close]).into_iter().map(|term| {
        let ordered = term
            .last()
            .is_some_and(|last| last.is_word("asc") || last.is_word("desc"));
        let term = &term[..term.len() - usize::from(ordered)];
        Some(index.sql[term.first()?.at..term.last()?.end()].to_owned())
    });
    let terms = terms.collect::<Option<Vec<_>>>()?;
    let partial = all
        .get(close + 1)
        .is_some_and(|token| token.is_word("where"));
    let condition = partial.then(|| index.sql[all[close + 1].end()..].to_owned());
    let what = normal_of(&all[open + 1..close]);
    Some(Need {
        table: table.name.clone(),
        row: row_of(table),
        kind: distinct(what, terms, condition),
    })
}

fn distinct(what: String, terms: Vec<String>, condition: Option<String>) -> Kind {
    // NULL is like no other.
    let mut conditions: Vec<_> = terms
        .iter()
        .map(|term| format!("({term}) IS NOT NULL"))
        .collect();
    conditions.extend(condition.map(|condition| format!("({condition})")));
    Kind::Distinct {
        what,
        terms,
        condition: conditions.join(" AND "),
    }
}

/// The rows that a foreign key would leave without a parent; none where that cannot be told by now.
fn without_parent(key: &ForeignKey, have: &Table) -> Option<String> {
    let (mut filled, mut same) = (Vec::new(), Vec::new());
    for (from, to) in &key.columns {
        have.column(from)?;
        filled.push(format!("child.{} IS NOT NULL", quoted(from)));
        same.push(format!(
            "parent.{} = child.{}",
            quoted(to.as_ref()?),
            quoted(from)
        ));
    }
    Some(format!(
        "{} AND NOT EXISTS (SELECT 1 FROM {} AS parent WHERE {})",
        filled.join(" AND "),
        quoted(&key.parent),
        same.join(" AND ")
    ))
}

/// What names a row of a table: its rowid, or its primary key.
fn row_of(table: &Table) -> String {
    if !table.without_rowid {
        return "child.rowid".to_owned();
    }
    let columns = table.primary_key.iter();
    let quotes: Vec<_> = columns
        .map(|column| format!("quote(child.{})", quoted(&column.name)))
        .collect();
    quotes.join(" || ', ' || ")
}

impl Need {
    /// The table, in lower case.
    pub(super) fn table(&self) -> String {
        fold(&self.table)
    }

    /// Looks at the rows. What cannot be asked of them by now is found out when it is done.
    pub(super) fn check(&self, database: &Connection) -> Result<Option<Finding>> {
        let (table, row) = (quoted(&self.table), &self.row);
        let count = |condition: &str| {
            format!("SELECT count(*), min({row}) FROM {table} AS child WHERE {condition}")
        };
        let (sql, what) = match &self.kind {
            Kind::Exact { column, to } => return self.exact(database, column, *to),
            Kind::None { what, condition } => (count(condition), what.clone()),
            Kind::Distinct {
                what,
                terms,
                condition,
            } => (
                format!(
                    "SELECT sum(rows), min(row) FROM (SELECT count(*) AS rows, min({row}) AS row \
                     FROM {table} AS child WHERE {condition} GROUP BY {} HAVING count(*) > 1)",
                    terms.join(", ")
                ),
                format!("are not the only ones with the same {what}"),
            ),
        };
        let found = self.count(database, &sql)?;
        Ok(found.map(|(rows, example)| {
            Finding::Obstacle(format!(
                "{rows} of {} {what}, such as {example}",
                self.table
            ))
        }))
    }

    fn exact(&self, database: &Connection, column: &str, to: Affinity) -> Result<Option<Finding>> {
        let (name, table, target) = (quoted(column), quoted(&self.table), to.as_type());
        let back = |stored: &str| {
            format!(
                "WHEN {} THEN CAST(CAST({name} AS {target}) AS {stored}) IS {name}",
                literal(&stored.to_lowercase())
            )
        };
        let all = ["INTEGER", "REAL", "TEXT", "BLOB"].map(back).join(" ");
        let fits = match to {
            Affinity::Numeric => "'integer', 'real'".to_owned(),
            to => literal(&to.as_type().to_lowercase()),
        };
        let condition = format!(
            "{name} IS NOT NULL AND typeof({name}) NOT IN ({fits}) AND NOT (CASE typeof({name}) {all} END)"
        );
        let sql = format!(
            "SELECT count(*), min({}) FROM {table} AS child WHERE {condition}",
            self.row
        );
        let mut found = self.count(database, &sql)?;
        if found.is_none() && to == Affinity::Text {
            found = self.bytes_that_are_no_text(database, &name)?;
        }
        Ok(found.map(|(rows, example)| {
            let target = target.to_lowercase();
            Finding::Loss(loss(
                format!("{}.{column}", self.table),
                format!(
                    "{rows} of its values are no {target} as they are, such as that of {example}"
                ),
            ))
        }))
    }

    /// Bytes become a text with CAST whatever they are; one that is not UTF-8 cannot be read back.
    fn bytes_that_are_no_text(
        &self,
        database: &Connection,
        column: &str,
    ) -> Result<Option<(i64, String)>> {
        let (row, table) = (&self.row, quoted(&self.table));
        let sql =
            format!("SELECT {row}, {column} FROM {table} AS child WHERE typeof({column}) = 'blob'");
        let mut all = database.prepare(&sql)?;
        let mut rows = all.query([])?;
        let mut found = None;
        while let Some(row) = rows.next()? {
            if std::str::from_utf8(row.get_ref(1)?.as_blob()?).is_err() {
                let first = || self.named(row.get(0)).map(|example| (0, example));
                let (count, _) = match &mut found {
                    Some(found) => found,
                    none => none.insert(first()?),
                };
                *count += 1;
            }
        }
        Ok(found)
    }

    /// How many rows, and one of them; none where there are none.
    fn count(&self, database: &Connection, sql: &str) -> Result<Option<(i64, String)>> {
        // A name in it may be of what is not there yet.
        let Ok(mut counting) = database.prepare(sql) else {
            return Ok(None);
        };
        let (rows, row): (Option<i64>, Value) =
            counting.query_row([], |found| Ok((found.get(0)?, found.get(1)?)))?;
        match rows {
            None | Some(0) => Ok(None),
            Some(rows) => Ok(Some((rows, self.named(Ok(row))?))),
        }
    }

    fn named(&self, row: Result<Value>) -> Result<String> {
        Ok(match row? {
            Value::Integer(rowid) => format!("rowid {rowid}"),
            Value::Text(key) => format!("({key})"),
            _ => "one without a key".to_owned(),
        })
    }
}

/// How many rows a table has.
pub(super) fn has_rows(database: &Connection, table: &str) -> Result<bool> {
    let sql = format!("SELECT EXISTS (SELECT 1 FROM {})", list([table]));
    database.query_row(&sql, [], |row| row.get(0))
}

//! A backend's own steps, tried on an empty replay of the database: what they would lose.
//!
//! One statement does one thing, so that comparing the tables before and after it tells a column that was
//! renamed from one that was dropped. A table that is dropped and there again when the step ends was
//! rebuilt, and has lost only the columns that it lacks then.

use std::collections::{BTreeMap, BTreeSet};

use mortise_store::Result;
use mortise_store::inside::schema::loss;
use mortise_store::schema::Loss;
use rusqlite::Result as SqlResult;
use tokio::time::Instant;

use super::failure::{failed, statement_failed};
use super::schema::Schema;
use super::target::MAX_BYTES;
use crate::connection::{Connection, Seen};
use crate::sql::Step;

/// The columns of each table, by names in lower case.
type Names = BTreeMap<String, Vec<String>>;

/// A database without its rows, on which a plan is tried.
pub(super) struct Replay {
    pub(super) scratch: Connection,
    /// The tables that steps wrote to or changed.
    pub(super) touched: BTreeSet<String>,
    tables: Vec<Lineage>,
}

/// What became of a table of the database.
struct Lineage {
    original: String,
    /// What it is called now; none where it was dropped.
    now: Option<String>,
    last: String,
    /// The original names, and what they are called now.
    columns: Vec<(String, Option<String>)>,
    rows_deleted_by: Option<u32>,
    dropped_by: u32,
}

impl Replay {
    pub(super) fn of(schema: &Schema, deadline: Instant) -> Result<Self> {
        let unreadable = |error| failed("the database's own schema cannot be replayed", error);
        let scratch = Connection::scratch(MAX_BYTES, deadline).map_err(unreadable)?;
        scratch
            .execute_own("PRAGMA foreign_keys = OFF")
            .map_err(unreadable)?;
        let mut later = Vec::new();
        let mut tables = Vec::new();
        for table in schema.tables.values() {
            scratch
                .run(&table.sql)
                .map_err(|error| statement_failed(&table.sql, &error))?;
            let columns = table.columns.iter().map(|column| column.name.as_str());
            tables.push(Lineage {
                original: table.name.clone(),
                now: Some(table.name.to_ascii_lowercase()),
                last: table.name.to_ascii_lowercase(),
                columns: columns
                    .map(|name| (name.to_owned(), Some(name.to_ascii_lowercase())))
                    .collect(),
                rows_deleted_by: None,
                dropped_by: 0,
            });
        }
        for objects in [&schema.indexes, &schema.views, &schema.triggers] {
            later.extend(objects.values());
        }
        for object in later {
            // What belongs to a virtual table is not replayed, nor is that table.
            let replayed = scratch.run(&object.sql);
            if let Err(error) = replayed
                && schema.tables.contains_key(&object.table)
            {
                return Err(statement_failed(&object.sql, &error));
            }
        }
        Ok(Self {
            scratch,
            touched: BTreeSet::new(),
            tables,
        })
    }

    /// Runs a step.
    pub(super) fn take(&mut self, step: &Step) -> Result<()> {
        let unreadable = |error| failed("the schema after a step cannot be read", error);
        let mut before = self.scratch.own(names).map_err(unreadable)?;
        for sql in &step.sql {
            let seen = self
                .scratch
                .run(sql)
                .map_err(|error| statement_failed(sql, &error))?;
            let after = self.scratch.own(names).map_err(unreadable)?;
            self.follow(step.version, &seen, &before, &after);
            before = after;
        }
        for table in &mut self.tables {
            table.settle(&before);
        }
        Ok(())
    }

    fn follow(&mut self, version: u32, seen: &Seen, before: &Names, after: &Names) {
        self.touched.extend(seen.written.iter().cloned());
        let gone: Vec<_> = before
            .keys()
            .filter(|name| !after.contains_key(*name))
            .collect();
        let new: Vec<_> = after
            .keys()
            .filter(|name| !before.contains_key(*name))
            .collect();
        self.touched.extend(new.iter().map(|name| name.to_string()));
        for table in &mut self.tables {
            let Some(now) = table.now.clone() else {
                continue;
            };
            if seen.deleted_from.contains(&now) {
                table.rows_deleted_by.get_or_insert(version);
            }
            if gone.contains(&&now) {
                let renamed = seen.dropped.is_empty() && gone.len() == 1;
                table.now = new.first().filter(|_| renamed).map(|name| name.to_string());
                table.last = now;
                table.dropped_by = version;
                continue;
            }
            let (Some(had), Some(has)) = (before.get(&now), after.get(&now)) else {
                continue;
            };
            let lost: Vec<_> = had.iter().filter(|name| !has.contains(name)).collect();
            let gained: Vec<_> = has.iter().filter(|name| !had.contains(name)).collect();
            if lost.is_empty() && gained.is_empty() {
                continue;
            }
            self.touched.insert(now);
            table.dropped_by = version;
            for (_, column) in &mut table.columns {
                if column.as_ref().is_some_and(|name| lost.contains(&name)) {
                    let renamed = lost.len() == 1 && gained.len() == 1;
                    *column = gained
                        .first()
                        .filter(|_| renamed)
                        .map(|name| name.to_string());
                }
            }
        }
    }

    /// What the steps lose of a database in which these tables have rows.
    pub(super) fn losses(
        &self,
        mut has_rows: impl FnMut(&str) -> SqlResult<bool>,
    ) -> SqlResult<Vec<Loss>> {
        let mut losses = Vec::new();
        for table in &self.tables {
            let gone = table.columns.iter().filter(|(_, now)| now.is_none());
            let gone: Vec<_> = gone.map(|(original, _)| original).collect();
            let loses = table.now.is_none() || !gone.is_empty() || table.rows_deleted_by.is_some();
            if !loses || !has_rows(&table.original)? {
                continue;
            }
            let (name, by) = (&table.original, table.dropped_by);
            let mut lose = |name: String, reason: String| losses.push(loss(name, reason));
            if table.now.is_none() {
                lose(
                    name.clone(),
                    format!("the step to version {by} drops the table"),
                );
                continue;
            }
            if let Some(by) = table.rows_deleted_by {
                lose(
                    name.clone(),
                    format!("the step to version {by} deletes rows"),
                );
            }
            for column in gone {
                lose(
                    format!("{name}.{column}"),
                    format!("the step to version {by} drops the column"),
                );
            }
        }
        Ok(losses)
    }
}

impl Lineage {
    /// At the end of a step: a table that was dropped and is there again was rebuilt.
    fn settle(&mut self, names: &Names) {
        if self.now.is_some() {
            return;
        }
        let again = [self.last.clone(), self.original.to_ascii_lowercase()];
        let Some(name) = again.into_iter().find(|name| names.contains_key(name)) else {
            return;
        };
        let there = &names[&name];
        for (_, column) in &mut self.columns {
            *column = column.take().filter(|column| there.contains(column));
        }
        self.now = Some(name);
    }
}

fn names(database: &rusqlite::Connection) -> SqlResult<Names> {
    let mut names = Names::new();
    let mut all = database.prepare(
        "SELECT lower(t.name), lower(c.name) FROM sqlite_schema AS t, pragma_table_xinfo(t.name) AS c \
         WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite\\_%' ESCAPE '\\'",
    )?;
    let mut rows = all.query([])?;
    while let Some(row) = rows.next()? {
        names.entry(row.get(0)?).or_default().push(row.get(1)?);
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// What steps lose of a database that was made so, with rows in each table.
    fn losses(made: &[&str], steps: &[&[&str]]) -> Vec<String> {
        let deadline = Instant::now() + Duration::from_secs(30);
        let database = Connection::scratch(MAX_BYTES, deadline).unwrap();
        made.iter().for_each(|sql| drop(database.run(sql).unwrap()));
        let schema = database.own(Schema::read).unwrap();
        let mut replay = Replay::of(&schema, deadline).unwrap();
        for (version, sql) in (1..).zip(steps) {
            let sql = sql.iter().map(|sql| sql.to_string()).collect();
            replay.take(&Step { version, sql }).unwrap();
        }
        let losses = replay.losses(|table| Ok(table != "empty")).unwrap();
        losses.into_iter().map(|loss| loss.name).collect()
    }

    #[test]
    fn what_steps_drop_or_delete_is_named_and_what_they_move_is_not() {
        let made = [
            "CREATE TABLE a (x, y, z)",
            "CREATE TABLE b (x)",
            "CREATE TABLE empty (x)",
        ];
        let none: [&str; 0] = [];
        for (steps, lost) in [
            (
                &[&[
                    "ALTER TABLE a RENAME COLUMN y TO w",
                    "ALTER TABLE a RENAME TO c",
                ] as &[&str]] as &[&[&str]],
                &none as &[&str],
            ),
            (&[&["ALTER TABLE a DROP COLUMN y"]], &["a.y"]),
            (
                &[
                    &["ALTER TABLE a RENAME COLUMN y TO w"],
                    &["ALTER TABLE a DROP COLUMN w"],
                ],
                &["a.y"],
            ),
            (&[&["ALTER TABLE a RENAME TO c"], &["DROP TABLE c"]], &["a"]),
            (&[&["ALTER TABLE a RENAME TO c", "DROP TABLE c"]], &["a"]),
            (&[&["DROP TABLE a", "DROP TABLE empty"]], &["a"]),
            (&[&["DELETE FROM b WHERE x > 1"]], &["b"]),
            (&[&["UPDATE b SET x = 1", "INSERT INTO b VALUES (2)"]], &[]),
            // A rebuild, in both of the usual ways.
            (
                &[&[
                    "CREATE TABLE n (x, y, z)",
                    "INSERT INTO n SELECT * FROM a",
                    "DROP TABLE a",
                    "ALTER TABLE n RENAME TO a",
                ]],
                &[],
            ),
            (
                &[&[
                    "ALTER TABLE a RENAME TO o",
                    "CREATE TABLE a (x, y)",
                    "INSERT INTO a SELECT x, y FROM o",
                    "DROP TABLE o",
                ]],
                &["a.z"],
            ),
            (&[&["CREATE TABLE t (x)", "DROP TABLE t"]], &[]),
            (
                &[&[
                    "CREATE TRIGGER r AFTER UPDATE ON a BEGIN DELETE FROM b; END",
                    "UPDATE a SET x = 1",
                ]],
                &["b"],
            ),
        ] {
            assert_eq!(losses(&made, steps), lost, "{steps:?}");
        }
    }

    #[test]
    fn a_step_that_does_not_run_is_named() {
        let deadline = Instant::now() + Duration::from_secs(30);
        let mut replay = Replay::of(&Schema::default(), deadline).unwrap();
        let sql = vec!["ALTER TABLE missing ADD COLUMN x".to_owned()];
        let error = replay.take(&Step { version: 1, sql }).unwrap_err();
        assert!(error.to_string().contains("ALTER TABLE missing"), "{error}");
    }
}

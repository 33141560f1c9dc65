//! What a database lacks of the schema that a backend wants, and what makes up for it.
//!
//! What the database has beyond the wanted schema stays, and is no difference: columns, tables, indexes,
//! triggers and views. The order of columns is none either: what ALTER TABLE adds stands last.

use std::collections::BTreeSet;

use mortise_store::Result;
use mortise_store::inside::ErrorInside as _;
use mortise_store::inside::schema::change;
use mortise_store::schema::Change;

use super::failure::refused;
use super::needs::{Need, of_index};
use super::rebuild::{is_rowid, rebuild};
use super::schema::{Column, KeyColumn, Object, Schema, Table};
use super::sql::{fold, normal, quoted};
use super::target::Wanted;

/// A change, and what must hold of the rows for it.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) change: Change,
    pub(super) needs: Vec<Need>,
}

impl Work {
    fn new(what: String, why: String, sql: Vec<String>) -> Self {
        Self {
            change: change(what, why, sql),
            needs: Vec::new(),
        }
    }
}

/// What brings `have` to what is wanted; nothing where it is there.
pub(super) fn compare(wanted: &Wanted, have: &Schema) -> Result<Vec<Work>> {
    let want = &wanted.schema;
    check_kinds(want, have)?;
    let mut works = missing_tables(wanted, have);
    for (key, table) in &want.tables {
        if let Some(there) = have.tables.get(key) {
            works.extend(table_work(table, there, want, have));
        }
    }
    for (key, index) in &want.indexes {
        if let Some(mut work) = object_work("index", index, have.indexes.get(key)) {
            work.needs.extend(of_index(index, have));
            works.push(work);
        }
    }
    for (key, view) in &want.views {
        if let Some(mut work) = object_work("view", view, have.views.get(key)) {
            // They go with the view.
            work.change.sql.extend(kept_triggers(key, want, have));
            works.push(work);
        }
    }
    for (key, trigger) in &want.triggers {
        works.extend(object_work("trigger", trigger, have.triggers.get(key)));
    }
    Ok(works)
}

/// What the database has beyond the wanted schema: `column records.note`, `table notes`, …
pub(super) fn extras(want: &Schema, have: &Schema) -> Vec<String> {
    let mut extras = Vec::new();
    for (key, table) in &have.tables {
        match want.tables.get(key) {
            None => extras.push(format!("table {}", table.name)),
            Some(wanted) => extras.extend(
                extra_columns(wanted, table)
                    .map(|column| format!("column {}.{}", table.name, column.name)),
            ),
        }
    }
    for (kind, want, have) in [
        ("index", &want.indexes, &have.indexes),
        ("trigger", &want.triggers, &have.triggers),
        ("view", &want.views, &have.views),
    ] {
        let extra = have.iter().filter(|(key, _)| !want.contains_key(*key));
        extras.extend(extra.map(|(_, object)| format!("{kind} {}", object.name)));
    }
    extras
}

pub(super) fn extra_columns<'a>(
    want: &'a Table,
    have: &'a Table,
) -> impl Iterator<Item = &'a Column> {
    let columns = have.columns.iter();
    columns.filter(|column| want.column(&column.name).is_none())
}

/// The triggers of a table or view that stay as they are: they go when it goes, and are made again.
pub(super) fn kept_triggers(table: &str, want: &Schema, have: &Schema) -> Vec<String> {
    kept(table, &want.triggers, &have.triggers)
}

/// The same for a table's indexes.
pub(super) fn kept_indexes(table: &str, want: &Schema, have: &Schema) -> Vec<String> {
    kept(table, &want.indexes, &have.indexes)
}

type Objects = std::collections::BTreeMap<String, Object>;

fn kept(table: &str, want: &Objects, have: &Objects) -> Vec<String> {
    let stays = |(key, object): &(&String, &Object)| {
        let changed = want
            .get(*key)
            .is_some_and(|wanted| wanted.normal != object.normal);
        object.table == table && !changed
    };
    let kept = have.iter().filter(stays);
    kept.map(|(_, object)| object.sql.clone()).collect()
}

/// One name is of one thing.
fn check_kinds(want: &Schema, have: &Schema) -> Result<()> {
    let kinds = |schema: &Schema, name: &str| {
        [
            ("table", schema.tables.contains_key(name)),
            ("index", schema.indexes.contains_key(name)),
            ("trigger", schema.triggers.contains_key(name)),
            ("view", schema.views.contains_key(name)),
        ]
    };
    for name in want.names() {
        let key = fold(name);
        let all = kinds(want, &key).into_iter().zip(kinds(have, &key));
        // A trigger may have the name of something else.
        let (mut wanted, mut found) = (None, None);
        for ((kind, is_wanted), (_, is_there)) in all.filter(|((kind, _), _)| *kind != "trigger") {
            wanted = wanted.or(is_wanted.then_some(kind));
            found = found.or(is_there.then_some(kind));
        }
        if let (Some(wanted), Some(found)) = (wanted, found)
            && wanted != found
        {
            return Err(refused(format!(
                "{name} is a {found} in the database, expected a {wanted}"
            ))
            .with_hint("rename it, or drop it, with another program"));
        }
    }
    Ok(())
}

fn missing_tables(wanted: &Wanted, have: &Schema) -> Vec<Work> {
    let want = &wanted.schema;
    let missing = want
        .tables
        .iter()
        .filter(|(key, _)| !have.tables.contains_key(*key));
    let missing: Vec<_> = missing.collect();
    let mut works: Vec<_> = missing
        .iter()
        .map(|(_, table)| {
            let what = format!("create table {}", table.name);
            Work::new(what, "it is missing".to_owned(), vec![table.sql.clone()])
        })
        .collect();
    let new: BTreeSet<_> = missing.into_iter().map(|(key, _)| key.as_str()).collect();
    for (sql, tables) in &wanted.seeds {
        if tables.iter().all(|table| new.contains(table.as_str())) {
            let names: Vec<_> = tables.iter().map(String::as_str).collect();
            works.push(Work::new(
                format!("fill {}", names.join(", ")),
                "it is created anew".to_owned(),
                vec![sql.clone()],
            ));
        }
    }
    works
}

fn object_work(kind: &str, want: &Object, have: Option<&Object>) -> Option<Work> {
    let (mut sql, name) = (Vec::new(), &want.name);
    let why = match have {
        Some(have) if have.normal == want.normal => return None,
        Some(_) => {
            // It may be gone already, with a table that is rebuilt.
            sql.push(format!(
                "DROP {} IF EXISTS {}",
                kind.to_uppercase(),
                quoted(name)
            ));
            "it is another one than expected"
        }
        None => "it is missing",
    };
    sql.push(want.sql.clone());
    Some(Work::new(
        format!("create {kind} {name}"),
        why.to_owned(),
        sql,
    ))
}

fn table_work(want: &Table, have: &Table, all_wanted: &Schema, all: &Schema) -> Vec<Work> {
    let missing: Vec<_> = want
        .columns
        .iter()
        .filter(|column| have.column(&column.name).is_none())
        .collect();
    let mut why = Differences::between(want, have).0;
    let addable = |column: &&Column| is_addable(want, column);
    why.extend(
        missing
            .iter()
            .filter(|column| !addable(column))
            .map(|column| {
                format!(
                    "the column {} is missing, and cannot be added to a table that is there",
                    column.name
                )
            }),
    );
    if !why.is_empty() {
        let (sql, needs) = rebuild(want, have, all_wanted, all);
        let what = format!("rebuild table {}", have.name);
        let work = Work::new(what, why.join("; "), sql);
        return vec![Work { needs, ..work }];
    }
    let added = missing.into_iter().filter_map(|column| {
        let text = &want.definition.column(&column.name)?.text;
        Some(Work::new(
            format!("add column {}.{}", have.name, column.name),
            "it is missing".to_owned(),
            vec![format!(
                "ALTER TABLE {} ADD COLUMN {text}",
                quoted(&have.name)
            )],
        ))
    });
    added.collect()
}

/// Whether ALTER TABLE ADD COLUMN takes it.
fn is_addable(table: &Table, column: &Column) -> bool {
    let text = table.definition.column(&column.name);
    text.is_some_and(|text| text.addable) && (!column.not_null || column.default.is_some())
}

/// What of a table only a rebuild can change, in words.
struct Differences(Vec<String>);

impl Differences {
    fn between(want: &Table, have: &Table) -> Self {
        let mut differences = Self(Vec::new());
        for column in &want.columns {
            if let Some(there) = have.column(&column.name) {
                differences.of_column(column, there, want, have);
            }
        }
        differences.of_keys(want, have);
        differences.of_constraints(want, have);
        for column in extra_columns(want, have) {
            let filled =
                column.default.is_some() || column.generated || is_rowid(have, &column.name);
            if column.not_null && !filled {
                let name = &column.name;
                differences.0.push(format!(
                    "the column {name}, which this backend does not know, is NOT NULL without a default"
                ));
            }
        }
        differences
    }

    fn differ(&mut self, what: impl std::fmt::Display, found: &str, expected: &str) {
        if found != expected {
            let shown = |text: &str| {
                if text.is_empty() {
                    "none".to_owned()
                } else {
                    text.to_owned()
                }
            };
            let (found, expected) = (shown(found), shown(expected));
            self.0
                .push(format!("{what} is {found}, expected {expected}"));
        }
    }

    fn of_column(&mut self, want: &Column, have: &Column, table: &Table, there: &Table) {
        let name = &want.name;
        self.differ(
            format_args!("the type of {name}"),
            &have.declared,
            &want.declared,
        );
        let null = |column: &Column| {
            if column.not_null {
                "not allowed"
            } else {
                "allowed"
            }
        };
        self.differ(format_args!("NULL in {name}"), null(have), null(want));
        let default = |column: &Column| column.default.as_deref().map(normal).unwrap_or_default();
        self.differ(
            format_args!("the default of {name}"),
            &default(have),
            &default(want),
        );
        let text = |table: &Table| table.definition.column(name).cloned();
        if let (Some(want), Some(have)) = (text(table), text(there)) {
            let told = |text: Option<String>| text.unwrap_or_default();
            self.differ(
                format_args!("the collation of {name}"),
                &told(have.collation),
                &told(want.collation),
            );
            self.differ(
                format_args!("what computes {name}"),
                &told(have.generated),
                &told(want.generated),
            );
            self.differ(
                format_args!("what {name} does on a conflict"),
                &have.conflicts.join(", "),
                &want.conflicts.join(", "),
            );
        }
    }

    fn of_keys(&mut self, want: &Table, have: &Table) {
        self.differ(
            "the primary key",
            &told(&have.primary_key),
            &told(&want.primary_key),
        );
        for key in want.unique.difference(&have.unique) {
            self.0.push(format!("UNIQUE {} is missing", told(key)));
        }
        let known =
            |key: &&Vec<KeyColumn>| key.iter().all(|column| want.column(&column.name).is_some());
        for key in have.unique.difference(&want.unique).filter(known) {
            self.0.push(format!("UNIQUE {} is not expected", told(key)));
        }
        for key in want.foreign_keys.difference(&have.foreign_keys) {
            self.0.push(format!(
                "the foreign key to {} is missing, or another one",
                key.parent
            ));
        }
        for key in have.foreign_keys.difference(&want.foreign_keys) {
            let known = key
                .columns
                .iter()
                .all(|(from, _)| want.column(from).is_some());
            let replaced = want
                .foreign_keys
                .iter()
                .any(|wanted| wanted.parent == key.parent);
            if known && !replaced {
                self.0
                    .push(format!("the foreign key to {} is not expected", key.parent));
            }
        }
    }

    fn of_constraints(&mut self, want: &Table, have: &Table) {
        let extra: Vec<_> = extra_columns(want, have)
            .map(|column| column.name.as_str())
            .collect();
        let (wanted, there) = (want.checks_without(&[]), have.checks_without(&extra));
        for (check, text) in wanted
            .iter()
            .filter(|(check, _)| !there.contains_key(*check))
        {
            let missing = text
                .column
                .as_ref()
                .is_some_and(|name| have.column(name).is_none());
            if !missing && !check.is_empty() {
                self.0.push(format!("CHECK ({}) is missing", text.text));
            }
        }
        for (_, text) in there
            .iter()
            .filter(|(check, _)| !wanted.contains_key(*check))
        {
            self.0
                .push(format!("CHECK ({}) is not expected", text.text));
        }
        let yes = |is: bool| if is { "yes" } else { "no" };
        self.differ("STRICT", yes(have.strict), yes(want.strict));
        self.differ(
            "WITHOUT ROWID",
            yes(have.without_rowid),
            yes(want.without_rowid),
        );
        let (have, want) = (&have.definition, &want.definition);
        self.differ(
            "AUTOINCREMENT",
            yes(have.autoincrement),
            yes(want.autoincrement),
        );
        if extra.is_empty() {
            let deferred = |deferred: usize| deferred.to_string();
            self.differ(
                "the number of deferred foreign keys",
                &deferred(have.deferred),
                &deferred(want.deferred),
            );
            self.differ(
                "what keys do on a conflict",
                &have.conflicts.join(", "),
                &want.conflicts.join(", "),
            );
        }
    }
}

fn told(key: &[KeyColumn]) -> String {
    if key.is_empty() {
        return String::new();
    }
    let columns = key.iter().map(|column| match column.collation.as_str() {
        "BINARY" => column.name.clone(),
        other => format!("{} COLLATE {other}", column.name),
    });
    format!("({})", columns.collect::<Vec<_>>().join(", "))
}

//! The schema of a database, as it is compared.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, Result};
use sha2::{Digest as _, Sha256};

use super::definition::{Check, Definition};
use super::history;
use super::sql::{fold, normal};

/// What a database has: tables, indexes, triggers and views by name in lower case. SQLite's own are left
/// out, and so is the history of migrations, which is the host's.
#[derive(Debug, Clone, Default)]
pub(super) struct Schema {
    pub(super) tables: BTreeMap<String, Table>,
    pub(super) indexes: BTreeMap<String, Object>,
    pub(super) triggers: BTreeMap<String, Object>,
    pub(super) views: BTreeMap<String, Object>,
    /// All of them, in the order in which they were made.
    pub(super) statements: Vec<String>,
}

/// An index, a trigger or a view.
#[derive(Debug, Clone)]
pub(super) struct Object {
    pub(super) name: String,
    /// What it belongs to, in lower case.
    pub(super) table: String,
    pub(super) sql: String,
    /// In the form in which it is compared.
    pub(super) normal: String,
}

/// A table.
#[derive(Debug, Clone)]
pub(super) struct Table {
    pub(super) name: String,
    pub(super) sql: String,
    pub(super) columns: Vec<Column>,
    pub(super) primary_key: Vec<KeyColumn>,
    /// The UNIQUE constraints.
    pub(super) unique: BTreeSet<Vec<KeyColumn>>,
    pub(super) foreign_keys: BTreeSet<ForeignKey>,
    pub(super) strict: bool,
    pub(super) without_rowid: bool,
    pub(super) definition: Definition,
}

/// A column.
#[derive(Debug, Clone)]
pub(super) struct Column {
    pub(super) name: String,
    /// The type as it was declared, in upper case.
    pub(super) declared: String,
    pub(super) not_null: bool,
    /// As it was written; none where that is NULL.
    pub(super) default: Option<String>,
    /// Whether its values are computed.
    pub(super) generated: bool,
}

/// A column of a key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct KeyColumn {
    /// In lower case.
    pub(super) name: String,
    pub(super) collation: String,
}

/// A foreign key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ForeignKey {
    /// In lower case, as all of its names.
    pub(super) parent: String,
    /// From where to where; where none is named, the parent's primary key.
    pub(super) columns: Vec<(String, Option<String>)>,
    pub(super) on_update: String,
    pub(super) on_delete: String,
}

impl Schema {
    /// Reads the schema of a database. To be called within a transaction, where others may change it.
    pub(super) fn read(database: &Connection) -> Result<Self> {
        let mut schema = Self::default();
        let mut objects = database.prepare(
            "SELECT type, name, tbl_name, sql FROM sqlite_schema \
             WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND sql NOT NULL ORDER BY rowid",
        )?;
        let mut rows = objects.query([])?;
        while let Some(row) = rows.next()? {
            let (kind, name, table): (String, String, String) =
                (row.get(0)?, row.get(1)?, row.get(2)?);
            let sql: String = row.get(3)?;
            if fold(&table) == history::TABLE {
                continue;
            }
            schema.statements.push(sql.clone());
            let key = fold(&name);
            let objects = match kind.as_str() {
                "table" => {
                    if let Some(table) = Table::read(database, name, sql)? {
                        schema.tables.insert(key, table);
                    }
                    continue;
                }
                "index" => &mut schema.indexes,
                "trigger" => &mut schema.triggers,
                _ => &mut schema.views,
            };
            let (table, normal) = (fold(&table), normal(&sql));
            objects.insert(
                key,
                Object {
                    name,
                    table,
                    sql,
                    normal,
                },
            );
        }
        Ok(schema)
    }

    /// Whether there is nothing at all.
    pub(super) fn is_empty(&self) -> bool {
        self.statements.is_empty()
    }

    /// The names of all that there is.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        let objects = [&self.indexes, &self.triggers, &self.views];
        let objects = objects.into_iter().flat_map(BTreeMap::values);
        let tables = self.tables.values().map(|table| table.name.as_str());
        tables.chain(objects.map(|object| object.name.as_str()))
    }

    /// SHA-256 of the texts in the form in which they are compared, in hex.
    pub(super) fn digest(&self) -> String {
        let mut texts: Vec<_> = self.statements.iter().map(|sql| normal(sql)).collect();
        texts.sort();
        let digest = Sha256::digest(texts.join("\n"));
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl Table {
    /// None for a virtual table, which no backend may have.
    fn read(database: &Connection, name: String, sql: String) -> Result<Option<Self>> {
        let Some(definition) = Definition::read(&sql) else {
            return Ok(None);
        };
        let (mut columns, mut by_rank) = (Vec::new(), BTreeMap::new());
        let mut all = database.prepare("SELECT * FROM pragma_table_xinfo(?1)")?;
        let mut rows = all.query([&name])?;
        while let Some(row) = rows.next()? {
            let (column, rank): (String, u32) = (row.get(1)?, row.get(5)?);
            let default: Option<String> = row.get(4)?;
            if rank > 0 {
                by_rank.insert(rank, KeyColumn::plain(&column));
            }
            columns.push(Column {
                name: column,
                declared: row.get::<_, String>(2)?.to_ascii_uppercase(),
                not_null: row.get(3)?,
                default: default.filter(|value| !value.eq_ignore_ascii_case("null")),
                generated: row.get::<_, u32>(6)? > 1,
            });
        }
        let mut primary_key: Vec<_> = by_rank.into_values().collect();
        let mut unique = BTreeSet::new();
        let mut indexes = database.prepare(
            "SELECT name, origin FROM pragma_index_list(?1) WHERE origin IN ('u', 'pk')",
        )?;
        let mut rows = indexes.query([&name])?;
        while let Some(row) = rows.next()? {
            let key = key_of(database, &row.get::<_, String>(0)?)?;
            match row.get::<_, String>(1)?.as_str() {
                "pk" => primary_key = key,
                _ => {
                    unique.insert(key);
                }
            }
        }
        let mut kind = database
            .prepare("SELECT strict, wr FROM pragma_table_list(?1) WHERE schema = 'main'")?;
        let (strict, without_rowid) =
            kind.query_row([&name], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(Some(Self {
            foreign_keys: foreign_keys_of(database, &name)?,
            name,
            sql,
            columns,
            primary_key,
            unique,
            strict,
            without_rowid,
            definition,
        }))
    }

    pub(super) fn column(&self, name: &str) -> Option<&Column> {
        self.columns
            .iter()
            .find(|column| column.name.eq_ignore_ascii_case(name))
    }

    /// The CHECKs that stand at none of these columns and speak of none of them.
    pub(super) fn checks_without<'a>(&'a self, columns: &[&str]) -> BTreeMap<&'a str, &'a Check> {
        let is_of = |check: &Check| {
            let column = check.column.as_deref();
            columns
                .iter()
                .map(|name| fold(name))
                .any(|name| column == Some(&name) || check.words.contains(&name))
        };
        let checks = self.definition.checks.iter().filter(|check| !is_of(check));
        checks.map(|check| (check.normal.as_str(), check)).collect()
    }
}

impl KeyColumn {
    fn plain(name: &str) -> Self {
        Self {
            name: fold(name),
            collation: "BINARY".to_owned(),
        }
    }
}

fn key_of(database: &Connection, index: &str) -> Result<Vec<KeyColumn>> {
    let mut columns = database
        .prepare("SELECT name, coll FROM pragma_index_xinfo(?1) WHERE key = 1 ORDER BY seqno")?;
    let rows = columns.query_map([index], |row| {
        let name: Option<String> = row.get(0)?;
        let collation: Option<String> = row.get(1)?;
        Ok(KeyColumn {
            name: fold(&name.unwrap_or_default()),
            collation: collation.unwrap_or_default().to_ascii_uppercase(),
        })
    })?;
    rows.collect()
}

fn foreign_keys_of(database: &Connection, table: &str) -> Result<BTreeSet<ForeignKey>> {
    let mut keys = BTreeMap::<i64, ForeignKey>::new();
    let mut all = database.prepare("SELECT * FROM pragma_foreign_key_list(?1) ORDER BY id, seq")?;
    let mut rows = all.query([table])?;
    while let Some(row) = rows.next()? {
        let key = keys.entry(row.get(0)?).or_insert_with(|| ForeignKey {
            parent: String::new(),
            columns: Vec::new(),
            on_update: String::new(),
            on_delete: String::new(),
        });
        let (from, to): (String, Option<String>) = (row.get(3)?, row.get(4)?);
        key.parent = fold(&row.get::<_, String>(2)?);
        key.columns.push((fold(&from), to.as_deref().map(fold)));
        key.on_update = row.get(5)?;
        key.on_delete = row.get(6)?;
    }
    Ok(keys.into_values().collect())
}

//! The rebuild of a table, for what ALTER TABLE cannot do: a new table, the rows copied, the old one
//! dropped, the new one renamed, its indexes and triggers made again
//! (<https://www.sqlite.org/lang_altertable.html#otheralter>).

use super::compare::{extra_columns, kept_indexes, kept_triggers};
use super::definition::relaxed;
use super::needs::{self, Need};
use super::schema::{Column, Schema, Table};
use super::sql::{fold, literal, quoted, tokens};

/// With these around it, a rename does not touch what refers to the table.
pub(super) const LEGACY_ON: &str = "PRAGMA legacy_alter_table = ON";
pub(super) const LEGACY_OFF: &str = "PRAGMA legacy_alter_table = OFF";

/// What a column's values are converted to, as SQLite derives it from the declared type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Affinity {
    Integer,
    Text,
    Blob,
    Real,
    Numeric,
}

impl Affinity {
    pub(super) fn of(declared: &str) -> Self {
        let has = |part: &str| declared.contains(part);
        match declared {
            _ if has("INT") => Self::Integer,
            _ if has("CHAR") || has("CLOB") || has("TEXT") => Self::Text,
            _ if has("BLOB") || declared.is_empty() => Self::Blob,
            _ if has("REAL") || has("FLOA") || has("DOUB") => Self::Real,
            _ => Self::Numeric,
        }
    }

    /// The type to CAST to.
    pub(super) fn as_type(self) -> &'static str {
        match self {
            Self::Integer => "INTEGER",
            Self::Text => "TEXT",
            Self::Blob => "BLOB",
            Self::Real => "REAL",
            Self::Numeric => "NUMERIC",
        }
    }
}

/// What the values of a column are converted to when they are copied; none where they stay as they are.
pub(super) fn conversion(want: &Table, have: &Table, name: &str) -> Option<Affinity> {
    let (to, from) = (want.column(name)?, have.column(name)?);
    if want.strict && to.declared == "ANY" {
        return None;
    }
    let (target, source) = (Affinity::of(&to.declared), Affinity::of(&from.declared));
    // A column without affinity takes any value; so does one that is not strict of the same affinity.
    let free = target == Affinity::Blob || target == source;
    let any = have.strict && from.declared == "ANY";
    let stays = if want.strict {
        target == source && have.strict && !any
    } else {
        free && !any
    };
    (!stays).then_some(target)
}

/// Whether the column is another name of the rowid.
pub(super) fn is_rowid(table: &Table, name: &str) -> bool {
    let is_integer = |column: &Column| column.declared == "INTEGER";
    !table.without_rowid
        && matches!(&table.primary_key[..], [key] if key.name == fold(name))
        && table.column(name).is_some_and(is_integer)
}

/// The statements, and what must hold of the rows.
pub(super) fn rebuild(
    want: &Table,
    have: &Table,
    all_wanted: &Schema,
    all: &Schema,
) -> (Vec<String>, Vec<Need>) {
    let mut new = format!("mortise_new_{}", have.name);
    while all.tables.contains_key(&fold(&new)) {
        new.push('_');
    }
    let (old, new_name) = (quoted(&have.name), quoted(&new));
    let mut sql = vec![create(want, have, &new_name)];
    let copied = Copied::of(want, have);
    sql.push(format!(
        "INSERT INTO {new_name} ({}) SELECT {} FROM {old}",
        copied.columns.join(", "),
        copied.values.join(", ")
    ));
    if want.definition.autoincrement && have.definition.autoincrement {
        let (new, old) = (literal(&new), literal(&have.name));
        sql.push(format!("DELETE FROM sqlite_sequence WHERE name = {new}"));
        sql.push(format!(
            "INSERT INTO sqlite_sequence (name, seq) SELECT {new}, seq FROM sqlite_sequence WHERE name = {old}"
        ));
    }
    sql.push(format!("DROP TABLE {old}"));
    sql.push(LEGACY_ON.to_owned());
    sql.push(format!("ALTER TABLE {new_name} RENAME TO {old}"));
    sql.push(LEGACY_OFF.to_owned());
    let key = fold(&have.name);
    sql.extend(kept_indexes(&key, all_wanted, all));
    sql.extend(kept_triggers(&key, all_wanted, all));
    (sql, needs::of_rebuild(want, have))
}

/// The wanted table, with the columns that it does not know behind its own.
fn create(want: &Table, have: &Table, name: &str) -> String {
    let extra: Vec<_> = extra_columns(want, have).collect();
    let mut parts: Vec<String> = Vec::new();
    parts.extend(
        want.definition
            .columns
            .iter()
            .map(|column| column.text.clone()),
    );
    parts.extend(extra.iter().filter_map(|column| {
        let text = &have.definition.column(&column.name)?.text;
        Some(relaxed(
            text,
            column.default.is_some(),
            want.strict && !have.strict,
        ))
    }));
    parts.extend(want.definition.constraints.iter().cloned());
    let is_of_extra = |text: &&String| {
        let all = tokens(text);
        let is_key = all.iter().any(|token| token.is_word("primary"));
        let names = |column: &&Column| all.iter().any(|token| token.name() == fold(&column.name));
        !is_key && extra.iter().any(names)
    };
    let constraints = have.definition.constraints.iter();
    parts.extend(constraints.filter(is_of_extra).cloned());
    let sql = format!(
        "CREATE TABLE {name} (\n  {}\n) {}",
        parts.join(",\n  "),
        want.definition.options
    );
    sql.trim_end().to_owned()
}

/// Which columns of the new table are filled, with what of the old one.
struct Copied {
    columns: Vec<String>,
    values: Vec<String>,
}

impl Copied {
    fn of(want: &Table, have: &Table) -> Self {
        let mut copied = Self {
            columns: Vec::new(),
            values: Vec::new(),
        };
        let named_rowid = |table: &Table| {
            let names = table.columns.iter();
            table.without_rowid
                || names
                    .into_iter()
                    .any(|column| fold(&column.name) == "rowid" || is_rowid(table, &column.name))
        };
        if !named_rowid(want) && !named_rowid(have) {
            copied.add("rowid".to_owned(), "rowid".to_owned());
        }
        for column in want.columns.iter().filter(|column| !column.generated) {
            let Some(there) = have.column(&column.name) else {
                continue;
            };
            let mut value = quoted(&there.name);
            if want.strict
                && let Some(target) = conversion(want, have, &column.name)
            {
                value = format!("CAST({value} AS {})", target.as_type());
            }
            if let Some(default) = &column.default
                && column.not_null
                && !there.not_null
            {
                value = format!("coalesce({value}, ({default}))");
            }
            copied.add(quoted(&column.name), value);
        }
        for column in extra_columns(want, have).filter(|column| !column.generated) {
            copied.add(quoted(&column.name), quoted(&column.name));
        }
        copied
    }

    fn add(&mut self, column: String, value: String) {
        self.columns.push(column);
        self.values.push(value);
    }
}

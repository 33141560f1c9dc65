//! From a row to JSON.

use mortise_agent::{Json, Object};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode};

use super::tables::Table;
use crate::importer::{entity, read};

/// The columns of a table, in their order.
#[derive(Debug, Clone)]
pub(super) struct Columns(Vec<Column>);

#[derive(Debug, Clone)]
struct Column {
    name: String,
    kind: Kind,
}

/// What a column was declared as.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Json,
    Boolean,
    /// Something that is the same in SQLite and in JSON.
    Plain,
}

impl Columns {
    pub(super) fn of(connection: &Connection, table: &Table) -> rusqlite::Result<Self> {
        let mut statement = connection.prepare("SELECT name, type FROM pragma_table_info(?1)")?;
        let columns = statement.query_map([table.name], |row| {
            let declared: String = row.get(1)?;
            let kind = match declared.to_ascii_uppercase().as_str() {
                "JSON" => Kind::Json,
                "BOOLEAN" => Kind::Boolean,
                _ => Kind::Plain,
            };
            let name = row.get(0)?;
            Ok(Column { name, kind })
        })?;
        Ok(Self(columns.collect::<rusqlite::Result<_>>()?))
    }

    /// The entity that a row becomes, or why it becomes none.
    pub(super) fn read(
        &self,
        connection: &Connection,
        table: &Table,
        rowid: i64,
    ) -> Result<Object, String> {
        let names = self.0.iter().map(|column| quoted(&column.name));
        let names: Vec<_> = names.collect();
        let (columns, table_name) = (names.join(", "), table.name);
        let text = format!("SELECT {columns} FROM {table_name} WHERE rowid = ?1");
        let row = connection.prepare_cached(&text).and_then(|mut statement| {
            statement.query_row([rowid], |row| {
                let values = self.0.iter().enumerate();
                let values = values.map(|(at, column)| column.value(row.get_ref_unwrap(at)));
                Ok(values.collect::<Result<Vec<Json>, String>>())
            })
        });
        let values = row.map_err(unreadable)??;
        let mut fields = Object::default();
        for (column, value) in self.0.iter().zip(values) {
            let set = fields.set(&column.name, &value);
            set.map_err(|error| format!("column {}: {error}", column.name))?;
        }
        let key = fields.get(table.key);
        let key = key.ok_or_else(|| format!("the table has no column {}", table.key))?;
        let id = key.parse().unwrap_or_else(|_| key.as_str().to_owned());
        match key.as_str() {
            "null" => Err(format!("column {} is NULL, expected an id", table.key)),
            _ => entity(&id, &fields),
        }
    }
}

impl Column {
    fn value(&self, value: ValueRef<'_>) -> Result<Json, String> {
        let name = &self.name;
        let json = match (self.kind, value) {
            (_, ValueRef::Null) => Json::new(&()),
            (Kind::Json, ValueRef::Text(text)) => {
                let json = read::<Json>("text", "JSON", text);
                return json
                    .map(|json| json.compact())
                    .map_err(|reason| format!("column {name}: {reason}"));
            }
            (Kind::Boolean, ValueRef::Integer(truth @ (0 | 1))) => Json::new(&(truth == 1)),
            (Kind::Boolean, _) => {
                return Err(format!("column {name} is no BOOLEAN, expected 0 or 1"));
            }
            (_, ValueRef::Integer(number)) => Json::new(&number),
            (_, ValueRef::Real(number)) if number.is_finite() => Json::new(&number),
            (_, ValueRef::Real(_)) => {
                return Err(format!("column {name} is infinite, which is no JSON"));
            }
            (Kind::Plain, ValueRef::Text(text)) => match std::str::from_utf8(text) {
                Ok(text) => Json::new(&text),
                Err(_) => return Err(format!("column {name} is not UTF-8")),
            },
            (_, ValueRef::Blob(_)) => {
                return Err(format!(
                    "column {name} is a BLOB, expected a text or a number"
                ));
            }
        };
        json.map_err(|error| format!("column {name}: {error}"))
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn unreadable(error: rusqlite::Error) -> String {
    match error.sqlite_error_code() {
        Some(ErrorCode::TooBig) => "the row has more bytes than the store takes".to_owned(),
        _ => format!("the row cannot be read: {error}"),
    }
}

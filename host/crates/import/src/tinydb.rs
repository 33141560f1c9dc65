//! From a TinyDB file to a store.

use std::path::Path;

use mortise_agent::{Json, Object};
use mortise_store::inside::ErrorInside as _;
use mortise_store::{Error, Operation, Result, Store};
use mortise_transfer::inside::quote;

use crate::importer::{Found, ImportOptions, ImportReport, import_found, read, read_part};
use crate::source;

/// What is expected of the source.
const EXPECTED: &str = "a TinyDB file: a JSON object with an object of rows for each table";
/// The largest file that is read, in bytes (256 MiB).
const MAX_FILE_BYTES: u64 = 256 << 20;

/// Writes the rows of a TinyDB file to a store, and reports what it read. Supervaizer's `StorageManager`
/// keeps its jobs and cases in one.
///
/// The table `Job` goes into the collection `job`, `ServerInfo` into `server-info`, `_default` into
/// `default`: one table after another, as they are in the file, and the rows of each in the order of their
/// numbers. The body of a record is the row on one line, with its fields in their order and every digit and
/// escape as it was written. The field `id` is the record's id; it is found by its `status` and by each
/// field whose name ends in `_id` or `Id`.
///
/// The file is only read, and as a whole: a file of more than 256 MiB is refused, and memory is taken for
/// some times its size. What cannot be imported is skipped and reported by its table and row. What is there
/// already with the same content is left alone: an import can be run again. Nothing is written over.
///
/// `progress` is told after each batch how many rows were dealt with so far. Reading blocks the thread that
/// polls the future: in a server, hand it one of its own.
///
/// # Errors
///
/// `Io` where the file cannot be read; `Invalid` where it is no TinyDB file, and, where the import is
/// strict, for the first row that would be skipped; `TooLarge`; those of [`Store::load_many`] and
/// [`Store::apply`], which say how many records were created before.
pub async fn import_tinydb(
    store: &Store,
    file: &Path,
    options: &ImportOptions,
    progress: impl FnMut(u64),
) -> Result<ImportReport> {
    let tables = tables(file)?;
    let rows = tables.into_iter().flat_map(rows).map(Ok);
    import_found(store, rows, options, progress).await
}

/// A table: its name and its rows.
type Table = (String, Json);

fn tables(file: &Path) -> Result<Vec<Table>> {
    let whole = source::file(file, EXPECTED)?;
    let text = source::bytes(&whole, MAX_FILE_BYTES);
    let text = text.map_err(|error| source::unreadable(file, EXPECTED, error))?;
    let Some(text) = text else {
        let file = file.display();
        let what = format!("{file} has more than the {MAX_FILE_BYTES} bytes that are read at once");
        return Err(Error::too_large(Operation::Import, what));
    };
    let tables: Object = read("file", "JSON object", &text)
        .map_err(|reason| source::wrong(file, &reason, EXPECTED))?;
    let tables: Vec<Table> = tables
        .fields()
        .map(|(name, rows)| (name.to_owned(), rows.clone()))
        .collect();
    let is_table = |(_, rows): &Table| rows.as_str().starts_with('{');
    if !tables.is_empty() && !tables.iter().any(is_table) {
        return Err(source::wrong(file, "it has no table", EXPECTED));
    }
    Ok(tables)
}

/// The rows of a table, by their numbers; what has no number comes last.
fn rows((table, rows): Table) -> impl Iterator<Item = Found> {
    let collection = kebab(&table);
    let table = format!("table {}", quote(&table));
    let (mut rows, no_table) = match read_part::<Object>("table", "JSON object", &rows) {
        Ok(rows) => {
            let rows = rows
                .fields()
                .map(|(row, fields)| (row.to_owned(), fields.clone()));
            (rows.collect::<Vec<_>>(), None)
        }
        Err(reason) => (Vec::new(), Some(Found::passed_over(&*table, reason))),
    };
    rows.sort_by_key(|(row, _)| row.parse().unwrap_or(u64::MAX));
    let records = rows.into_iter().map(move |(row, fields)| {
        let place = format!("{table}, row {}", quote(&row));
        let entity = read_part::<Object>("row", "JSON object", &fields);
        Found::record(place, &collection, entity.map(|entity| entity.compact()))
    });
    no_table.into_iter().chain(records)
}

/// `ServerInfo` as `server-info`: the name of a collection.
fn kebab(table: &str) -> String {
    let chars: Vec<char> = table.chars().collect();
    let mut name = String::new();
    for (at, char) in chars.iter().enumerate() {
        if !char.is_alphanumeric() {
            name.push('-');
            continue;
        }
        let before = at.checked_sub(1).map(|at| chars[at]);
        let starts_word = char.is_uppercase()
            && before.is_some_and(|before| {
                let after = chars.get(at + 1);
                before.is_lowercase()
                    || before.is_numeric()
                    || (before.is_uppercase() && after.is_some_and(|after| after.is_lowercase()))
            });
        if starts_word {
            name.push('-');
        }
        name.extend(char.to_lowercase());
    }
    let words: Vec<_> = name.split('-').filter(|word| !word.is_empty()).collect();
    words.join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_collections() {
        for (table, collection) in [
            ("Job", "job"),
            ("ServerInfo", "server-info"),
            ("_default", "default"),
            ("HTTPServer2Log", "http-server2-log"),
            ("job_status", "job-status"),
            ("Agent Run", "agent-run"),
            ("ÜberFall", "über-fall"),
            ("mortise.quarantine", "mortise-quarantine"),
            ("_", ""),
        ] {
            assert_eq!(kebab(table), collection, "{table}");
        }
    }

    #[test]
    fn rows_come_by_their_numbers() {
        let row = |id: &str| format!(r#"{{"id":"{id}"}}"#);
        let text = format!(
            r#"{{"10":{},"x":{},"9":{},"11":7}}"#,
            row("c"),
            row("d"),
            row("b")
        );
        let found = rows(("Job".to_owned(), serde_json::from_str(&text).unwrap()));
        let places: Vec<_> = found
            .map(|found| (found.place, found.record.err()))
            .collect();
        let places: Vec<_> = places
            .iter()
            .map(|(a, b)| (a.as_str(), b.as_deref()))
            .collect();
        assert_eq!(
            places,
            [
                ("table Job, row 9", None),
                ("table Job, row 10", None),
                (
                    "table Job, row 11",
                    Some("the row is no JSON object: expected a JSON object")
                ),
                ("table Job, row x", None),
            ]
        );
    }
}

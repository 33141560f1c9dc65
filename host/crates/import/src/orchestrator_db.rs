//! From the database of MCP Task Orchestrator to a store.

mod row;
mod source_copy;
mod tables;

use std::path::Path;

use mortise_store::{Result, Store};
use mortise_transfer::inside::quote;
use rusqlite::{OptionalExtension as _, params_from_iter};

use self::row::Columns;
use self::source_copy::SourceCopy;
use self::tables::{BREAKDOWNS, SUBTASKS, Table};
use crate::importer::{Found, ImportOptions, ImportReport, import_found};
use crate::source;

/// What is expected of the source.
const EXPECTED: &str = "the SQLite file of MCP Task Orchestrator";

/// Writes the rows of MCP Task Orchestrator's database to a store, and reports what it read.
///
/// | table | collection | id |
/// |---|---|---|
/// | `task_breakdowns` | `task-breakdown` | `parent_task_id` |
/// | `subtasks` | `subtask` | `task_id` |
/// | `file_operations` | `file-operation` | `operation_id` |
/// | `architectural_decisions` | `architectural-decision` | `decision_id` |
///
/// and so with all 17 tables. A table that is none of these is reported with the number of its rows.
///
/// The body of a record is `{"id": …, …}`: the primary key as a text, then every column in its order. A
/// `JSON` column is part of the body's JSON, a `BOOLEAN` is `true` or `false`; timestamps stay the texts
/// that they are. A record is found by its `status` and by each column whose name ends in `_id`.
///
/// Rows come in the order of their `rowid`, parents before children: a breakdown is followed by its
/// subtasks, and written with them in one batch where one takes them all.
///
/// **The file is only read, and nothing is made beside it.** Without a `-wal` or `-journal` file beside it,
/// or with an empty one, it is opened as one that nobody writes to. Otherwise it is copied to a folder for
/// temporary files with what is beside it, so that what others have committed is seen, and the copy is read.
///
/// What cannot be imported is skipped and reported by its table and rowid: a `JSON` column that is no JSON,
/// for one; its parent and its children are imported all the same. What is there already with the same
/// content is left alone: an import can be run again. Nothing is written over.
///
/// Memory is taken for the ids of all records, one row, and one batch. `progress` is told after each batch
/// how many rows were dealt with so far. Reading blocks the thread that polls the future: in a server, hand
/// it one of its own.
///
/// # Errors
///
/// `Io` where the file cannot be read; `Invalid` where it is no such database, and, where the import is
/// strict, for the first row that would be skipped; `Unavailable` where it is written to meanwhile; those of
/// [`Store::load_many`] and [`Store::apply`]. Each says how many records were created before.
pub async fn import_orchestrator_db(
    store: &Store,
    file: &Path,
    options: &ImportOptions,
    progress: impl FnMut(u64),
) -> Result<ImportReport> {
    let whole = source::file(file, EXPECTED)?;
    let copy = SourceCopy::open(file, &whole, store.max_body_bytes())?;
    let walk = Walk::new(file, copy)?;
    import_found(store, walk, options, progress).await
}

/// Row after row, of which one is in memory at a time.
struct Walk {
    copy: SourceCopy,
    /// What was passed over before the first row.
    others: std::vec::IntoIter<Found>,
    /// The scan at the end is under way; those before it are yet to come, or to be continued.
    scans: Vec<Scan>,
    ended: bool,
}

/// The rows of a table, or some of them, by `rowid`.
struct Scan {
    table: &'static Table,
    columns: Columns,
    which: Which,
    /// The lowest `rowid` that is yet to come; none after the last.
    next: Option<i64>,
}

/// Which rows of a table.
#[derive(Clone, Copy)]
enum Which {
    All,
    /// The subtasks of the breakdown with this `rowid`.
    Of(i64),
    /// The subtasks of no breakdown that is there.
    Orphans,
}

impl Walk {
    fn new(file: &Path, copy: SourceCopy) -> Result<Self> {
        let failed = |error: rusqlite::Error| {
            let what = format!("its tables cannot be read: {error}");
            source::wrong(file, &what, EXPECTED)
        };
        let names = tables::names(&copy.connection).map_err(failed)?;
        if !names.iter().any(|name| name == BREAKDOWNS.name) {
            let what = format!("it has no table {}", BREAKDOWNS.name);
            return Err(source::wrong(file, &what, EXPECTED));
        }
        let others = names.iter().filter(|name| tables::find(name).is_none());
        let others = others.filter_map(|name| unknown(&copy.connection, name));
        let others: Vec<_> = others.collect();
        let has = |table: &Table| names.iter().any(|name| name == table.name);
        let mut scans = Vec::new();
        for table in tables::ALL.iter().filter(|table| has(table)) {
            // Those of a breakdown come with it.
            let which = match table.name == SUBTASKS.name {
                true => Which::Orphans,
                false => Which::All,
            };
            let columns = Columns::of(&copy.connection, table).map_err(failed)?;
            scans.push(Scan::new(table, columns, which));
        }
        scans.reverse();
        Ok(Self {
            others: others.into_iter(),
            scans,
            copy,
            ended: false,
        })
    }

    /// The next row of all scans; none after the last.
    fn row(&mut self) -> Option<Found> {
        loop {
            let scan = self.scans.last_mut()?;
            let rowid = match scan.advance(&self.copy) {
                Ok(Some(rowid)) => rowid,
                Ok(None) => {
                    self.scans.pop();
                    continue;
                }
                Err(error) => {
                    let place = format!("table {}", scan.table.name);
                    let reason = format!(
                        "the rows after rowid {} cannot be read: {error}",
                        scan.last()
                    );
                    self.scans.pop();
                    return Some(Found::passed_over(place, reason));
                }
            };
            let place = format!("table {}, rowid {rowid}", scan.table.name);
            let entity = scan.columns.read(&self.copy.connection, scan.table, rowid);
            let found = Found::record(place, scan.table.collection, entity);
            let found = match scan.which {
                Which::Of(_) => found.joined(),
                Which::All | Which::Orphans => found,
            };
            if scan.table.name == BREAKDOWNS.name {
                self.descend(rowid);
            }
            return Some(found);
        }
    }

    /// Goes on with the subtasks of a breakdown, where there is a table of them.
    fn descend(&mut self, breakdown: i64) {
        let mut scans = self.scans.iter();
        if let Some(subtasks) = scans.find(|scan| scan.table.name == SUBTASKS.name) {
            let columns = subtasks.columns.clone();
            let scan = Scan::new(&SUBTASKS, columns, Which::Of(breakdown));
            self.scans.push(scan);
        }
    }
}

impl Iterator for Walk {
    type Item = Result<Found>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        if let Some(found) = self.others.next().or_else(|| self.row()) {
            return Some(Ok(found));
        }
        self.ended = true;
        self.copy.check().err().map(Err)
    }
}

impl Scan {
    fn new(table: &'static Table, columns: Columns, which: Which) -> Self {
        Self {
            table,
            columns,
            which,
            next: Some(i64::MIN),
        }
    }

    /// The next `rowid`; none after the last.
    fn advance(&mut self, copy: &SourceCopy) -> rusqlite::Result<Option<i64>> {
        let Some(next) = self.next else {
            return Ok(None);
        };
        let parent = BREAKDOWNS.name;
        let (which, of) = match self.which {
            Which::All => (String::new(), None),
            Which::Of(rowid) => (
                format!(
                    "AND it.parent_task_id = (SELECT parent_task_id FROM {parent} WHERE rowid = ?2)"
                ),
                Some(rowid),
            ),
            Which::Orphans => (
                format!(
                    "AND NOT EXISTS (SELECT 1 FROM {parent} AS parent WHERE parent.parent_task_id = it.parent_task_id)"
                ),
                None,
            ),
        };
        let table = self.table.name;
        let text = format!(
            "SELECT it.rowid FROM {table} AS it WHERE it.rowid >= ?1 {which} ORDER BY it.rowid LIMIT 1"
        );
        let mut statement = copy.connection.prepare_cached(&text)?;
        let found: Option<i64> = statement
            .query_row(params_from_iter([next].into_iter().chain(of)), |row| {
                row.get(0)
            })
            .optional()?;
        self.next = found.and_then(|rowid| rowid.checked_add(1));
        Ok(found)
    }

    /// The `rowid` up to which it was read.
    fn last(&self) -> i64 {
        self.next.map_or(i64::MAX, |next| next.saturating_sub(1))
    }
}

/// A table that is none of the orchestrator's, where it has rows.
fn unknown(connection: &rusqlite::Connection, name: &str) -> Option<Found> {
    let quoted = name.replace('"', "\"\"");
    let count = format!("SELECT count(*) FROM \"{quoted}\"");
    let rows: rusqlite::Result<i64> = connection.query_row(&count, [], |row| row.get(0));
    let reason = match rows {
        Ok(0) => return None,
        Ok(rows) => format!("the table is none of MCP Task Orchestrator's; it has {rows} rows"),
        Err(_) => "the table is none of MCP Task Orchestrator's".to_owned(),
    };
    Some(Found::passed_over(format!("table {}", quote(name)), reason))
}

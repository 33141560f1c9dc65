//! Databases of older schemas, opened with today's backend `sqlite`.

mod old;
mod opening;
mod processes;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mortise::{Draft, Host, Key, ManualClock, Store, Stored};
use rusqlite::Connection;
use tempfile::TempDir;

use crate::support::{START, export_all, host};

/// When every record of these tests expires: never, as far as the clock goes.
const EXPIRY: u64 = START + 1_000_000;

/// A database of today's schema with records in it, from which older ones are made.
struct Today {
    folder: TempDir,
    /// The statements that make it.
    schema: Vec<String>,
    records: Vec<Stored>,
}

impl Today {
    /// With so many records, of which each has attributes and an expiry.
    async fn with(count: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("today.db");
        let store = open(&fixed_host(), &file, "").await.unwrap();
        for number in 0..count {
            let draft = Draft::new(Key::new("task", format!("{number:05}")), vec![b'x'; 300])
                .attribute("number", number.to_string())
                .attribute("half", (number % 2).to_string())
                .expires_at(EXPIRY);
            store.create(draft).await.unwrap();
        }
        let records = export_all(&store).await;
        drop(store);
        let raw = Connection::open(&file).unwrap();
        let mut all = raw
            .prepare(
                "SELECT sql FROM sqlite_schema WHERE sql NOT NULL AND name <> 'migration_history' \
                 ORDER BY rowid",
            )
            .unwrap();
        let schema = all.query_map([], |row| row.get(0)).unwrap();
        let schema = schema.map(|sql| sql.unwrap()).collect();
        drop(all);
        Self {
            folder,
            schema,
            records,
        }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("today.db")
    }

    /// Makes a database with the same rows and another schema, as it was before there were migrations.
    fn write(&self, file: &Path, old: &old::Old) {
        let raw = Connection::open(file).unwrap();
        let mut statements = self.schema.clone();
        statements.retain(|sql| !old.missing.iter().any(|name| sql.contains(name)));
        for (today, before) in old.replaced {
            let found: Vec<_> = statements
                .iter_mut()
                .filter(|sql| sql.contains(today))
                .collect();
            assert!(!found.is_empty(), "{today:?} is not in today's schema");
            for sql in found {
                *sql = sql.replace(today, before);
            }
        }
        let attach = "PRAGMA journal_mode = WAL; PRAGMA foreign_keys = OFF; ATTACH ?1 AS today";
        let attach = attach.replace("?1", &format!("'{}'", self.file().display()));
        raw.execute_batch(&attach).unwrap();
        raw.execute_batch(&statements.join(";\n")).unwrap();
        for table in ["store", "records", "attributes"] {
            let columns = "SELECT group_concat(a.name) FROM pragma_table_info(?1, 'main') AS a \
                           JOIN pragma_table_info(?1, 'today') AS b ON a.name = b.name";
            let columns = raw.query_row(columns, [table], |row| row.get::<_, Option<String>>(0));
            let Some(columns) = columns.unwrap() else {
                continue;
            };
            let (mut into, mut from) = (columns.clone(), columns);
            if let ("records", Some((column, value))) = (table, old.filled) {
                into += &format!(", {column}");
                from += &format!(", {value}");
            }
            raw.execute_batch(&format!(
                "INSERT INTO main.{table} ({into}) SELECT {from} FROM today.{table}"
            ))
            .unwrap();
        }
        raw.execute_batch("DETACH today").unwrap();
        raw.execute_batch(old.more).unwrap();
    }
}

fn fixed_host() -> Host {
    let clock = Arc::new(ManualClock::new(START));
    host().clock(clock).build().unwrap()
}

async fn open(host: &Host, file: &Path, options: &str) -> Result<Store, mortise::Error> {
    host.open(&format!("sqlite:{}?{options}", file.display()))
        .await
}

/// What SQLite keeps of the schema, with the count of its changes.
fn schema_of(file: &Path) -> Vec<String> {
    let raw = Connection::open(file).unwrap();
    let mut all = raw
        .prepare(
            "SELECT type || ' ' || name || ' ' || ifnull(sql, '') FROM sqlite_schema \
             UNION ALL SELECT 'version ' || schema_version FROM pragma_schema_version \
             UNION ALL SELECT 'user version ' || user_version FROM pragma_user_version \
             UNION ALL SELECT 'application ' || application_id FROM pragma_application_id",
        )
        .unwrap();
    let rows = all.query_map([], |row| row.get(0)).unwrap();
    rows.map(|row| row.unwrap()).collect()
}

/// How many migrations a database knows of.
fn migrations_of(file: &Path) -> usize {
    let raw = Connection::open(file).unwrap();
    let sql = "SELECT count(*) FROM sqlite_schema WHERE name = 'migration_history'";
    let there: i64 = raw.query_row(sql, [], |row| row.get(0)).unwrap();
    if there == 0 {
        return 0;
    }
    let sql = "SELECT count(*) FROM migration_history";
    raw.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap() as usize
}

/// The files of a folder whose names have this part.
fn files_with(folder: &Path, part: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .filter(|path| path.file_name().unwrap().to_string_lossy().contains(part))
        .collect()
}

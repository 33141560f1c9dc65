//! The backend `sqlite` by hand: rusqlite on the tables that the backend makes, each call one transaction.

use std::path::Path;
use std::sync::{Arc, Mutex};

use mortise::{Draft, Stored};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _};

use crate::contest::{BATCH, Contestant, Records};

#[derive(Clone)]
pub struct ByHand {
    writer: Arc<Mutex<Connection>>,
    /// Those that nobody uses now.
    readers: Arc<Mutex<Vec<Connection>>>,
    file: Arc<Path>,
    records: Records,
}

const INSERT: &str = "INSERT INTO records (create_revision, mod_revision, collection, id, created_at, \
     updated_at, expires_at, attributes, body) VALUES (?1, ?1, ?2, ?3, ?4, ?4, NULL, ?5, ?6)";
const SELECT: &str = "SELECT create_revision, mod_revision, created_at, updated_at, expires_at, attributes, \
     body FROM records WHERE collection = ?1 AND id = ?2";
const FIND: &str = "SELECT r.create_revision, r.mod_revision, r.created_at, r.updated_at, r.expires_at, \
     r.attributes, r.body FROM attributes a JOIN records r ON r.create_revision = a.record \
     WHERE a.collection = ?1 AND a.name = ?2 AND a.value = ?3 ORDER BY a.record LIMIT 1";

impl ByHand {
    /// On a copy of a database that a component filled, and that no process has open.
    pub fn open(file: &Path, synchronous: &str, records: Records) -> Self {
        let writer = Connection::open(file).unwrap();
        writer
            .pragma_update(None, "synchronous", synchronous)
            .unwrap();
        writer.pragma_update(None, "foreign_keys", true).unwrap();
        configure(&writer);
        writer
            .pragma_update_and_check(None, "wal_autocheckpoint", 4096, |_| Ok(()))
            .unwrap();
        Self {
            writer: Arc::new(Mutex::new(writer)),
            readers: Arc::default(),
            file: file.into(),
            records,
        }
    }

    fn read<T>(&self, work: impl FnOnce(&Connection) -> T) -> T {
        let idle = self.readers.lock().unwrap().pop();
        let reader = idle.unwrap_or_else(|| {
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let reader = Connection::open_with_flags(&self.file, flags).unwrap();
            configure(&reader);
            reader
        });
        let result = work(&reader);
        self.readers.lock().unwrap().push(reader);
        result
    }

    fn transact(&self, work: impl FnOnce(&Connection)) {
        let writer = self.writer.lock().unwrap();
        execute(&writer, "BEGIN IMMEDIATE");
        work(&writer);
        execute(&writer, "COMMIT");
    }
}

/// As the host's own.
fn configure(raw: &Connection) {
    raw.pragma_update(None, "cache_size", -8192).unwrap();
    raw.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)
        .unwrap();
}

fn execute(raw: &Connection, sql: &str) {
    raw.prepare_cached(sql).unwrap().execute([]).unwrap();
}

fn next_revision(raw: &Connection) -> i64 {
    raw.prepare_cached("UPDATE store SET revision = revision + 1 RETURNING revision")
        .unwrap()
        .query_row([], |row| row.get(0))
        .unwrap()
}

fn encoded(draft: &Draft) -> Vec<u8> {
    let mut bytes = Vec::new();
    for pair in &draft.attributes {
        for text in [&pair.name, &pair.value] {
            bytes.push(u8::try_from(text.len()).unwrap());
            bytes.extend_from_slice(text.as_bytes());
        }
    }
    bytes
}

fn decoded(mut bytes: &[u8], draft: Draft) -> Draft {
    let mut draft = draft;
    let mut text = || {
        let (&length, rest) = bytes.split_first()?;
        let (text, rest) = rest.split_at(usize::from(length));
        bytes = rest;
        Some(String::from_utf8(text.to_vec()).unwrap())
    };
    while let Some(name) = text() {
        draft = draft.attribute(name, text().unwrap());
    }
    draft
}

fn insert(raw: &Connection, draft: &Draft) {
    let revision = next_revision(raw);
    let key = &draft.key;
    raw.prepare_cached(INSERT)
        .unwrap()
        .execute((
            revision,
            &key.collection,
            &key.id,
            0,
            encoded(draft),
            &draft.body,
        ))
        .unwrap();
    index(raw, draft, revision);
}

fn index(raw: &Connection, draft: &Draft, record: i64) {
    let sql = "INSERT INTO attributes (collection, name, value, record) VALUES (?1, ?2, ?3, ?4)";
    let mut insert = raw.prepare_cached(sql).unwrap();
    for pair in &draft.attributes {
        insert
            .execute((&draft.key.collection, &pair.name, &pair.value, record))
            .unwrap();
    }
}

/// A record of a row with the columns of [`SELECT`].
fn record(key: mortise::Key, row: &rusqlite::Row<'_>) -> rusqlite::Result<Stored> {
    let attributes = row.get_ref(5)?.as_blob()?;
    let draft = decoded(attributes, Draft::new(key, row.get::<_, Vec<u8>>(6)?));
    let number = |column| Ok::<_, rusqlite::Error>(row.get::<_, i64>(column)?.cast_unsigned());
    let stamp = mortise::Stamp {
        create_revision: number(0)?,
        mod_revision: number(1)?,
        created_at: number(2)?,
        updated_at: number(3)?,
    };
    Ok(Stored { draft, stamp })
}

impl Contestant for ByHand {
    async fn create(&self, number: u64) {
        let draft = self.records.draft(number);
        self.transact(|raw| insert(raw, &draft));
    }

    async fn load(&self, number: u64) {
        let key = Records::key(number);
        let found = self.read(|raw| {
            let mut select = raw.prepare_cached(SELECT).unwrap();
            let row = select.query_row((&key.collection, &key.id), |row| record(key.clone(), row));
            row.optional().unwrap()
        });
        assert!(found.is_some());
    }

    async fn update(&self, number: u64) {
        let draft = self.records.draft(number);
        let key = &draft.key;
        self.transact(|raw| {
            let revision = next_revision(raw);
            let sql = "UPDATE records SET mod_revision = ?3, updated_at = ?4, attributes = ?5, body = ?6 \
                 WHERE collection = ?1 AND id = ?2 AND mod_revision < ?3 RETURNING create_revision";
            let record: i64 = raw
                .prepare_cached(sql)
                .unwrap()
                .query_row(
                    (&key.collection, &key.id, revision, 0, encoded(&draft), &draft.body),
                    |row| row.get(0),
                )
                .unwrap();
            raw.prepare_cached("DELETE FROM attributes WHERE record = ?1")
                .unwrap()
                .execute([record])
                .unwrap();
            index(raw, &draft, record);
        });
    }

    async fn delete(&self, number: u64) {
        let key = Records::key(number);
        self.transact(|raw| {
            next_revision(raw);
            let sql = "DELETE FROM records WHERE collection = ?1 AND id = ?2";
            let gone = raw
                .prepare_cached(sql)
                .unwrap()
                .execute((&key.collection, &key.id))
                .unwrap();
            assert_eq!(gone, 1);
        });
    }

    async fn find(&self, number: u64) {
        let key = Records::key(number);
        let found = self.read(|raw| {
            let mut find = raw.prepare_cached(FIND).unwrap();
            let of = ("task", "request-id", Records::request(number));
            find.query_row(of, |row| record(key.clone(), row))
                .optional()
                .unwrap()
        });
        assert!(found.is_some());
    }

    async fn batch(&self, first: u64) {
        let drafts: Vec<_> = (first..first + BATCH)
            .map(|number| self.records.draft(number))
            .collect();
        self.transact(|raw| drafts.iter().for_each(|draft| insert(raw, draft)));
    }
}

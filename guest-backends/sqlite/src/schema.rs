//! The tables. The host creates them on an empty database, and migrates older ones.

use mortise_guest::{Schema, Step};

use crate::Sqlite;

/// Today's tables. Text is compared byte for byte, as the contract wants it: collation BINARY, which is
/// SQLite's own choice.
const TARGET: &[&str] = &[
    // One row: the revision of the last write.
    "CREATE TABLE store (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        revision INTEGER NOT NULL
    ) STRICT",
    "INSERT INTO store (id, revision) VALUES (1, 0)",
    // A record, by create-revision. `attributes` holds them all in order, each text after its length as
    // LEB128, so that a record is read from one row. The body stands last: what stands behind a long
    // value is slow to reach.
    "CREATE TABLE records (
        create_revision INTEGER PRIMARY KEY,
        mod_revision INTEGER NOT NULL UNIQUE,
        collection TEXT NOT NULL,
        id TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        updated_at INTEGER NOT NULL,
        expires_at INTEGER,
        attributes BLOB NOT NULL,
        body BLOB NOT NULL,
        UNIQUE (collection, id)
    ) STRICT",
    // `find` in create order (an index ends in the rowid), and in the order of changes.
    "CREATE INDEX records_by_collection ON records (collection)",
    "CREATE INDEX records_by_change ON records (collection, mod_revision)",
    // `sweep`.
    "CREATE INDEX records_by_expiry ON records (expires_at) WHERE expires_at IS NOT NULL",
    // What records are found by: one row for each attribute.
    "CREATE TABLE attributes (
        collection TEXT NOT NULL,
        name TEXT NOT NULL,
        value TEXT NOT NULL,
        record INTEGER NOT NULL REFERENCES records (create_revision) ON DELETE CASCADE,
        PRIMARY KEY (collection, name, value, record)
    ) STRICT, WITHOUT ROWID",
    // A record's attributes go with it.
    "CREATE INDEX attributes_by_record ON attributes (record)",
];

impl Schema for Sqlite {
    fn target() -> Vec<String> {
        TARGET.iter().map(|sql| sql.to_string()).collect()
    }

    fn steps() -> Vec<Step> {
        Vec::new()
    }
}

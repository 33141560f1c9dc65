//! Older schemas, each with what sets it apart from today's, and what opening it has to do.

use mortise::Query;
use rusqlite::Connection;

use super::{EXPIRY, Today, files_with, fixed_host, migrations_of, open, schema_of};
use crate::support::{draft, export_all, find_all, key};

/// An older schema.
#[derive(Debug, Default)]
pub struct Old {
    pub name: &'static str,
    /// Statements of today's schema that it lacks, by a part of their text.
    pub missing: &'static [&'static str],
    /// Parts of today's schema, and what stood there.
    pub replaced: &'static [(&'static str, &'static str)],
    /// A column of `records` that today's schema has not, and its value.
    pub filled: Option<(&'static str, &'static str)>,
    /// What was done to it beyond that.
    pub more: &'static str,
    /// A part of what is planned; none where nothing is to be done.
    pub planned: Option<&'static str>,
    /// What is kept.
    pub kept: &'static [&'static str],
}

/// Everything that is not named is as it is today.
const NONE: Old = Old {
    name: "",
    missing: &[],
    replaced: &[],
    filled: None,
    more: "",
    planned: None,
    kept: &[],
};

/// The schema before tables were STRICT: all of them are rebuilt.
pub const LOOSE: Old = Old {
    name: "missing STRICT",
    replaced: &[
        (") STRICT, WITHOUT ROWID", ") WITHOUT ROWID"),
        (") STRICT", ")"),
    ],
    planned: Some("rebuild table records: STRICT is no, expected yes"),
    ..NONE
};

const ALL: &[Old] = &[
    Old {
        name: "missing column",
        missing: &["records_by_expiry"],
        replaced: &[("expires_at INTEGER,", "")],
        planned: Some("add column records.expires_at: it is missing"),
        ..NONE
    },
    Old {
        name: "extra column",
        replaced: &[(
            "body BLOB NOT NULL,",
            "body BLOB NOT NULL, note TEXT NOT NULL DEFAULT 'mine',",
        )],
        kept: &["column records.note"],
        ..NONE
    },
    Old {
        name: "extra column that nothing fills",
        replaced: &[(
            "body BLOB NOT NULL,",
            "body BLOB NOT NULL, note TEXT NOT NULL,",
        )],
        filled: Some(("note", "'mine'")),
        planned: Some(
            "the column note, which this backend does not know, is NOT NULL without a default",
        ),
        kept: &["column records.note"],
        ..NONE
    },
    Old {
        name: "extra table, view and index",
        more: "CREATE TABLE notes (x); INSERT INTO notes VALUES (1); CREATE VIEW n AS SELECT * FROM notes; \
               CREATE INDEX records_by_age ON records (created_at)",
        kept: &["table notes", "index records_by_age", "view n"],
        ..NONE
    },
    Old {
        name: "other type",
        replaced: &[("created_at INTEGER NOT NULL", "created_at TEXT NOT NULL")],
        planned: Some("the type of created_at is TEXT, expected INTEGER"),
        ..NONE
    },
    Old {
        name: "missing index",
        missing: &["INDEX records_by_change"],
        planned: Some("create index records_by_change: it is missing"),
        ..NONE
    },
    Old {
        name: "other index",
        replaced: &[(
            "records (collection, mod_revision)",
            "records (mod_revision) WHERE id > ''",
        )],
        planned: Some("create index records_by_change: it is another one than expected"),
        ..NONE
    },
    Old {
        name: "missing table",
        missing: &["TABLE attributes", "ON attributes"],
        planned: Some("create table attributes: it is missing"),
        ..NONE
    },
    Old {
        name: "missing NOT NULL",
        replaced: &[("body BLOB NOT NULL", "body BLOB")],
        planned: Some("NULL in body is allowed, expected not allowed"),
        ..NONE
    },
    Old {
        name: "NOT NULL that is gone",
        replaced: &[("expires_at INTEGER,", "expires_at INTEGER NOT NULL,")],
        planned: Some("NULL in expires_at is not allowed, expected allowed"),
        ..NONE
    },
    Old {
        name: "default that is gone",
        replaced: &[(
            "created_at INTEGER NOT NULL",
            "created_at INTEGER NOT NULL DEFAULT 7",
        )],
        planned: Some("the default of created_at is 7, expected none"),
        ..NONE
    },
    Old {
        name: "other primary key",
        replaced: &[
            (
                "create_revision INTEGER PRIMARY KEY",
                "create_revision INTEGER NOT NULL UNIQUE",
            ),
            ("UNIQUE (collection, id)", "PRIMARY KEY (collection, id)"),
        ],
        planned: Some("the primary key is (collection, id), expected (create_revision)"),
        ..NONE
    },
    Old {
        name: "missing UNIQUE",
        replaced: &[(
            "mod_revision INTEGER NOT NULL UNIQUE",
            "mod_revision INTEGER NOT NULL",
        )],
        planned: Some("UNIQUE (mod_revision) is missing"),
        ..NONE
    },
    Old {
        name: "missing foreign key",
        replaced: &[("REFERENCES records (create_revision) ON DELETE CASCADE", "")],
        planned: Some("rebuild table attributes: the foreign key to records is missing"),
        ..NONE
    },
    Old {
        name: "changed CHECK",
        replaced: &[("CHECK (id = 1)", "CHECK (id < 3)")],
        planned: Some("CHECK (id = 1) is missing; CHECK (id < 3) is not expected"),
        ..NONE
    },
    Old {
        name: "missing WITHOUT ROWID",
        replaced: &[(") STRICT, WITHOUT ROWID", ") STRICT")],
        planned: Some("WITHOUT ROWID is no, expected yes"),
        ..NONE
    },
    Old {
        name: "extra trigger on a table that is rebuilt",
        replaced: &[("body BLOB NOT NULL", "body BLOB")],
        more: "CREATE TABLE seen (id); CREATE TRIGGER see AFTER INSERT ON records \
               BEGIN INSERT INTO seen VALUES (new.id); END",
        planned: Some("rebuild table records"),
        kept: &["table seen", "trigger see"],
        ..NONE
    },
    LOOSE,
];

#[tokio::test(flavor = "multi_thread")]
async fn every_older_schema_becomes_todays_with_its_records() {
    let today = Today::with(60).await;
    for old in ALL {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("old.db");
        today.write(&file, old);
        let url = format!("sqlite:{}", file.display());
        let host = fixed_host();
        let plan = host.migration(&url).await.unwrap().plan().await.unwrap();
        let changes = plan
            .changes
            .iter()
            .map(|change| format!("{}: {}", change.what, change.why));
        let changes: Vec<_> = changes.collect();
        let part = old.planned.unwrap_or_default();
        let planned = changes.iter().any(|change| change.contains(part));
        assert_eq!(planned, old.planned.is_some(), "{}: {changes:?}", old.name);
        assert_eq!(
            (plan.kept, plan.losses),
            (
                old.kept.iter().map(|name| name.to_string()).collect(),
                vec![]
            )
        );

        let store = open(&host, &file, "")
            .await
            .unwrap_or_else(|error| panic!("{}: {error:?}", old.name));
        let mut expected = today.records.clone();
        if old.name == "missing column" {
            expected
                .iter_mut()
                .for_each(|record| record.draft.expires_at = None);
        }
        let found = export_all(&store).await;
        assert!(found == expected, "{}: other records", old.name);
        if old.name != "missing table" {
            let even = find_all(&store, Query::new("task").with("half", "0"))
                .await
                .unwrap();
            assert_eq!(even.len(), today.records.len() / 2, "{}", old.name);
        }
        assert!(
            found
                .iter()
                .all(|record| record.draft.expires_at.is_none_or(|at| at == EXPIRY))
        );
        // It is as good as a new one.
        store
            .create(draft("new", "body").attribute("half", "0"))
            .await
            .unwrap();
        store.update(draft("new", "other"), None).await.unwrap();
        store.delete(&key("00003"), None).await.unwrap();
        drop(store);

        let schema = schema_of(&file);
        let migrations = migrations_of(&file);
        assert_eq!(
            migrations,
            usize::from(old.planned.is_some()),
            "{}",
            old.name
        );
        assert_eq!(
            files_with(folder.path(), ".backup").len(),
            migrations,
            "{}",
            old.name
        );
        drop(open(&host, &file, "").await.unwrap());
        assert_eq!(
            schema_of(&file),
            schema,
            "{}: opening it again changed it",
            old.name
        );
        assert_eq!(migrations_of(&file), migrations, "{}", old.name);
        let raw = Connection::open(&file).unwrap();
        let verdict: String = raw
            .query_row("PRAGMA integrity_check", [], |row| row.get(0))
            .unwrap();
        assert_eq!(verdict, "ok", "{}", old.name);
        if old.kept.contains(&"column records.note") {
            let kept = "SELECT count(*) FROM records WHERE note = 'mine'";
            let kept: usize = raw.query_row(kept, [], |row| row.get::<_, i64>(0)).unwrap() as usize;
            assert!(
                kept >= today.records.len() - 1,
                "{}: {kept} notes",
                old.name
            );
        }
        if old.kept.contains(&"trigger see") {
            let seen: String = raw
                .query_row("SELECT id FROM seen", [], |row| row.get(0))
                .unwrap();
            assert_eq!(
                seen, "new",
                "the trigger fired for what was copied, or not at all"
            );
        }
    }
}

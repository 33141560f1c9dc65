//! Imports of what other platforms' files keep, with the counts that a correct reader must report:
//! `fixtures/expected.json`.

mod orchestrator_db;
mod orchestrator_files;
mod teal_jsonl;
mod tinydb;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use mortise::transfer::{self, ImportOptions, ImportReport, ImportedCollection};
use mortise::{Draft, Error, Key, Store, Stored};
use serde_json::Value;
use serde_json::value::RawValue;
use tempfile::TempDir;

use crate::support::redis::copy_fixture;
use crate::support::{Fixture, export_all};

/// A file or folder of another platform, in a folder of its own.
struct Source {
    kind: Kind,
    folder: TempDir,
    name: String,
}

/// What wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    TinyDb,
    TealJsonl,
    OrchestratorDb,
    OrchestratorFiles,
}

impl Kind {
    /// The fixture's name.
    fn fixture(self) -> &'static str {
        match self {
            Self::TinyDb => "supervaizer-entities.json",
            Self::TealJsonl => "teal-tasks.jsonl",
            Self::OrchestratorDb => "orchestrator.db",
            Self::OrchestratorFiles => "orchestrator-files",
        }
    }
}

impl Source {
    /// A copy of the fixture.
    fn fixture(kind: Kind) -> Self {
        let source = Self::empty(kind);
        copy_fixture(kind.fixture(), source.folder.path());
        source
    }

    /// A file with this in it.
    fn of(kind: Kind, bytes: impl AsRef<[u8]>) -> Self {
        let source = Self::empty(kind);
        fs::write(source.path(), bytes).unwrap();
        source
    }

    /// Nothing yet.
    fn empty(kind: Kind) -> Self {
        Self {
            kind,
            folder: tempfile::tempdir().unwrap(),
            name: kind.fixture().to_owned(),
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join(&self.name)
    }

    /// Every file of the source and beside it, with its bytes.
    fn listing(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut files = BTreeMap::new();
        list(self.folder.path(), &mut files);
        files
    }

    async fn import(&self, store: &Store, options: &ImportOptions) -> Result<ImportReport, Error> {
        self.import_telling(store, options, |_| {}).await
    }

    async fn import_telling(
        &self,
        store: &Store,
        options: &ImportOptions,
        told: impl FnMut(u64),
    ) -> Result<ImportReport, Error> {
        let path = self.path();
        match self.kind {
            Kind::TinyDb => transfer::import_tinydb(store, &path, options, told).await,
            Kind::TealJsonl => {
                let file = std::io::BufReader::new(fs::File::open(path).unwrap());
                transfer::import_teal_jsonl(store, file, options, told).await
            }
            Kind::OrchestratorDb => {
                transfer::import_orchestrator_db(store, &path, options, told).await
            }
            Kind::OrchestratorFiles => {
                transfer::import_orchestrator_files(store, &path, options, told).await
            }
        }
    }

    /// Imports it, first dry, then twice, with the same report each time; what is in the store then.
    async fn import_twice(&self, store: &Store) -> (ImportReport, Vec<Stored>) {
        let files = self.listing();
        let dry = self.import(store, &dry_run()).await.unwrap();
        assert!(dry.dry_run);
        assert!(export_all(store).await.is_empty(), "a dry run wrote");

        let mut told = Vec::new();
        let options = ImportOptions::default();
        let report = self.import_telling(store, &options, |done| told.push(done));
        let report = report.await.unwrap();
        assert_eq!(report, {
            let mut same = dry;
            same.dry_run = false;
            same
        });
        assert!(told.is_sorted() && !told.is_empty(), "{told:?}");
        let records = export_all(store).await;
        let created = report.collections.values().map(|counted| counted.created);
        assert_eq!(records.len() as u64, created.sum::<u64>());

        let revision = take_revision(store).await;
        let again = self.import(store, &ImportOptions::default()).await.unwrap();
        assert_eq!(
            take_revision(store).await,
            revision + 2,
            "it wrote something"
        );
        assert_eq!(again, {
            let mut same = report.clone();
            for counted in same.collections.values_mut() {
                counted.unchanged += std::mem::take(&mut counted.created);
            }
            same
        });
        assert_eq!(export_all(store).await, records);
        assert_eq!(self.listing(), files, "the source changed");
        (report, records)
    }
}

/// The futures go from thread to thread.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_can_be_spawned() {
    let kinds = [
        (Kind::TinyDb, 81),
        (Kind::TealJsonl, 200),
        (Kind::OrchestratorDb, 97),
        (Kind::OrchestratorFiles, 33),
    ];
    for (kind, records) in kinds {
        let fixture = Fixture::new("memory").await;
        let store = fixture.store.clone();
        let import = async move { Source::fixture(kind).import(&store, &strict()).await };
        tokio::spawn(import).await.unwrap().unwrap();
        assert_eq!(export_all(&fixture.store).await.len(), records, "{kind:?}");
    }
}

fn dry_run() -> ImportOptions {
    let mut options = ImportOptions::default();
    options.dry_run = true;
    options
}

fn strict() -> ImportOptions {
    let mut options = ImportOptions::default();
    options.strict = true;
    options
}

/// The next revision: that of a record that is gone again, which takes one more.
async fn take_revision(store: &Store) -> u64 {
    let probe = Key::new("probe", "p");
    let stamp = store.create(Draft::new(probe.clone(), "")).await.unwrap();
    store.delete(&probe, None).await.unwrap();
    stamp.create_revision
}

fn list(folder: &Path, files: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => list(&path, files),
            false => drop(files.insert(path.clone(), fs::read(&path).unwrap_or_default())),
        }
    }
}

/// The counts of a fixture.
fn expected(fixture: &str) -> Value {
    let expected: Value = serde_json::from_str(include_str!("../fixtures/expected.json")).unwrap();
    expected[fixture].clone()
}

/// All that is counted of a collection agrees with these fields of what is expected.
fn assert_counts(counted: &ImportedCollection, expected: &Value, fields: &[(&str, &str)]) {
    for (name, field) in fields {
        let found = match (counted.by.get(*name), *name) {
            (Some(values), _) => serde_json::to_value(values).unwrap(),
            (None, "read") => counted.read.into(),
            (None, _) => counted.counts[*name].into(),
        };
        assert_eq!(found, expected[field], "{name}");
    }
    assert_eq!(counted.skipped, 0);
    let named = fields.iter().map(|(name, _)| *name);
    let counts: Vec<_> = counted.by.keys().chain(counted.counts.keys()).collect();
    let counts: Vec<_> = counts
        .into_iter()
        .filter(|name| !named.clone().any(|known| known == *name))
        .collect();
    assert!(counts.is_empty(), "nobody expects {counts:?}");
}

/// Where something was skipped, and why.
fn skipped(report: &ImportReport) -> Vec<(&str, &str)> {
    let skipped = report.skipped.iter();
    skipped
        .map(|skipped| (&*skipped.source, &*skipped.reason))
        .collect()
}

/// The records of a collection, by id.
fn of<'a>(records: &'a [Stored], collection: &str) -> BTreeMap<&'a str, &'a Stored> {
    let records = records.iter();
    let of = records.filter(|record| record.key().collection == collection);
    of.map(|record| (record.key().id.as_str(), record))
        .collect()
}

fn text(record: &Stored) -> &str {
    std::str::from_utf8(&record.draft.body).unwrap()
}

/// The fields of a JSON object, as they are written.
fn fields(json: &str) -> BTreeMap<String, Box<RawValue>> {
    serde_json::from_str(json).unwrap()
}

/// Whether two JSON texts say the same, with every digit and escape, whatever white space is between.
fn assert_same(found: &RawValue, source: &RawValue, place: &str) {
    match source.get().as_bytes()[0] {
        b'{' => {
            let (found, source) = (fields(found.get()), fields(source.get()));
            assert!(found.keys().eq(source.keys()), "{place}");
            for (name, value) in &source {
                assert_same(&found[name], value, &format!("{place}.{name}"));
            }
        }
        b'[' => {
            let list = |json: &RawValue| -> Vec<Box<RawValue>> {
                serde_json::from_str(json.get()).unwrap()
            };
            let (found, source) = (list(found), list(source));
            assert_eq!(found.len(), source.len(), "{place}");
            for (number, (found, source)) in found.iter().zip(&source).enumerate() {
                assert_same(found, source, &format!("{place}[{number}]"));
            }
        }
        _ => assert_eq!(found.get(), source.get(), "{place}"),
    }
}

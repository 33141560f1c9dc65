//! What importers of older stores share: a source says what it has, one record after another; here it is
//! checked, compared with what is in the store, written and counted.

mod bad_line;
mod figures;
mod new_records;
mod report;

use std::collections::{HashMap, HashSet};

use mortise_agent::Object;
use mortise_agent::inside::Kind;
use mortise_store::inside::{ErrorInside as _, StoreInside as _};
use mortise_store::{Draft, Error, Operation, Result, Store};
use mortise_transfer::inside::Room;

pub(crate) use self::bad_line::{read, read_part, read_task};
pub(crate) use self::figures::Figures;
pub(crate) use self::new_records::{NewRecords, Outcome};
pub use self::report::{ImportReport, ImportedCollection, SkippedRecord};

/// How an older store is imported.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct ImportOptions {
    /// Reads everything and reports what would be, but writes nothing.
    pub dry_run: bool,
    /// The first record that would be skipped ends the import: nothing further is written.
    pub strict: bool,
}

/// Something that a source has.
pub(crate) struct Found {
    /// Where: `line 7`.
    pub(crate) place: String,
    /// The collection that it goes into; none where it is no record.
    pub(crate) collection: Option<String>,
    /// Whether it is written with the one before it, where one batch takes both.
    pub(crate) joined: bool,
    /// The record, or why it is none.
    pub(crate) record: Result<NewRecord, String>,
}

/// A record of a source.
pub(crate) struct NewRecord {
    pub(crate) draft: Draft,
    pub(crate) figures: Figures,
}

impl Found {
    /// Something that is no record, and is not imported.
    pub(crate) fn passed_over(place: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            place: place.into(),
            collection: None,
            joined: false,
            record: Err(reason.into()),
        }
    }

    /// A record of a collection; or why it is none.
    pub(crate) fn record(
        place: impl Into<String>,
        collection: &str,
        entity: Result<Object, String>,
    ) -> Self {
        let record = entity.and_then(|entity| {
            let draft = Kind::of(collection).draft(Operation::Import, &entity);
            Ok(NewRecord {
                draft: draft.map_err(|error| error.reason())?,
                figures: Figures::of_entity(collection, &entity),
            })
        });
        Self {
            place: place.into(),
            collection: Some(collection.to_owned()),
            joined: false,
            record,
        }
    }

    /// The same, to be written with the one before it.
    pub(crate) fn joined(mut self) -> Self {
        self.joined = true;
        self
    }
}

/// The entity that other names had: its id first, as a text, then its fields.
pub(crate) fn entity(id: &str, fields: &Object) -> Result<Object, String> {
    let mut entity = Object::default();
    let set = |entity: &mut Object| {
        entity.set("id", &id)?;
        let fields = fields.fields().filter(|(name, _)| *name != "id");
        fields
            .into_iter()
            .try_for_each(|(name, value)| entity.set(name, value))
    };
    set(&mut entity).map_err(|error: serde_json::Error| error.to_string())?;
    Ok(entity)
}

/// Imports everything that a source has. An error of the source ends it.
pub(crate) async fn import_found(
    store: &Store,
    source: impl Iterator<Item = Result<Found>>,
    options: &ImportOptions,
    progress: impl FnMut(u64),
) -> Result<ImportReport> {
    let max_records = store.arguments(Operation::Apply).max_batch;
    let mut importer = Importer {
        store,
        strict: options.strict,
        new_records: NewRecords::new(store, options.dry_run),
        report: ImportReport {
            dry_run: options.dry_run,
            ..ImportReport::default()
        },
        room: Room::new(store, max_records),
        waiting: Vec::new(),
        family: 0,
        places: HashMap::new(),
        distinct: HashMap::new(),
        done: 0,
        progress,
    };
    match importer.run(source).await {
        Ok(()) => Ok(importer.finish()),
        Err(error) => Err(importer.new_records.stopped("records", error)),
    }
}

/// An import under way.
struct Importer<'a, P> {
    store: &'a Store,
    strict: bool,
    new_records: NewRecords<'a>,
    report: ImportReport,
    /// What is to be written next, and what more goes with it.
    waiting: Vec<Waiting>,
    room: Room,
    /// Where among the waiting the last ones begin that are joined.
    family: usize,
    /// Where each id was found: a source may have one twice.
    places: HashMap<String, HashMap<String, String>>,
    /// The texts that count once, by collection and name.
    distinct: HashMap<(String, &'static str), HashSet<String>>,
    done: u64,
    progress: P,
}

/// A record that can be written.
struct Waiting {
    place: String,
    record: NewRecord,
}

impl<P: FnMut(u64)> Importer<'_, P> {
    async fn run(&mut self, source: impl Iterator<Item = Result<Found>>) -> Result<()> {
        for found in source {
            self.take(found?).await?;
        }
        self.write(self.waiting.len()).await
    }

    async fn take(&mut self, found: Found) -> Result<()> {
        if let Some(collection) = &found.collection {
            self.collection(collection).read += 1;
        }
        let record = match found
            .record
            .and_then(|record| self.judge(&found.place, record))
        {
            Ok(record) => record,
            Err(reason) => return self.skip(found.place, found.collection.as_deref(), reason),
        };
        if !found.joined {
            self.family = self.waiting.len();
        }
        if !self.room.is_for(&record.draft) {
            // Those that are joined stay together where one batch takes them.
            let others = self.family;
            self.write(others).await?;
            if !self.room.is_for(&record.draft) {
                self.write(self.waiting.len()).await?;
            }
        }
        self.room.take(&record.draft);
        let place = found.place;
        self.waiting.push(Waiting { place, record });
        Ok(())
    }

    /// Refuses what the store does not take, and an id that the source had before.
    fn judge(&mut self, place: &str, record: NewRecord) -> Result<NewRecord, String> {
        let checked = self.store.arguments(Operation::Create).draft(&record.draft);
        checked.map_err(|error| error.reason())?;
        let key = &record.draft.key;
        let places = self.places.entry(key.collection.clone()).or_default();
        if let Some(first) = places.get(&key.id) {
            return Err(format!("it has the same id as {first}"));
        }
        places.insert(key.id.clone(), place.to_owned());
        Ok(record)
    }

    /// Writes the first so many of those that wait.
    async fn write(&mut self, count: usize) -> Result<()> {
        if count == 0 {
            return Ok(());
        }
        let rest = self.waiting.split_off(count);
        let batch = std::mem::replace(&mut self.waiting, rest);
        self.family = self.family.saturating_sub(count);
        self.room.clear();
        for waiting in &self.waiting {
            self.room.take(&waiting.record.draft);
        }
        let drafts: Vec<_> = batch.iter().map(|waiting| &waiting.record.draft).collect();
        let outcomes = self.new_records.settle(&drafts).await?;
        self.done += batch.len() as u64;
        for (Waiting { place, record }, outcome) in batch.into_iter().zip(outcomes) {
            let name = record.draft.key.collection;
            let collection = self.collection(&name);
            match outcome {
                Outcome::Created => collection.created += 1,
                Outcome::Unchanged => collection.unchanged += 1,
                Outcome::Skipped(reason) => {
                    self.skip(place, Some(&name), reason)?;
                    continue;
                }
            }
            self.count(name, record.figures);
        }
        (self.progress)(self.done);
        Ok(())
    }

    fn skip(&mut self, place: String, collection: Option<&str>, reason: String) -> Result<()> {
        if self.strict {
            let error = Error::invalid(Operation::Import, format!("{place}: {reason}"));
            return Err(error.with_hint("mend it in the source, or import without being strict"));
        }
        if let Some(collection) = collection {
            self.collection(collection).skipped += 1;
        }
        let source = place;
        self.report.skipped.push(SkippedRecord { source, reason });
        Ok(())
    }

    fn count(&mut self, collection: String, mut figures: Figures) {
        for (name, text) in std::mem::take(&mut figures.distinct) {
            let texts = self.distinct.entry((collection.clone(), name)).or_default();
            texts.insert(text);
        }
        figures.add_to(self.collection(&collection));
    }

    fn collection(&mut self, name: &str) -> &mut ImportedCollection {
        let collections = &mut self.report.collections;
        collections.entry(name.to_owned()).or_default()
    }

    fn finish(mut self) -> ImportReport {
        for ((collection, name), texts) in std::mem::take(&mut self.distinct) {
            let counts = &mut self.collection(&collection).counts;
            counts.insert(name.to_owned(), texts.len() as u64);
        }
        self.report
    }
}

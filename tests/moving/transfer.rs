//! Whole stores, moved, through the library: exports and imports here, the rest in modules.

mod backup;
mod copy;

use mortise::transfer::{export, import};
use mortise::{Attribute, ErrorKind, Store};

use crate::support::moving::{exported, fill};
use crate::support::{Fixture, draft, key};

async fn count(store: &Store) -> u64 {
    store
        .statistics()
        .await
        .unwrap()
        .iter()
        .map(|counts| counts.records)
        .sum()
}

/// Has a database change or lose the record `b` as soon as it is written.
fn spoil(store: &Fixture, change: &str) {
    let raw = rusqlite::Connection::open(store.database()).unwrap();
    let trigger = format!(
        "CREATE TRIGGER spoil AFTER INSERT ON records WHEN new.id = 'b' \
         BEGIN {change} WHERE create_revision = new.create_revision; END"
    );
    raw.execute_batch(&trigger).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_moves_between_backends_to_the_byte() {
    let (from, to) = (Fixture::new("memory").await, Fixture::new("sqlite").await);
    fill(&from.store, 2500).await;
    let mut file = Vec::new();
    let mut told = Vec::new();
    assert_eq!(
        export(&from.store, &mut file, |records| told.push(records))
            .await
            .unwrap(),
        2500
    );
    assert_eq!(told.last(), Some(&2500));
    assert!(told.len() > 2 && told.is_sorted(), "{told:?}");

    told.clear();
    assert_eq!(
        import(&to.store, &*file, |records| told.push(records))
            .await
            .unwrap(),
        2500
    );
    assert_eq!(told, [1000, 2000, 2500]);
    assert!(exported(&to.store).await == file, "the exports differ");
    // Once more changes nothing, and revisions go on above the highest.
    import(&to.store, &*file, |_| {}).await.unwrap();
    assert!(exported(&to.store).await == file, "the exports differ");
    assert_eq!(
        to.store
            .create(draft("new", ""))
            .await
            .unwrap()
            .create_revision,
        2501
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_after_a_damaged_line_is_written() {
    let (from, to) = (Fixture::new("memory").await, Fixture::new("sqlite").await);
    fill(&from.store, 1500).await;
    let file = exported(&from.store).await;
    let mut lines: Vec<_> = file.split_inclusive(|byte| *byte == b'\n').collect();
    lines[1300] = b"{\"collection\":\"task\"}\n";
    let error = import(&to.store, &*lines.concat(), |_| {})
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let said = error.to_string();
    assert!(
        said.contains("line 1301: expected a record: missing field `id`"),
        "{said}"
    );
    assert!(said.contains("1000 records were imported before"), "{said}");
    assert_eq!(count(&to.store).await, 1000);
    // The file as it should be completes the import.
    import(&to.store, &*file, |_| {}).await.unwrap();
    assert!(exported(&to.store).await == file, "the exports differ");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_keep_within_the_bounds_of_one_call() {
    let (from, to) = (Fixture::new("memory").await, Fixture::new("sqlite").await);
    for number in 0..9 {
        let mut many = draft(&format!("many-{number}"), "");
        many.attributes = (0..4096)
            .map(|value| Attribute::new("n", format!("{number}-{value}")))
            .collect();
        from.store.create(many).await.unwrap();
        let body = "x".repeat((1 + number) << 19);
        from.store
            .create(draft(&format!("large-{number}"), &body))
            .await
            .unwrap();
    }
    let file = exported(&from.store).await;
    let small = to.open("body-bytes=9MiB&batch-bytes=9MiB").await;
    let mut batches = 0;
    assert_eq!(import(&small, &*file, |_| batches += 1).await.unwrap(), 18);
    assert_eq!(batches, 4);
    assert!(exported(&small).await == file, "the exports differ");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_is_in_the_way_is_named() {
    let (from, to) = (Fixture::new("memory").await, Fixture::new("sqlite").await);
    fill(&from.store, 20).await;
    // Beyond the revisions that are imported: only the key is in the way.
    for _ in 0..20 {
        to.store.create(draft("gone", "")).await.unwrap();
        to.store.delete(&key("gone"), None).await.unwrap();
    }
    let taken = to
        .store
        .create(draft("5\0\n\u{1F980}", "other"))
        .await
        .unwrap();
    let error = import(&to.store, &*exported(&from.store).await, |_| {})
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(
        error
            .to_string()
            .contains("lines 2 to 21 failed; 0 records"),
        "{error}"
    );
    assert!(error.hint().is_some());
    let source = std::error::Error::source(&error)
        .unwrap()
        .downcast_ref::<mortise::Error>()
        .unwrap();
    assert_eq!(source.current().unwrap().stamp, taken);
    assert_eq!(count(&to.store).await, 1);
}

/// A disk that is full.
struct Full;

impl std::io::Write for Full {
    fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
        Err(std::io::ErrorKind::StorageFull.into())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_written_is_an_error_of_its_own() {
    let from = Fixture::new("memory").await;
    let error = export(&from.store, Full, |_| {}).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(std::error::Error::source(&error).is_some());
}

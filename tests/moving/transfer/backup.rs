//! Backups, and what becomes of damaged ones.

use std::fs::File;
use std::io::{BufReader, Read as _, Seek as _, Write as _};

use mortise::transfer::{
    BackupOptions, BackupReport, Phase, RestoreOptions, RestoreReport, backup, import, restore,
};
use mortise::{Clock as _, Digest, Error, ErrorKind, Store};
use tokio::runtime::Handle;

use super::{count, exported, fill, spoil};
use crate::support::{Fixture, START, draft};

/// How far a restored store's revisions are from the backup's.
const LEAP: u64 = 1 << 32;

async fn backed_up(store: &Store) -> (Vec<u8>, BackupReport) {
    let mut file = tempfile::tempfile().unwrap();
    // What was in the file is not part of the backup.
    file.write_all(&[b'x'; 100_000]).unwrap();
    let options = BackupOptions::default();
    let report = backup(store, &mut file, &options, |_, _| {}).await.unwrap();
    let mut bytes = Vec::new();
    file.rewind().unwrap();
    file.read_to_end(&mut bytes).unwrap();
    (bytes, report)
}

async fn restored(store: &Store, file: &[u8], merge: bool) -> Result<RestoreReport, Error> {
    let mut options = RestoreOptions::default();
    options.merge = merge;
    restore(store, || Ok(file), &options, |_, _| {}).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_is_restored_to_the_byte_on_every_backend() {
    let from = Fixture::new("sqlite").await;
    fill(&from.store, 2500).await;
    from.store
        .delete(&draft("1\0\n\u{1F980}", "").key, None)
        .await
        .unwrap();
    let (file, report) = backed_up(&from.store).await;
    assert_eq!((report.records, report.revision), (2499, 2502));
    assert_eq!(report.writes_meanwhile, 0);
    let head = file.iter().position(|byte| *byte == b'\n').unwrap();
    let header = String::from_utf8_lossy(&file[..head]);
    assert!(header.ends_with(r#""revision":2502}"#), "{header}");
    let trailer = format!(
        r#"{{"end":{{"records":2499,"sha256":"{}"}}}}"#,
        report.sha256
    );
    let lines = file
        .strip_suffix(format!("{trailer}\n").as_bytes())
        .unwrap();
    assert_eq!(Digest::of(lines), report.sha256);

    for backend in ["memory", "redis", "sqlite"] {
        let to = Fixture::new(backend).await;
        let back = restored(&to.store, &file, false).await.unwrap();
        assert_eq!((back.records, back.revision, back.expired), (2499, 2502, 0));
        assert!(
            exported(&to.store).await == exported(&from.store).await,
            "{backend}"
        );
        let next = to.store.create(draft("next", "")).await.unwrap();
        assert!(next.create_revision > 2502 + LEAP, "{backend}: {next:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_is_as_of_one_instant_or_says_so() {
    let fixture = Fixture::new("memory").await;
    let store = &fixture.store;
    fill(store, 50).await;
    for (disturbed, allow_writes, outcome) in [
        (0, false, Some((50, 0))),
        (2, false, Some((52, 0))),
        (3, false, None),
        (1, true, Some((55, 1))),
    ] {
        let mut attempts = 0;
        let disturb = |phase, _| {
            // Called once for each attempt's one page.
            if phase == Phase::Write && attempts < disturbed {
                attempts += 1;
                let id = format!("{disturbed}-{allow_writes}-{attempts}");
                let create = store.create(draft(&id, ""));
                tokio::task::block_in_place(|| Handle::current().block_on(create)).unwrap();
            }
        };
        let mut options = BackupOptions::default();
        options.allow_writes = allow_writes;
        let mut file = tempfile::tempfile().unwrap();
        match (backup(store, &mut file, &options, disturb).await, outcome) {
            (Ok(report), Some(outcome)) => {
                assert_eq!((report.records, report.writes_meanwhile), outcome);
            }
            (Err(error), None) => {
                assert_eq!(error.kind(), ErrorKind::Unavailable);
                assert!(error.to_string().contains("each of 3 attempts"), "{error}");
                assert!(
                    error
                        .hint()
                        .is_some_and(|hint| hint.contains("--allow-writes"))
                );
            }
            (other, _) => panic!("{disturbed}, {allow_writes}: {other:?}"),
        }
        assert_eq!(attempts, disturbed);
    }
}

/// A file that gives back something else than was written to it.
struct Forgetful(File);

impl mortise::transfer::BackupFile for Forgetful {
    type Writer = File;
    type Reader = BufReader<std::io::Cursor<Vec<u8>>>;

    fn create(&mut self) -> std::io::Result<File> {
        self.0.create()
    }

    fn close(&mut self, writer: File) -> std::io::Result<()> {
        self.0.close(writer)
    }

    fn open(&mut self) -> std::io::Result<Self::Reader> {
        let mut text = String::new();
        self.0.open()?.read_to_string(&mut text)?;
        let changed = text.replace(r#""body":"one""#, r#""body":"two""#);
        Ok(BufReader::new(std::io::Cursor::new(changed.into_bytes())))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_that_cannot_be_read_back_is_none() {
    let from = Fixture::new("memory").await;
    from.store.create(draft("a", "one")).await.unwrap();
    let mut file = Forgetful(tempfile::tempfile().unwrap());
    let options = BackupOptions::default();
    let error = backup(&from.store, &mut file, &options, |_, _| {})
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(
        error.to_string().ends_with("; no backup was made"),
        "{error}"
    );
}

/// The lines, with the trailer that belongs to them.
fn whole(lines: &[&[u8]]) -> Vec<u8> {
    let mut file = lines.concat();
    let (records, sha256) = (lines.len() - 1, Digest::of(&file));
    let trailer = format!(r#"{{"end":{{"records":{records},"sha256":"{sha256}"}}}}"#);
    file.extend(trailer.as_bytes());
    file.push(b'\n');
    file
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_backup_leaves_the_store_as_it_was() {
    let from = Fixture::new("memory").await;
    fill(&from.store, 30).await;
    let (file, _) = backed_up(&from.store).await;
    let mut lines: Vec<_> = file.split_inclusive(|byte| *byte == b'\n').collect();
    let trailer = lines.pop().unwrap();
    let cut = |at: usize| file[..at].to_vec();
    let without = |line: usize| [&lines[..line], &lines[line + 1..]].concat();
    let with = |line: usize, from: &str, to: &str| {
        let text = String::from_utf8(lines[line].to_vec()).unwrap();
        assert!(text.contains(from), "{text}");
        let changed = text.replacen(from, to, 1).into_bytes();
        [lines[..line].concat(), changed, lines[line + 1..].concat()].concat()
    };
    let renewed = |changed: Vec<u8>| {
        let lines: Vec<_> = changed.split_inclusive(|byte| *byte == b'\n').collect();
        whole(&lines)
    };
    let mut swapped = lines.clone();
    swapped.swap(4, 5);
    let twice = [&lines[..5], &lines[4..]].concat();
    let mut damaged = vec![
        ("empty", Vec::new(), "line 1: the file is empty"),
        (
            "another file",
            b"SQLite format 3\0\n".to_vec(),
            "line 1: expected the header",
        ),
        ("trailer gone", lines.concat(), "ends without the trailer"),
        ("half", cut(file.len() / 2), "line 1"),
        (
            "line lost",
            [&without(7).concat()[..], trailer].concat(),
            "counts 30 records, the file has 29",
        ),
        (
            "digest gone",
            [&lines.concat()[..], b"{\"end\":{\"records\":30}}\n"].concat(),
            "has no sha256",
        ),
        (
            "line changed",
            [
                &with(3, r#""created_at":1"#, r#""created_at":2"#)[..],
                trailer,
            ]
            .concat(),
            "has another sha256",
        ),
        ("out of order", whole(&swapped), "expected them ascending"),
        ("line twice", whole(&twice), "expected them ascending"),
        (
            "key twice",
            renewed(with(3, r#""id":"2"#, r#""id":"1"#)),
            "task/1\\0\\n🦀: line 4: the key is there twice",
        ),
        (
            "revision twice",
            renewed(with(3, r#""mod_revision":3"#, r#""mod_revision":9"#)),
            "revision 9 is there twice",
        ),
        (
            "no such record",
            renewed(with(3, r#""collection":"task""#, r#""collection":"""#)),
            "no store takes it",
        ),
    ];
    for place in (0..file.len()).step_by(file.len() / 200) {
        let mut flipped = file.clone();
        flipped[place] ^= 1 << (place % 7);
        damaged.push(("bit flipped", flipped, "line "));
    }
    for at in (0..file.len() - 1).step_by(file.len() / 50) {
        damaged.push(("cut off", cut(at), "line "));
    }
    let to = Fixture::new("sqlite").await;
    for (what, file, told) in &damaged {
        let error = restored(&to.store, file, false).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{what}: {error}");
        let said = error.to_string();
        assert!(said.contains(told), "{what}: {said}");
        assert!(said.ends_with("; nothing was restored"), "{what}: {said}");
    }
    // Not even a revision was taken.
    let first = to.store.create(draft("first", "")).await.unwrap();
    assert_eq!((first.create_revision, count(&to.store).await), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_in_the_store_is_in_the_way_unless_it_is_merged() {
    let (from, to) = (Fixture::new("memory").await, Fixture::new("sqlite").await);
    fill(&from.store, 1500).await;
    let (file, _) = backed_up(&from.store).await;
    // A restore that did not come to its end.
    let cut = file.len() - 10;
    import(&to.store, &file[..cut], |_| {}).await.unwrap_err();
    assert_eq!(count(&to.store).await, 1000);
    let error = restored(&to.store, &file, false).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(
        error.to_string().contains("has records, expected none"),
        "{error}"
    );
    assert!(error.hint().is_some_and(|hint| hint.contains("--merge")));
    assert_eq!(count(&to.store).await, 1000);
    restored(&to.store, &file, true).await.unwrap();
    assert!(exported(&to.store).await == exported(&from.store).await);

    let other = Fixture::new("sqlite").await;
    other
        .store
        .create(draft("7\0\n\u{1F980}", "another"))
        .await
        .unwrap();
    let error = restored(&other.store, &file, true).await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("the batch of lines 2 to 1001 failed; 0 records were restored"),
        "{error}"
    );
    assert!(
        error
            .hint()
            .unwrap()
            .starts_with("restore into a store that is empty")
    );
    let empty = Fixture::new("sqlite").await;
    restored(&empty.store, &file, true).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_expired_since_is_absent_and_not_missed() {
    let from = Fixture::new("sqlite").await;
    for (id, at) in [("a", START + 1), ("b", START + 100_000)] {
        from.store
            .create(draft(id, "").expires_at(at))
            .await
            .unwrap();
    }
    let (file, _) = backed_up(&from.store).await;
    let to = Fixture::new("sqlite").await;
    to.clock.advance(50_000);
    assert_eq!(to.clock.now(), START + 50_000);
    let report = restored(&to.store, &file, false).await.unwrap();
    assert_eq!((report.records, report.expired), (2, 1));
    assert_eq!(count(&to.store).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_changes_a_record_is_found_out() {
    let from = Fixture::new("memory").await;
    for id in ["a", "b"] {
        from.store.create(draft(id, "body")).await.unwrap();
    }
    let (file, _) = backed_up(&from.store).await;
    let to = Fixture::new("sqlite").await;
    spoil(&to, "UPDATE records SET body = x'00'");
    let error = restored(&to.store, &file, false).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Internal);
    assert!(
        error.to_string().contains("task/b is another one"),
        "{error}"
    );
}

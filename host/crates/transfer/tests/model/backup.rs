//! Backups, and what becomes of damaged ones.

use std::fs::File;
use std::io::{BufReader, Cursor, Read as _, Seek as _, Write as _};

use mortise_store::{Digest, ErrorKind, Result, Store};
use mortise_transfer::{
    BackupFile, BackupOptions, BackupReport, Phase, RestoreOptions, RestoreReport, backup, restore,
};

use crate::{START, all, at_once, draft, fill, stores};

/// How far a restored store's revisions are from the backup's.
const LEAP: u64 = 1 << 32;

async fn backed_up(store: &Store) -> (Vec<u8>, BackupReport) {
    let mut file = tempfile::tempfile().unwrap();
    // What was in the file is not part of the backup.
    file.write_all(&[b'x'; 100_000]).unwrap();
    let options = BackupOptions::default();
    let report = backup(store, &mut file, &options, |_, _| {}).await;
    let mut bytes = Vec::new();
    file.rewind().unwrap();
    file.read_to_end(&mut bytes).unwrap();
    (bytes, report.unwrap())
}

async fn restored(store: &Store, file: &[u8], merge: bool) -> Result<RestoreReport> {
    let mut options = RestoreOptions::default();
    options.merge = merge;
    restore(store, || Ok(file), &options, |_, _| {}).await
}

#[tokio::test]
async fn a_backup_is_restored_to_the_byte() {
    let (from, to, _) = stores();
    fill(&from, 1200).await;
    let gone = all(&from).await.swap_remove(1);
    from.delete(gone.key(), None).await.unwrap();
    let (file, report) = backed_up(&from).await;
    // One revision for each record, one for the removal, one to see who writes meanwhile.
    assert_eq!((report.records, report.revision), (1199, 1202));
    assert_eq!(report.writes_meanwhile, 0);
    let trailer = format!(
        "{{\"end\":{{\"records\":1199,\"sha256\":\"{}\"}}}}\n",
        report.sha256
    );
    let lines = file.strip_suffix(trailer.as_bytes()).unwrap();
    assert_eq!(Digest::of(lines), report.sha256);

    let back = restored(&to, &file, false).await.unwrap();
    assert_eq!((back.records, back.revision, back.expired), (1199, 1202, 0));
    assert!(all(&to).await == all(&from).await, "the records differ");
    let next = to.create(draft("next", "")).await.unwrap();
    assert!(next.create_revision > 1202 + LEAP, "{next:?}");
}

#[tokio::test]
async fn a_backup_is_as_of_one_instant_or_is_none() {
    let (store, _, _) = stores();
    fill(&store, 50).await;
    for (disturbed, records) in [(2, Some(52)), (3, None)] {
        let mut attempts = 0;
        let disturb = |phase, _| {
            // Called once for each attempt's one page.
            if phase == Phase::Write && attempts < disturbed {
                attempts += 1;
                let id = format!("{disturbed}-{attempts}");
                at_once(store.create(draft(&id, ""))).unwrap();
            }
        };
        let mut file = tempfile::tempfile().unwrap();
        let options = BackupOptions::default();
        match (backup(&store, &mut file, &options, disturb).await, records) {
            (Ok(report), Some(records)) => {
                assert_eq!((report.records, report.writes_meanwhile), (records, 0));
            }
            (Err(error), None) => {
                assert_eq!(error.kind(), ErrorKind::Unavailable);
                assert!(error.to_string().contains("each of 3 attempts"), "{error}");
            }
            (other, _) => panic!("{disturbed}: {other:?}"),
        }
        assert_eq!(attempts, disturbed);
    }
}

/// A file that gives back something else than was written to it.
struct Forgetful(File);

impl BackupFile for Forgetful {
    type Writer = File;
    type Reader = BufReader<Cursor<Vec<u8>>>;

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
        Ok(BufReader::new(Cursor::new(changed.into_bytes())))
    }
}

#[tokio::test]
async fn a_backup_that_cannot_be_read_back_is_none() {
    let (from, _, _) = stores();
    from.create(draft("a", "one")).await.unwrap();
    let mut file = Forgetful(tempfile::tempfile().unwrap());
    let options = BackupOptions::default();
    let error = backup(&from, &mut file, &options, |_, _| {})
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(
        error.to_string().ends_with("; no backup was made"),
        "{error}"
    );
}

#[tokio::test]
async fn nothing_of_a_damaged_backup_is_restored() {
    let (from, to, _) = stores();
    fill(&from, 20).await;
    let (file, _) = backed_up(&from).await;
    let text = file.clone();
    for place in [text.len() / 3, text.len() / 2, text.len() - 10] {
        let mut damaged = text.clone();
        damaged[place] ^= 1;
        for damaged in [damaged, text[..place].to_vec()] {
            let error = restored(&to, &damaged, false).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid, "{place}: {error}");
            assert_eq!(all(&to).await, [], "{place}");
        }
    }
    restored(&to, &file, false).await.unwrap();
    assert_eq!(all(&to).await, all(&from).await);
}

#[tokio::test]
async fn a_store_that_has_records_is_only_added_to() {
    let (from, to, clock) = stores();
    from.create(draft("a", "source")).await.unwrap();
    let soon = draft("soon", "").expires_at(START + 1_000);
    from.create(soon).await.unwrap();
    let (file, report) = backed_up(&from).await;
    let mut other = all(&from).await.swap_remove(0);
    other.draft.key.id = "other".to_owned();
    (other.stamp.create_revision, other.stamp.mod_revision) = (700, 700);
    to.import(vec![other.clone()]).await.unwrap();
    let error = restored(&to, &file, false).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(
        error.to_string().contains("nothing was restored"),
        "{error}"
    );
    assert_eq!(all(&to).await, [other.clone()]);
    clock.advance(1_000);
    let merged = restored(&to, &file, true).await.unwrap();
    assert_eq!((merged.records, merged.expired), (report.records, 1));
    assert_eq!(all(&to).await, [all(&from).await, vec![other]].concat());
}

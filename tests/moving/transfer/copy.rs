//! Copies from store to store.

use mortise::agent::TaskStore;
use mortise::transfer::{CopyOptions, CopyReport, Phase, copy};
use mortise::{Attribute, Clock as _, Error, ErrorKind, Store, Stored};
use mortise_test_guests::{Animal, zoo};
use tokio::runtime::Handle;

use super::{count, exported, fill, spoil};
use crate::support::{Fixture, draft, export_all, host, key};

async fn copied(from: &Store, to: &Store) -> Result<CopyReport, Error> {
    copy(from, to, &CopyOptions::default(), |_, _| {}).await
}

async fn dry(from: &Store, to: &Store) -> Result<CopyReport, Error> {
    let mut options = CopyOptions::default();
    options.dry_run = true;
    copy(from, to, &options, |_, _| {}).await
}

/// What a copy should not lose: also a record with as many attributes as one can have, gaps where records
/// were deleted and updated, and one that was set aside. It has 1,502 records, and 2 that expire at 5 s.
async fn fill_with_all(fixture: &Fixture) {
    let store = &fixture.store;
    fill(store, 1500).await;
    let mut many = draft("many", "");
    many.attributes = (0..4096)
        .map(|value| Attribute::new("n", format!("{value}")))
        .collect();
    store.create(many).await.unwrap();
    for id in ["gone", "torn"] {
        store.create(draft(id, "\u{1}no json")).await.unwrap();
    }
    store.delete(&key("gone"), None).await.unwrap();
    let tasks = TaskStore::new(store.clone());
    assert_eq!(
        tasks.load("torn").await.unwrap_err().kind(),
        ErrorKind::Corrupt
    );
    let mut changed = draft("1\0\n\u{1F980}", "changed");
    changed.attributes = vec![Attribute::new("b\n", "")];
    store.update(changed, None).await.unwrap();
    for id in ["soon", "soon too"] {
        let at = fixture.clock.now() + 5_000;
        store.create(draft(id, "").expires_at(at)).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_through_every_backend_gives_identical_exports() {
    let first = Fixture::new("sqlite").await;
    fill_with_all(&first).await;
    let export = exported(&first.store).await;
    let chain = [
        Fixture::new("redis").await,
        Fixture::new("memory").await,
        Fixture::new("sqlite").await,
    ];
    let (mut from, mut digest) = (&first, None);
    for to in &chain {
        let report = copied(&from.store, &to.store).await.unwrap();
        assert_eq!(
            (report.records, report.written, report.already_there),
            (1504, 1504, 0)
        );
        assert_eq!((report.others, report.writes_meanwhile), (0, Some(0)));
        assert!(report.verified);
        assert_eq!(*digest.get_or_insert(report.sha256), report.sha256);
        assert!(
            exported(&to.store).await == export,
            "{} differs",
            to.store.backend()
        );
        from = to;
    }
    // What the source took for records that are gone is not given again.
    let last = first.store.create(draft("last", "")).await.unwrap();
    let next = chain[2].store.create(draft("next", "")).await.unwrap();
    assert!(
        next.create_revision > last.create_revision,
        "{next:?}, {last:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_goes_on_where_it_was_and_leaves_others_alone() {
    let (from, to) = (Fixture::new("memory").await, Fixture::new("sqlite").await);
    fill(&from.store, 3000).await;
    // Every other page is there already; and one record whose revision is beyond.
    for page in export_all(&from.store).await.chunks(500).step_by(2) {
        to.store.import(page.to_vec()).await.unwrap();
    }
    assert_eq!(count(&to.store).await, 1500);
    let mut beyond = export_all(&from.store).await.swap_remove(0);
    beyond.draft.key.id = "another".to_owned();
    (beyond.stamp.create_revision, beyond.stamp.mod_revision) = (5000, 5000);
    to.store.import(vec![beyond]).await.unwrap();
    let before = exported(&to.store).await;
    let planned = dry(&from.store, &to.store).await.unwrap();
    assert!(exported(&to.store).await == before, "a dry run wrote");
    let report = copied(&from.store, &to.store).await.unwrap();
    for report in [&planned, &report] {
        assert_eq!((report.records, report.written), (3000, 1500));
        assert_eq!((report.already_there, report.others), (1500, 1));
    }
    assert_eq!(count(&to.store).await, 3001);
    let again = copied(&from.store, &to.store).await.unwrap();
    assert_eq!(
        (again.written, again.already_there, again.others),
        (0, 3000, 1)
    );
    assert_eq!(again.sha256, report.sha256);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dry_run_takes_not_even_a_revision() {
    let (from, to) = (Fixture::new("sqlite").await, Fixture::new("memory").await);
    fill(&from.store, 40).await;
    let report = dry(&from.store, &to.store).await.unwrap();
    assert_eq!((report.dry_run, report.verified), (true, false));
    assert_eq!((report.written, report.writes_meanwhile), (40, None));
    for (store, next) in [(&from.store, 41), (&to.store, 1)] {
        let stamp = store.create(draft("next", "")).await.unwrap();
        assert_eq!(stamp.create_revision, next);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_in_the_target_is_written_over() {
    let from = Fixture::new("memory").await;
    for id in ["a", "b", "c"] {
        from.store.create(draft(id, "source")).await.unwrap();
    }
    let change = |change: fn(&mut Stored)| change;
    for (changed, kind, told) in [
        (
            change(|there| there.stamp.mod_revision = 9),
            ErrorKind::Conflict,
            "it was changed last by revision 9",
        ),
        (
            change(|there| there.stamp.updated_at += 1),
            ErrorKind::Conflict,
            "it was changed last by revision 2",
        ),
        (
            change(|there| there.draft.key.id = "x".to_owned()),
            ErrorKind::Invalid,
            "its create-revision 2 is that of task/x in the target",
        ),
        (
            change(|there| (there.stamp.create_revision, there.stamp.mod_revision) = (7, 7)),
            ErrorKind::Conflict,
            "it was changed last by revision 7",
        ),
    ] {
        let to = Fixture::new("sqlite").await;
        let mut there = export_all(&from.store).await.swap_remove(1);
        changed(&mut there);
        to.store.import(vec![there]).await.unwrap();
        let before = exported(&to.store).await;
        for outcome in [
            dry(&from.store, &to.store).await,
            copied(&from.store, &to.store).await,
        ] {
            let error = outcome.unwrap_err();
            assert_eq!(
                (error.kind(), error.key()),
                (kind, Some(&key("b"))),
                "{error:?}"
            );
            assert!(error.with_causes().contains(told), "{error:?}");
            let hint = "copy into a store that is empty, or has the same records";
            assert_eq!(error.hint(), Some(hint));
        }
        assert!(
            exported(&to.store).await == before,
            "the target was changed"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_writes_meanwhile_is_told() {
    let (from, to) = (Fixture::new("memory").await, Fixture::new("sqlite").await);
    fill(&from.store, 1200).await;
    let mut wrote = false;
    let write = |phase, _| {
        if phase == Phase::Write && !std::mem::replace(&mut wrote, true) {
            let create = |id| from.store.create(draft(id, ""));
            tokio::task::block_in_place(|| {
                Handle::current().block_on(create("one")).unwrap();
                Handle::current().block_on(create("two")).unwrap();
            });
        }
    };
    let options = CopyOptions::default();
    let report = copy(&from.store, &to.store, &options, write).await.unwrap();
    assert_eq!(report.writes_meanwhile, Some(2));
    assert!(report.verified);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_expires_on_the_way_is_not_missed() {
    let from = Fixture::new("sqlite").await;
    let to = from.open("namespace=other").await;
    fill_with_all(&from).await;
    let expire = |phase, records| {
        if (phase, records) == (Phase::Write, 1504) {
            from.clock.advance(5_000);
        }
    };
    let options = CopyOptions::default();
    let report = copy(&from.store, &to, &options, expire).await.unwrap();
    assert_eq!((report.records, report.expired), (1504, 2));
    assert_eq!(count(&to).await, 1502);
    assert!(exported(&to).await == exported(&from.store).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_imports_badly_is_found_out() {
    let from = Fixture::new("sqlite").await;
    from.store.create(draft("gone", "")).await.unwrap();
    from.store.delete(&key("gone"), None).await.unwrap();
    for number in 0..40 {
        let mut odd = draft(&format!("{number}"), "");
        odd.key.collection = ["job", "task"][number % 2].to_owned();
        from.store.create(odd).await.unwrap();
    }
    let mut tried = 0;
    for (animal, component) in zoo() {
        let told = match animal {
            Animal::ImportsWithNewStamps => "takes revisions that were taken before",
            Animal::ExportsSomeCollections => "20 not at all: the record with create-revision 4 ",
            Animal::ExportsByKey => "does not export in the order of creation",
            _ => continue,
        };
        let host = host().component("animal", component).build().unwrap();
        let to = host.open("animal:").await.unwrap();
        let error = copied(&from.store, &to).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Internal, "{animal:?}: {error:?}");
        assert!(error.to_string().contains(told), "{animal:?}: {error:?}");

        tried += 1;
    }
    assert_eq!(tried, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_changes_a_record_is_found_out() {
    let from = Fixture::new("memory").await;
    for id in ["a", "b", "c"] {
        from.store.create(draft(id, "body")).await.unwrap();
    }
    for (change, told) in [
        (
            "UPDATE records SET body = x'00'",
            "of 3 records, the store gives back 1 as others and 0 not at all: task/b is another one",
        ),
        (
            "UPDATE records SET updated_at = 7",
            "1 as others and 0 not at all: task/b is another one",
        ),
        (
            "DELETE FROM records",
            "0 as others and 1 not at all: the record with create-revision 2 is missing",
        ),
    ] {
        let to = Fixture::new("sqlite").await;
        spoil(&to, change);
        let error = copied(&from.store, &to.store).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Internal, "{change}: {error:?}");
        assert!(error.to_string().contains(told), "{change}: {error:?}");
        assert!(error.hint().is_some());

        let to = Fixture::new("sqlite").await;
        spoil(&to, change);
        let mut options = CopyOptions::default();
        options.verify = false;
        let report = copy(&from.store, &to.store, &options, |_, _| {}).await;
        assert!(!report.unwrap().verified);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_is_not_copied_onto_itself() {
    for backend in ["sqlite", "redis", "memory"] {
        let from = Fixture::new(backend).await;
        let same = match backend {
            "memory" => from.store.clone(),
            _ => from.open("deadline=7s").await,
        };
        let error = copied(&from.store, &same).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{backend}");
        assert!(error.to_string().contains("are the same store"), "{error}");
        let other = from.open("namespace=other").await;
        copied(&from.store, &other).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_stands_in_for_a_store_is_not_copied() {
    let good = Fixture::new("sqlite").await;
    let nowhere = good.path().join("nowhere/a.db");
    let url = format!("sqlite:{}?fallback=memory", nowhere.display());
    let stands_in = good.host.open(&url).await.unwrap();
    for (from, to) in [(&good.store, &stands_in), (&stands_in, &good.store)] {
        let error = copied(from, to).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.to_string().contains("does not open"), "{error}");
    }
}

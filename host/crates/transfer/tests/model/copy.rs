//! Copies from store to store.

use mortise_conformance::ModelPlace;
use mortise_store::{ErrorKind, ManualClock, Store, Write};
use mortise_transfer::{CopyOptions, CopyReport, Phase, copy};

use crate::{START, all, at_once, draft, fill, key, stores};

async fn copied(from: &Store, to: &Store) -> mortise_store::Result<CopyReport> {
    copy(from, to, &CopyOptions::default(), |_, _| {}).await
}

#[tokio::test]
async fn a_copy_has_every_record_to_the_byte_and_goes_on_above() {
    let (from, to, _) = stores();
    fill(&from, 1500).await;
    from.delete(&key("1\0\n\u{1F980}"), None).await.unwrap();
    let report = copied(&from, &to).await.unwrap();
    assert_eq!((report.records, report.written), (1499, 1499));
    assert_eq!((report.already_there, report.others), (0, 0));
    assert_eq!((report.verified, report.writes_meanwhile), (true, Some(0)));
    assert!(all(&to).await == all(&from).await, "the records differ");
    // What the source took for records that are gone is not given again.
    let last = from.create(draft("last", "")).await.unwrap();
    let next = to.create(draft("next", "")).await.unwrap();
    assert!(
        next.create_revision > last.create_revision,
        "{next:?}, {last:?}"
    );
}

#[tokio::test]
async fn a_copy_goes_on_where_it_was_and_leaves_others_alone() {
    let (from, to, _) = stores();
    fill(&from, 30).await;
    let records = all(&from).await;
    to.import(records[..10].to_vec()).await.unwrap();
    let mut beyond = records[0].clone();
    beyond.draft.key.id = "another".to_owned();
    (beyond.stamp.create_revision, beyond.stamp.mod_revision) = (5000, 5000);
    to.import(vec![beyond.clone()]).await.unwrap();
    let before = all(&to).await;
    let mut options = CopyOptions::default();
    options.dry_run = true;
    let planned = copy(&from, &to, &options, |_, _| {}).await.unwrap();
    assert!(all(&to).await == before, "a dry run wrote");
    let report = copied(&from, &to).await.unwrap();
    for report in [&planned, &report] {
        assert_eq!((report.records, report.written), (30, 20));
        assert_eq!((report.already_there, report.others), (10, 1));
    }
    let expected: Vec<_> = records.into_iter().chain([beyond]).collect();
    assert!(all(&to).await == expected, "the records differ");
    let again = copied(&from, &to).await.unwrap();
    assert_eq!((again.written, again.already_there), (0, 30));
    assert_eq!(again.sha256, report.sha256);
}

#[tokio::test]
async fn nothing_in_the_target_is_written_over() {
    let (from, to, _) = stores();
    for id in ["a", "b", "c"] {
        from.create(draft(id, "source")).await.unwrap();
    }
    let mut there = all(&from).await.swap_remove(1);
    there.stamp.mod_revision = 9;
    to.import(vec![there.clone()]).await.unwrap();
    let error = copied(&from, &to).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.key()),
        (ErrorKind::Conflict, Some(&key("b")))
    );
    assert!(
        error
            .with_causes()
            .contains("it was changed last by revision 9"),
        "{error:?}"
    );
    assert_eq!(all(&to).await, [there]);
}

#[tokio::test]
async fn who_writes_meanwhile_is_told() {
    let (from, to, _) = stores();
    fill(&from, 20).await;
    let mut wrote = false;
    let write = |phase, _| {
        if phase == Phase::Write && !std::mem::replace(&mut wrote, true) {
            for id in ["one", "two"] {
                at_once(from.create(draft(id, ""))).unwrap();
            }
        }
    };
    let report = copy(&from, &to, &CopyOptions::default(), write).await;
    assert_eq!(report.unwrap().writes_meanwhile, Some(2));
    assert!(wrote);
}

#[tokio::test]
async fn a_target_that_keeps_something_else_is_found_out() {
    for (change, told) in [
        (
            Write::put(draft("b", "other")),
            "1 as others and 0 not at all: task/b is another one",
        ),
        (
            Write::remove(key("b")),
            "0 as others and 1 not at all: the record with create-revision 2 is missing",
        ),
    ] {
        let (from, to, _) = stores();
        for id in ["a", "b", "c"] {
            from.create(draft(id, "body")).await.unwrap();
        }
        let mut change = Some(change);
        let spoil = |phase, records| {
            if (phase, records) == (Phase::Write, 3)
                && let Some(change) = change.take()
            {
                at_once(to.apply(vec![change])).unwrap();
            }
        };
        let error = copy(&from, &to, &CopyOptions::default(), spoil)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Internal);
        assert!(error.to_string().contains(told), "{error:?}");
    }
}

#[tokio::test]
async fn what_expires_on_the_way_is_not_missed() {
    let (from, to, clock) = stores();
    from.create(draft("stays", "")).await.unwrap();
    let soon = draft("soon", "").expires_at(START + 5_000);
    from.create(soon).await.unwrap();
    let expire = |phase, records| {
        if (phase, records) == (Phase::Write, 2) {
            clock.set(START + 5_000);
        }
    };
    let report = copy(&from, &to, &CopyOptions::default(), expire)
        .await
        .unwrap();
    assert_eq!((report.records, report.expired), (2, 1));
    let left: Vec<_> = all(&to)
        .await
        .iter()
        .map(|stored| stored.key().clone())
        .collect();
    assert_eq!(left, [key("stays")]);
}

#[tokio::test]
async fn a_store_is_not_copied_onto_itself() {
    let place = ModelPlace::new(std::sync::Arc::new(ManualClock::new(START)));
    let same = place.another().store();
    let error = copied(&place.store(), &same).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("are the same store"), "{error}");
}

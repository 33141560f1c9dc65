//! Resuming after a restart: what was running is found, and each entity has one owner at a time.

use std::collections::BTreeSet;
use std::time::Duration;

use mortise_agent::{Claim, Lease, Resume, Scope};
use mortise_store::{Draft, ErrorKind, Key, Store};

use crate::{START, all, jobs, put, store, stored};

const MINUTE: Duration = Duration::from_secs(60);

/// Resumes jobs, of which these are there: their states.
async fn resume(store: &Store, states: &[&str]) -> Resume {
    for (number, state) in states.iter().enumerate() {
        put(store, &format!("{state}-{number}"), state).await;
    }
    Resume::new(jobs(store))
}

async fn taken(resume: &Resume, id: &str, owner: &str) -> Lease {
    match resume.claim(id, owner, MINUTE).await.unwrap() {
        Claim::Taken(lease) => *lease,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_was_running_is_found_page_by_page() {
    let (store, _) = store();
    let states = [
        "cancelling",
        "stopped",
        "in_progress",
        "completed",
        "in_progress",
        "failed",
    ];
    let resume = resume(&store, &states).await;
    for limit in [1, 2, 100] {
        for (scope, expected) in [
            (
                Scope::Running,
                vec!["in_progress-2", "in_progress-4", "cancelling-0"],
            ),
            (
                Scope::States(vec!["failed".into(), "stopped".into()]),
                vec!["failed-5", "stopped-1"],
            ),
        ] {
            let (mut ids, mut after) = (Vec::new(), None::<String>);
            loop {
                let page = resume.list(&scope, after.as_deref(), limit).await.unwrap();
                assert!(page.ids.len() <= limit as usize);
                ids.extend(page.ids);
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
            assert_eq!(ids, expected, "{limit}");
        }
    }
    let error = resume.running(Some("9:"), 2).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
}

#[tokio::test]
async fn a_claim_is_of_one_owner_until_it_runs_out() {
    let (store, clock) = store();
    let resume = resume(&store, &["awaiting", "stopped"]).await;
    let id = "awaiting-0";
    let mut first = taken(&resume, id, "a").await;
    assert_eq!(
        (first.holder().owner.as_str(), first.holder().until),
        ("a", START + 60_000)
    );
    for owner in ["b", "a"] {
        match resume.claim(id, owner, MINUTE).await.unwrap() {
            Claim::Held(holder) => assert_eq!(&holder, first.holder()),
            other => panic!("{other:?}"),
        }
    }
    match resume.claim("stopped-1", "b", MINUTE).await.unwrap() {
        Claim::NotRunning(state) => assert_eq!(state.as_deref(), Some("stopped")),
        other => panic!("{other:?}"),
    }
    let nobody = resume.claim("nobody", "b", MINUTE).await.unwrap();
    assert!(matches!(nobody, Claim::Absent), "{nobody:?}");
    // Renewed, it lasts from then on; not renewed, it runs out, and is another's.
    clock.advance(50_000);
    first.renew().await.unwrap();
    clock.advance(50_000);
    let held = resume.claim(id, "b", MINUTE).await.unwrap();
    assert!(matches!(held, Claim::Held(_)), "{held:?}");
    clock.advance(10_000);
    let second = taken(&resume, id, "b").await;
    let holders = resume
        .holders(&[id.to_owned(), "stopped-1".to_owned()])
        .await;
    assert_eq!(holders.unwrap(), [Some(second.holder().clone()), None]);
}

#[tokio::test]
async fn who_comes_late_writes_nothing() {
    let (store, clock) = store();
    let resume = resume(&store, &["in_progress"]).await;
    let mut late = taken(&resume, "in_progress-0", "late").await;
    clock.advance(60_000);
    let mut next = taken(&resume, "in_progress-0", "next").await;
    let before = all(&store).await;
    for error in [
        late.renew().await.unwrap_err(),
        late.handle_event("successfully_done").await.unwrap_err(),
        late.transition("awaiting").await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Conflict);
        assert!(
            error.to_string().contains("ran out, or was taken over"),
            "{error}"
        );
    }
    late.release().await.unwrap();
    assert_eq!(all(&store).await, before);
    let made = next.handle_event("successfully_done").await.unwrap();
    assert_eq!(made.transition.by, "next");
}

/// A store may keep records for longer than they ask for: a lease runs out when it says.
#[tokio::test]
async fn a_lease_runs_out_also_where_records_live_longer() {
    let (store, clock) = store();
    let resume = resume(&store, &["in_progress"]).await;
    let ids = ["in_progress-0".to_owned()];
    let body = format!(r#"{{"owner":"a","until":{}}}"#, START + 60_000);
    let lease = Draft::new(Key::new("job.lease", &ids[0]), body);
    store.create(lease).await.unwrap();
    clock.advance(59_999);
    let claim = resume.claim(&ids[0], "b", MINUTE).await.unwrap();
    assert!(matches!(claim, Claim::Held(holder) if holder.owner == "a"));
    clock.advance(1);
    assert_eq!(resume.holders(&ids).await.unwrap(), [None]);
    taken(&resume, &ids[0], "b").await;
    let holders = resume.holders(&ids).await.unwrap();
    assert_eq!(holders[0].as_ref().unwrap().owner, "b");
}

#[tokio::test]
async fn work_under_a_lease_renews_it_and_the_end_gives_it_back() {
    let (store, clock) = store();
    let resume = resume(&store, &["in_progress"]).await;
    let id = "in_progress-0";
    let mut lease = taken(&resume, id, "a").await;
    for event in ["awaiting_on_input", "input_received"] {
        clock.advance(40_000);
        let made = lease.handle_event(event).await.unwrap();
        assert_eq!(lease.entity(), &made.entity);
    }
    assert_eq!(lease.holder().until, START + 80_000 + 60_000);
    let refused = lease.handle_event("start_work").await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidTransition);
    lease.transition("completed").await.unwrap();
    assert_eq!(stored(&store, "job.lease", id).await, None);
    let states = jobs(&store).history(id).await.unwrap().into_iter();
    let states: Vec<_> = states.map(|step| step.to).collect();
    assert_eq!(states, ["awaiting", "in_progress", "completed"]);
}

/// Four hosts start at once: each entity is resumed by exactly one.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_hosts_one_gets_each() {
    let (store, _) = store();
    let states: Vec<_> = ["in_progress", "awaiting", "completed"].repeat(20);
    resume(&store, &states).await;
    let hosts = (0..4).map(|host| {
        let resume = Resume::new(jobs(&store));
        tokio::spawn(async move {
            let mut got = Vec::new();
            loop {
                let owner = format!("host-{host}");
                let leases = resume.take_over(&owner, MINUTE, 5).await.unwrap();
                if leases.is_empty() {
                    return got;
                }
                got.extend(leases.into_iter().map(|lease| lease.id().to_owned()));
            }
        })
    });
    let (mut all, mut count) = (BTreeSet::new(), 0);
    for host in hosts.collect::<Vec<_>>() {
        let got = host.await.unwrap();
        count += got.len();
        all.extend(got);
    }
    assert_eq!((all.len(), count), (40, 40));
}

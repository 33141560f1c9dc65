//! Resuming after a restart: what was running is found, and each entity has one owner at a time.

use std::collections::BTreeSet;
use std::time::Duration;

use mortise::agent::{AgentTask, Claim, Lease, Lifecycle, Machine, Resume, Scope, TaskStore};
use mortise::{ErrorKind, Key};

use super::support::jobs::{MINUTE, resume, save_jobs};
use super::support::{Fixture, START, export_all, on_every_backend};

async fn all_pages(resume: &Resume, scope: &Scope, limit: u32) -> Vec<String> {
    let (mut ids, mut after) = (Vec::new(), None::<String>);
    loop {
        let page = resume.list(scope, after.as_deref(), limit).await.unwrap();
        assert!(page.ids.len() <= limit as usize);
        ids.extend(page.ids);
        after = page.next;
        if after.is_none() {
            return ids;
        }
    }
}

async fn taken(resume: &Resume, id: &str, owner: &str) -> Lease {
    match resume.claim(id, owner, MINUTE).await.unwrap() {
        Claim::Taken(lease) => *lease,
        other => panic!("{other:?}"),
    }
}

on_every_backend! {
    async fn what_was_running_is_found_page_by_page(fixture: Fixture) {
        let resume = resume(&fixture.store);
        assert!(all_pages(&resume, &Scope::Running, 10).await.is_empty());
        let states = [("stopped", 5), ("in_progress", 7), ("completed", 9), ("cancelling", 3), ("failed", 2)];
        save_jobs(&fixture.store, &states).await;
        let of = |state: &str, count: usize| (0..count).map(|n| format!("{state}-{n:03}")).collect::<Vec<_>>();
        for limit in [1, 3, 100] {
            let running = all_pages(&resume, &Scope::Running, limit).await;
            assert_eq!(running, [of("in_progress", 7), of("cancelling", 3)].concat());
            let some = Scope::States(vec!["failed".into(), "unheard-of".into(), "stopped".into()]);
            assert_eq!(all_pages(&resume, &some, limit).await, [of("failed", 2), of("stopped", 5)].concat());
            assert_eq!(all_pages(&resume, &Scope::All, limit).await.len(), 26);
        }
        let page = resume.running(None, 2).await.unwrap();
        assert_eq!(page.entities[1].text("id").unwrap(), "in_progress-001");
        for odd in ["", "x", "9:", "0", "-1:a"] {
            let error = resume.running(Some(odd), 2).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid, "{odd}: {error}");
        }
    }

    async fn a_claim_is_of_one_owner_until_it_runs_out(fixture: Fixture) {
        let resume = resume(&fixture.store);
        save_jobs(&fixture.store, &[("awaiting", 1), ("stopped", 1)]).await;
        let id = "awaiting-000";
        let mut first = taken(&resume, id, "a").await;
        assert_eq!((first.holder().owner.as_str(), first.holder().until), ("a", START + 60_000));
        assert_eq!(first.entity().text("id").unwrap(), id);
        for owner in ["b", "a"] {
            match resume.claim(id, owner, MINUTE).await.unwrap() {
                Claim::Held(holder) => assert_eq!(&holder, first.holder()),
                other => panic!("{other:?}"),
            }
        }
        assert!(matches!(resume.claim("stopped-000", "b", MINUTE).await.unwrap(), Claim::NotRunning(Some(state)) if state == "stopped"));
        assert!(matches!(resume.claim("nobody", "b", MINUTE).await.unwrap(), Claim::Absent));
        // Renewed, it lasts from then on.
        fixture.clock.advance(50_000);
        first.renew().await.unwrap();
        fixture.clock.advance(50_000);
        assert!(matches!(resume.claim(id, "b", MINUTE).await.unwrap(), Claim::Held(_)));
        // Not renewed, it runs out, and is another's.
        fixture.clock.advance(10_000);
        let second = taken(&resume, id, "b").await;
        assert_eq!(second.holder().owner, "b");
        let holders = resume.holders(&[id.to_owned(), "stopped-000".to_owned()]).await.unwrap();
        assert_eq!(holders, [Some(second.holder().clone()), None]);
    }

    /// A host that was stopped for longer than its lease finds that others went on, and does no harm.
    async fn who_comes_late_writes_nothing(fixture: Fixture) {
        let resume = resume(&fixture.store);
        save_jobs(&fixture.store, &[("in_progress", 2)]).await;
        let mut late = taken(&resume, "in_progress-000", "late").await;
        let mut alone = taken(&resume, "in_progress-001", "alone").await;
        fixture.clock.advance(60_000);
        let mut next = taken(&resume, "in_progress-000", "next").await;
        let before = export_all(&fixture.store).await;
        for error in [
            late.renew().await.unwrap_err(),
            late.handle_event("successfully_done").await.unwrap_err(),
            late.transition("awaiting").await.unwrap_err(),
            // Nobody took it, but it ran out.
            alone.renew().await.unwrap_err(),
            alone.handle_event("successfully_done").await.unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::Conflict);
            assert!(error.to_string().contains("ran out, or was taken over"), "{error}");
        }
        late.release().await.unwrap();
        assert_eq!(export_all(&fixture.store).await, before);
        next.handle_event("successfully_done").await.unwrap();
    }

    async fn work_under_a_lease_renews_it_and_the_end_gives_it_back(fixture: Fixture) {
        let resume = resume(&fixture.store);
        save_jobs(&fixture.store, &[("in_progress", 1)]).await;
        let id = "in_progress-000";
        let mut lease = taken(&resume, id, "a").await;
        for event in ["awaiting_on_input", "input_received"] {
            fixture.clock.advance(40_000);
            let made = lease.handle_event(event).await.unwrap();
            assert_eq!((made.transition.by.as_str(), made.transition.event.as_str()), ("a", event));
            assert_eq!(lease.entity(), &made.entity);
        }
        assert_eq!(lease.holder().until, START + 80_000 + 60_000);
        let refused = lease.handle_event("start_work").await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidTransition);
        lease.transition("completed").await.unwrap();
        assert!(fixture.store.load(&Key::new("job.lease", id)).await.unwrap().is_none());
        assert!(matches!(resume.claim(id, "b", MINUTE).await.unwrap(), Claim::NotRunning(Some(_))));
        lease.release().await.unwrap();
    }

    async fn what_is_given_back_is_free(fixture: Fixture) {
        let resume = resume(&fixture.store);
        save_jobs(&fixture.store, &[("in_progress", 1)]).await;
        taken(&resume, "in_progress-000", "a").await.release().await.unwrap();
        taken(&resume, "in_progress-000", "b").await;
    }

    /// Eight hosts start at once: each entity is resumed by exactly one.
    async fn of_many_hosts_one_gets_each(fixture: Fixture) {
        save_jobs(&fixture.store, &[("in_progress", 60), ("awaiting", 30), ("completed", 10)]).await;
        let hosts = (0..8).map(|host| {
            let resume = resume(&fixture.store);
            tokio::spawn(async move {
                let mut got = Vec::new();
                for _ in 0..20 {
                    let leases = resume.take_over(&format!("host-{host}"), MINUTE, 5).await.unwrap();
                    got.extend(leases.into_iter().map(|lease| lease.id().to_owned()));
                }
                got
            })
        });
        let (mut all, mut count) = (BTreeSet::new(), 0);
        for host in hosts.collect::<Vec<_>>() {
            let got = host.await.unwrap();
            count += got.len();
            all.extend(got);
        }
        assert_eq!((all.len(), count), (90, 90));
        assert!(resume(&fixture.store).take_over("late", MINUTE, 5).await.unwrap().is_empty());
    }

    async fn agent_tasks_are_claimed_by_their_own_id(fixture: Fixture) {
        let tasks = TaskStore::new(fixture.store.clone());
        tasks.create(&AgentTask::new("t")).await.unwrap();
        let lifecycle = Lifecycle::new(fixture.store.clone(), "task", Machine::agent_task());
        let leases = Resume::new(lifecycle).take_over("a", MINUTE, 10).await.unwrap();
        assert_eq!(leases.iter().map(Lease::id).collect::<Vec<_>>(), ["t"]);
    }

    async fn a_claim_has_an_owner_and_a_duration(fixture: Fixture) {
        let resume = resume(&fixture.store);
        save_jobs(&fixture.store, &[("in_progress", 1)]).await;
        for (owner, lease, told) in [
            ("", MINUTE, "has no name"),
            ("a", Duration::from_micros(10), "less than a millisecond"),
        ] {
            let error = resume.claim("in_progress-000", owner, lease).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid);
            assert!(error.to_string().contains(told), "{error}");
        }
        // The longest there is.
        let forever = resume.claim("in_progress-000", "a", Duration::MAX).await.unwrap();
        assert!(matches!(forever, Claim::Taken(_)));
    }
}

/// The backend keeps records for an hour, whatever they ask for: a lease runs out when it says.
#[tokio::test]
async fn a_lease_runs_out_also_where_records_live_longer() {
    let fixture = Fixture::with("redis", "ttl=1h&ttl-policy=on-write").await;
    let resume = resume(&fixture.store);
    save_jobs(&fixture.store, &[("in_progress", 1)]).await;
    let mut late = taken(&resume, "in_progress-000", "a").await;
    fixture.clock.advance(60_000);
    taken(&resume, "in_progress-000", "b").await;
    assert_eq!(late.renew().await.unwrap_err().kind(), ErrorKind::Conflict);
}

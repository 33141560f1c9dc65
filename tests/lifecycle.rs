//! The lifecycle of entities: nine transitions, no other, and a history that agrees.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};
use std::time::Duration;

use mortise::agent::{
    AgentTask, EntityStore, Job, Lifecycle, Machine, Move, Object, RefusalReason, TaskQuery,
    TaskStatus, TaskStore, Transition,
};
use mortise::{Attribute, Draft, ErrorKind, Key, Query, Store, Write};

use super::support::{Fixture, find_all, host, name_of_test, on_every_backend};

/// The nine transitions, written down once more.
const TRANSITIONS: [(&str, &str, &str); 9] = [
    ("stopped", "start_work", "in_progress"),
    ("in_progress", "successfully_done", "completed"),
    ("in_progress", "awaiting_on_input", "awaiting"),
    ("in_progress", "cancel_requested", "cancelling"),
    ("in_progress", "error_encountered", "failed"),
    ("awaiting", "timeout_or_error", "failed"),
    ("awaiting", "input_received", "in_progress"),
    ("awaiting", "cancel_while_waiting", "cancelling"),
    ("cancelling", "cancel_confirmed", "cancelled"),
];
const STATES: [&str; 7] = [
    "stopped",
    "in_progress",
    "awaiting",
    "cancelling",
    "cancelled",
    "completed",
    "failed",
];
const FINAL: [&str; 3] = ["completed", "failed", "cancelled"];

fn jobs(store: &Store) -> Lifecycle {
    Lifecycle::new(store.clone(), "job", Machine::entity())
}

/// Puts an entity into a state, whatever it was in.
async fn put(store: &Store, id: &str, status: &str) {
    let body = format!(r#"{{"id":"{id}","status":"{status}","cost":0.10}}"#);
    let draft = Draft::new(Key::new("job", id), body).attribute("status", status);
    store.apply(vec![Write::put(draft)]).await.unwrap();
}

async fn get(store: &Store, collection: &str, id: &str) -> Object {
    let entities = EntityStore::new(store.clone());
    entities.get(collection, id).await.unwrap().unwrap().value
}

on_every_backend! {
    /// The whole table, 7 states by 9 events: nine lead on, 54 are refused.
    async fn every_event_in_every_state(fixture: Fixture) {
        let (store, jobs) = (&fixture.store, jobs(&fixture.store));
        let (mut made, mut refused) = (0, 0);
        for state in STATES {
            for (_, event, _) in TRANSITIONS {
                let id = format!("{state}-{event}");
                put(store, &id, state).await;
                let before = store.load(&Key::new("job", &id)).await.unwrap();
                let leads = TRANSITIONS.iter().find(|(from, name, _)| (*from, *name) == (state, event));
                let led = jobs.handle_event(&id, event, "w").await;
                let history = jobs.history(&id).await.unwrap();
                match (leads, led) {
                    (Some((_, _, to)), Ok(led)) => {
                        made += 1;
                        assert_eq!((led.transition.from.as_str(), led.transition.to.as_str()), (state, *to));
                        assert_eq!(history, [led.transition]);
                        assert_eq!(led.entity.text("status").unwrap(), *to);
                    }
                    (None, Err(error)) => {
                        refused += 1;
                        assert_eq!(error.kind(), ErrorKind::InvalidTransition);
                        let refusal = error.transition_refusal().unwrap();
                        assert_eq!(refusal.state.as_deref(), Some(state));
                        assert_eq!(refusal.asked, Move::Event(event.to_owned()));
                        let expected = match FINAL.contains(&state) {
                            true => RefusalReason::Final,
                            false => RefusalReason::NotAllowed,
                        };
                        assert_eq!(refusal.reason, expected);
                        let allowed = TRANSITIONS.iter().filter(|(from, _, _)| *from == state);
                        let allowed: Vec<_> = allowed.map(|(_, e, to)| ((*e).to_owned(), (*to).to_owned())).collect();
                        assert_eq!(refusal.allowed, allowed);
                        assert!(history.is_empty());
                        assert_eq!(store.load(&Key::new("job", &id)).await.unwrap(), before);
                    }
                    (leads, led) => panic!("{id}: {leads:?}, but {led:?}"),
                }
            }
        }
        assert_eq!((made, refused), (9, 54));
    }

    /// The same by the state that is asked for: 7 by 7.
    async fn every_state_from_every_state(fixture: Fixture) {
        let (store, jobs) = (&fixture.store, jobs(&fixture.store));
        for from in STATES {
            for to in STATES {
                let id = format!("{from}-{to}");
                put(store, &id, from).await;
                let leads = TRANSITIONS.iter().find(|(start, _, end)| (*start, *end) == (from, to));
                match (leads, jobs.transition(&id, to, "w").await) {
                    (Some((_, event, _)), Ok(led)) => assert_eq!(led.transition.event, *event),
                    (None, Err(error)) => {
                        let refusal = error.transition_refusal().unwrap();
                        assert_eq!(refusal.asked, Move::To(to.to_owned()));
                        assert_eq!(get(store, "job", &id).await.text("status").unwrap(), from);
                    }
                    (leads, led) => panic!("{id}: {leads:?}, but {led:?}"),
                }
            }
        }
    }

    async fn a_transition_is_told_by_who_what_and_when(fixture: Fixture) {
        let (store, jobs) = (&fixture.store, jobs(&fixture.store));
        put(store, "j", "stopped").await;
        jobs.handle_event("j", "start_work", "worker-1").await.unwrap();
        fixture.clock.advance(1_500);
        let done = jobs.handle_event("j", "successfully_done", "worker-2").await.unwrap();
        let told: Vec<_> = jobs.history("j").await.unwrap().into_iter().map(|t| [t.by, t.from, t.to, t.event, t.at]).collect();
        assert_eq!(told, [
            ["worker-1", "stopped", "in_progress", "start_work", "2026-01-01T00:00:00.000Z"],
            ["worker-2", "in_progress", "completed", "successfully_done", "2026-01-01T00:00:01.500Z"],
        ]);
        let job = get(store, "job", "j").await;
        assert_eq!(job, done.entity.value);
        assert_eq!(
            serde_json::to_string(&job).unwrap(),
            r#"{"id":"j","status":"completed","cost":0.10,"finished_at":"2026-01-01T00:00:01.500Z"}"#
        );
        let entities = EntityStore::new(store.clone());
        assert_eq!(entities.count_by("job", "status", "completed").await.unwrap(), 1);
        assert_eq!(entities.count_by("job", "status", "stopped").await.unwrap(), 0);
    }

    async fn a_history_is_read_page_by_page(fixture: Fixture) {
        let (store, jobs) = (&fixture.store, jobs(&fixture.store));
        put(store, "j", "in_progress").await;
        for event in ["awaiting_on_input", "input_received", "cancel_requested", "cancel_confirmed"] {
            jobs.handle_event("j", event, "w").await.unwrap();
        }
        let first = jobs.history_page("j", None, 3).await.unwrap();
        let second = jobs.history_page("j", first.next, 3).await.unwrap();
        let states = first.transitions.iter().chain(&second.transitions).map(|step| step.to.as_str());
        assert_eq!(states.collect::<Vec<_>>(), ["awaiting", "in_progress", "cancelling", "cancelled"]);
        assert_eq!(second.next, None);
    }

    async fn of_many_who_want_one_transition_one_makes_it(fixture: Fixture) {
        let (store, jobs) = (&fixture.store, jobs(&fixture.store));
        for round in 0..10 {
            let id = format!("j-{round}");
            put(store, &id, "stopped").await;
            let workers = (0..8).map(|worker| {
                let (jobs, id) = (jobs.clone(), id.clone());
                tokio::spawn(async move { jobs.handle_event(&id, "start_work", &format!("w-{worker}")).await })
            });
            let mut made = Vec::new();
            for worker in workers.collect::<Vec<_>>() {
                match worker.await.unwrap() {
                    Ok(led) => made.push(led.transition),
                    Err(error) => assert_eq!(
                        error.transition_refusal().unwrap().state.as_deref(),
                        Some("in_progress")
                    ),
                }
            }
            assert_eq!(made.len(), 1);
            assert_eq!(jobs.history(&id).await.unwrap(), made);
        }
    }

    /// A save that comes between changes another field: the transition is made on top of it.
    async fn a_transition_and_saves_are_both_kept(fixture: Fixture) {
        let (store, jobs) = (&fixture.store, jobs(&fixture.store));
        put(store, "j", "in_progress").await;
        let entities = EntityStore::new(store.clone());
        let saver = tokio::spawn(async move {
            for count in 0..20 {
                let change = serde_json::from_str(&format!(r#"{{"id":"j","count":{count}}}"#)).unwrap();
                entities.save("job", &change).await.unwrap();
            }
        });
        for _ in 0..10 {
            jobs.handle_event("j", "awaiting_on_input", "w").await.unwrap();
            jobs.handle_event("j", "input_received", "w").await.unwrap();
        }
        saver.await.unwrap();
        assert_eq!(get(store, "job", "j").await.get("count").unwrap().as_str(), "19");
        assert_eq!(jobs.history("j").await.unwrap().len(), 20);
    }

    async fn agent_tasks_have_theirs(fixture: Fixture) {
        let tasks = TaskStore::new(fixture.store.clone());
        let mut task = AgentTask::new("t");
        task.push_text("r-1", "user", "hello");
        tasks.create(&task).await.unwrap();
        let lifecycle = Lifecycle::new(fixture.store.clone(), "task", Machine::agent_task());
        for event in ["pause", "resume", "complete"] {
            lifecycle.handle_event("t", event, "w").await.unwrap();
        }
        let done = tasks.load_by_request_id("r-1").await.unwrap().unwrap();
        assert_eq!(done.status, TaskStatus::Completed);
        assert_eq!(done.last_updated, "2026-01-01T00:00:00.000Z");
        assert_eq!(done.items, task.items);
        let query = TaskQuery { status: Some(TaskStatus::Completed), ..TaskQuery::default() };
        assert_eq!(tasks.list(query).await.unwrap().tasks.len(), 1);
        let error = lifecycle.handle_event("t", "cancel", "w").await.unwrap_err();
        assert_eq!(error.transition_refusal().unwrap().reason, RefusalReason::Final);
    }

    async fn tasks_of_a2a_have_theirs(fixture: Fixture) {
        let entities = EntityStore::new(fixture.store.clone());
        let task = r#"{"id":"t","contextId":"c","status":{"state":"submitted","message":{"parts":[]}},"kind":"task"}"#;
        entities.save("a2a", &serde_json::from_str(task).unwrap()).await.unwrap();
        let lifecycle = Lifecycle::new(fixture.store.clone(), "a2a", Machine::a2a_task());
        for state in ["working", "input-required", "working", "auth-required", "working", "completed"] {
            lifecycle.transition("t", state, "agent").await.unwrap();
        }
        let found = entities.find_by("a2a", "status", "completed").await.unwrap();
        assert_eq!(
            serde_json::to_string(&found[0].value).unwrap(),
            r#"{"id":"t","contextId":"c","status":{"state":"completed","message":{"parts":[]},"timestamp":"2026-01-01T00:00:00.000Z"},"kind":"task"}"#
        );
        for state in ["working", "canceled", "rejected", "failed", "submitted"] {
            let error = lifecycle.transition("t", state, "agent").await.unwrap_err();
            assert_eq!(error.transition_refusal().unwrap().reason, RefusalReason::Final);
        }
    }

    async fn a_platform_defines_its_own(fixture: Fixture) {
        let machine: Machine = serde_json::from_str(
            r#"{"name":"order","status":"at","initial":"open","running":[],"final":["shipped"],
                "finished_at":"log.closed","transitions":[["open","ship","shipped"]]}"#,
        ).unwrap();
        let entities = EntityStore::new(fixture.store.clone());
        entities.save("order", &serde_json::from_str(r#"{"id":"o","at":"open"}"#).unwrap()).await.unwrap();
        let orders = Lifecycle::new(fixture.store.clone(), "order", &machine);
        let led = orders.handle_event("o", "ship", "w").await.unwrap();
        assert_eq!(
            serde_json::to_string(&led.entity.value).unwrap(),
            r#"{"id":"o","at":"shipped","log":{"closed":"2026-01-01T00:00:00.000Z"}}"#
        );
        assert_eq!(entities.find_by("order", "status", "shipped").await.unwrap().len(), 1);
    }

    async fn what_cannot_be_led_is_told(fixture: Fixture) {
        let (store, jobs) = (&fixture.store, jobs(&fixture.store));
        let error = jobs.handle_event("nobody", "start_work", "w").await.unwrap_err();
        assert_eq!((error.kind(), error.key().unwrap().id.as_str()), (ErrorKind::NotFound, "nobody"));
        for (id, body, reason, told) in [
            ("none", r#"{"id":"none"}"#, RefusalReason::UnknownState, "it tells no state"),
            ("odd", r#"{"status":"dreaming"}"#, RefusalReason::UnknownState, "\"dreaming\" is not one of its lifecycle's"),
            ("event", r#"{"status":"stopped"}"#, RefusalReason::UnknownMove, "its lifecycle does not know the event \"fly\"; expected start_work"),
        ] {
            store.create(Draft::new(Key::new("job", id), body)).await.unwrap();
            let error = jobs.handle_event(id, "fly", "w").await.unwrap_err();
            assert_eq!(error.transition_refusal().unwrap().reason, reason);
            assert!(error.to_string().contains(told), "{error}");
        }
        store.create(Draft::new(Key::new("job", "list"), "[]")).await.unwrap();
        let error = jobs.handle_event("list", "start_work", "w").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        let flat = Lifecycle::new(store.clone(), "job", &serde_json::from_str::<Machine>(
            r#"{"name":"m","initial":"stopped","running":[],"final":["on"],"changed_at":"status.at","transitions":[["stopped","go","on"]]}"#,
        ).unwrap());
        let error = flat.handle_event("event", "go", "w").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().contains("a field on the path is no object"), "{error}");
        assert!(flat.history("event").await.unwrap().is_empty());
    }
}

/// 10,000 entities, 8 workers that race each other through the events: every history leads to the state.
async fn histories_and_states_agree(fixture: Fixture) {
    const ENTITIES: usize = 10_000;
    const WORKERS: usize = 8;
    let (store, jobs) = (fixture.store.clone(), jobs(&fixture.store));
    let id = |number: usize| format!("job-{number:05}");
    for first in (0..ENTITIES).step_by(500) {
        let batch = (first..first + 500).map(|number| {
            let body = serde_json::to_vec(&Job::new(id(number), "n", "a")).unwrap();
            Write::create(
                Draft::new(Key::new("job", id(number)), body).attribute("status", "stopped"),
            )
        });
        store.apply(batch.collect()).await.unwrap();
    }
    let workers = (0..WORKERS).map(|worker| {
        let jobs = jobs.clone();
        tokio::spawn(async move {
            let (by, mut made) = (format!("worker-{worker}"), 0);
            for number in 0..ENTITIES {
                // All start the same entity, and each then goes its own way.
                let mut events = vec!["start_work"];
                if (number + worker) % 4 == 0 {
                    events.push(TRANSITIONS[1 + (number / 4 + worker) % 8].1);
                }
                for event in events {
                    match jobs.handle_event(&id(number), event, &by).await {
                        Ok(_) => made += 1,
                        Err(error) => assert_eq!(error.kind(), ErrorKind::InvalidTransition),
                    }
                }
            }
            made
        })
    });
    let mut made = 0;
    for worker in workers.collect::<Vec<_>>() {
        made += worker.await.unwrap();
    }
    assert_eq!(replay(&store, "stopped").await, made);
    assert!(
        made > ENTITIES,
        "each was started, and some went on: {made}"
    );
}

/// Every history leads from `initial` to the state that its entity and its attribute tell; how many
/// transitions there were.
async fn replay(store: &Store, initial: &str) -> usize {
    let every = |collection: &str| find_all(store, Query::new(collection).limit(1_000));
    let (mut states, mut replayed) = (BTreeMap::new(), BTreeMap::new());
    for stored in every("job").await.unwrap() {
        let entity: Object = serde_json::from_slice(&stored.draft.body).unwrap();
        let status = entity.text("status").unwrap();
        assert_eq!(stored.draft.attributes, [Attribute::new("status", &status)]);
        replayed.insert(stored.draft.key.id.clone(), initial.to_owned());
        states.insert(stored.draft.key.id, status);
    }
    let history = every("job.history").await.unwrap();
    for stored in &history {
        let step: Transition = serde_json::from_slice(&stored.draft.body).unwrap();
        let state = replayed.get_mut(&step.entity).unwrap();
        assert_eq!(*state, step.from, "{step:?}");
        let arrow = (step.from.as_str(), step.event.as_str(), step.to.as_str());
        assert!(TRANSITIONS.contains(&arrow));
        *state = step.to;
    }
    assert_eq!(replayed, states);
    history.len()
}

mod many {
    use super::{Fixture, histories_and_states_agree};

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn memory() {
        histories_and_states_agree(Fixture::new("memory").await).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn sqlite() {
        histories_and_states_agree(Fixture::new("sqlite").await).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn redis() {
        histories_and_states_agree(Fixture::new("redis").await).await;
    }
}

const DATABASE: &str = "MORTISE_TEST_DATABASE";

/// Leads entities to and fro until it is killed.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a process of the tests of this file"]
async fn worker_leads() {
    let host = host().build().unwrap();
    let url = format!("sqlite:{}?deadline=30s", std::env::var(DATABASE).unwrap());
    let jobs = jobs(&host.open(&url).await.unwrap());
    writeln!(std::io::stdout(), "ready").unwrap();
    let mut workers = tokio::task::JoinSet::<()>::new();
    for worker in 0..8 {
        let jobs = jobs.clone();
        workers.spawn(async move {
            loop {
                let id = format!("j-{}", fastrand::u8(0..10));
                let event = ["awaiting_on_input", "input_received"][fastrand::usize(0..2)];
                match jobs.handle_event(&id, event, &format!("w-{worker}")).await {
                    Ok(_) => {}
                    Err(error) => assert_eq!(error.kind(), ErrorKind::InvalidTransition),
                }
            }
        });
    }
    workers.join_all().await;
}

/// A process that leads entities is killed at some instant, again and again.
#[tokio::test(flavor = "multi_thread")]
async fn a_crash_leaves_state_and_history_in_step() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("jobs.db");
    let host = host().build().unwrap();
    let url = format!("sqlite:{}?deadline=30s", database.display());
    let store = host.open(&url).await.unwrap();
    for number in 0..10 {
        put(&store, &format!("j-{number}"), "in_progress").await;
    }
    let mut made = 0;
    for _ in 0..10 {
        let mut worker = Command::new(std::env::current_exe().unwrap())
            .args([
                &*name_of_test(module_path!(), "worker_leads"),
                "--exact",
                "--ignored",
                "--nocapture",
            ])
            .env(DATABASE, &database)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(worker.stdout.as_mut().unwrap()).lines();
        let ready = lines
            .map(Result::unwrap)
            .find(|line| line.contains("ready"));
        assert!(ready.is_some());
        // The instant is any.
        tokio::time::sleep(Duration::from_micros(fastrand::u64(1_000..60_000))).await;
        worker.kill().unwrap();
        worker.wait().unwrap();
        let now = replay(&store, "in_progress").await;
        assert!(now >= made);
        made = now;
    }
    assert!(made > 0);
}

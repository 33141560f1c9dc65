//! The lifecycle of entities: nine transitions, no other, and a history that agrees.

use mortise::agent::{
    AgentTask, EntityStore, Lifecycle, Machine, Move, Object, RefusalReason, TaskQuery, TaskStatus,
    TaskStore,
};
use mortise::{Draft, ErrorKind, Key, Store};

use super::support::jobs::{TRANSITIONS, jobs, put};
use super::support::on_every_backend;

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

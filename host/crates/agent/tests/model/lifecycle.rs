//! Lifecycles: every transition by compare-and-set, with a history that agrees.

use mortise_agent::{
    AgentTask, EntityStore, Lifecycle, Machine, Move, RefusalReason, TaskStatus, TaskStore,
};
use mortise_store::{Draft, ErrorKind, Key};

use crate::{all, jobs, object, put, store, stored};

#[tokio::test]
async fn a_transition_is_kept_and_told_by_who_what_and_when() {
    let (store, clock) = store();
    put(&store, "j", "stopped").await;
    let jobs = jobs(&store);
    jobs.handle_event("j", "start_work", "w-1").await.unwrap();
    clock.advance(1_500);
    let done = jobs.transition("j", "completed", "w-2").await.unwrap();
    let history = jobs.history("j").await.unwrap();
    assert_eq!(history[1], done.transition);
    let told = history
        .into_iter()
        .map(|step| [step.by, step.from, step.event, step.to, step.at]);
    assert_eq!(
        told.collect::<Vec<_>>(),
        [
            [
                "w-1",
                "stopped",
                "start_work",
                "in_progress",
                "2026-01-01T00:00:00.000Z"
            ],
            [
                "w-2",
                "in_progress",
                "successfully_done",
                "completed",
                "2026-01-01T00:00:01.500Z"
            ],
        ]
    );
    let kept = stored(&store, "job", "j").await.unwrap();
    assert_eq!(kept.revision(), done.entity.revision);
    assert_eq!(
        String::from_utf8(kept.draft.body).unwrap(),
        r#"{"id":"j","status":"completed","cost":0.10,"finished_at":"2026-01-01T00:00:01.500Z"}"#
    );
    let entities = EntityStore::new(store);
    assert_eq!(
        entities
            .count_by("job", "status", "completed")
            .await
            .unwrap(),
        1
    );
    assert_eq!(
        entities.count_by("job", "status", "stopped").await.unwrap(),
        0
    );
}

#[tokio::test]
async fn what_is_refused_is_explained_and_writes_nothing() {
    let (store, _) = store();
    for (id, state, event, reason, allowed) in [
        ("a", "completed", "start_work", RefusalReason::Final, vec![]),
        (
            "b",
            "stopped",
            "cancel_confirmed",
            RefusalReason::NotAllowed,
            vec!["start_work"],
        ),
        (
            "c",
            "stopped",
            "fly",
            RefusalReason::UnknownMove,
            vec!["start_work"],
        ),
        (
            "d",
            "dreaming",
            "start_work",
            RefusalReason::UnknownState,
            vec![],
        ),
    ] {
        put(&store, id, state).await;
        let before = all(&store).await;
        let error = jobs(&store).handle_event(id, event, "w").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidTransition);
        let refusal = error.transition_refusal().unwrap();
        assert_eq!(
            (refusal.state.as_deref(), refusal.reason),
            (Some(state), reason)
        );
        assert_eq!(refusal.asked, Move::Event(event.to_owned()));
        let events: Vec<_> = refusal
            .allowed
            .iter()
            .map(|(event, _)| event.as_str())
            .collect();
        assert_eq!(events, allowed);
        assert_eq!(all(&store).await, before);
    }
    let error = jobs(&store)
        .transition("nobody", "in_progress", "w")
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.key().unwrap().id.as_str()),
        (ErrorKind::NotFound, "nobody")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_who_want_one_transition_one_makes_it() {
    let (store, _) = store();
    for round in 0..20 {
        let id = format!("j-{round}");
        put(&store, &id, "stopped").await;
        let workers = (0..4).map(|worker| {
            let (jobs, id) = (jobs(&store), id.clone());
            let worker = format!("w-{worker}");
            tokio::spawn(async move { jobs.handle_event(&id, "start_work", &worker).await })
        });
        let mut made = Vec::new();
        for worker in workers.collect::<Vec<_>>() {
            match worker.await.unwrap() {
                Ok(led) => made.push(led.transition),
                Err(error) => {
                    let state = &error.transition_refusal().unwrap().state;
                    assert_eq!(state.as_deref(), Some("in_progress"));
                }
            }
        }
        assert_eq!(made.len(), 1);
        assert_eq!(jobs(&store).history(&id).await.unwrap(), made);
    }
}

#[tokio::test]
async fn a_history_is_read_page_by_page() {
    let (store, _) = store();
    put(&store, "j", "in_progress").await;
    let jobs = jobs(&store);
    for event in ["awaiting_on_input", "input_received", "cancel_requested"] {
        jobs.handle_event("j", event, "w").await.unwrap();
    }
    let first = jobs.history_page("j", None, 2).await.unwrap();
    let second = jobs.history_page("j", first.next, 2).await.unwrap();
    let steps = first.transitions.iter().chain(&second.transitions);
    let states: Vec<_> = steps.map(|step| step.to.as_str()).collect();
    assert_eq!(states, ["awaiting", "in_progress", "cancelling"]);
    assert_eq!((first.transitions.len(), second.next), (2, None));
}

#[tokio::test]
async fn tasks_and_what_a_platform_defines_have_machines_of_their_own() {
    let (store, _) = store();
    let tasks = TaskStore::new(store.clone());
    tasks.create(&AgentTask::new("t")).await.unwrap();
    let lifecycle = Lifecycle::new(store.clone(), "task", Machine::agent_task());
    for event in ["pause", "resume", "complete"] {
        lifecycle.handle_event("t", event, "w").await.unwrap();
    }
    let done = tasks.load("t").await.unwrap().unwrap();
    assert_eq!(done.status, TaskStatus::Completed);
    assert_eq!(done.last_updated, "2026-01-01T00:00:00.000Z");

    let entities = EntityStore::new(store.clone());
    let order = object(r#"{"id":"o","at":"open"}"#);
    entities.save("order", &order).await.unwrap();
    let machine: Machine = serde_json::from_str(
        r#"{"name":"order","status":"at","initial":"open","running":[],"final":["shipped"],
            "finished_at":"log.closed","transitions":[["open","ship","shipped"]]}"#,
    )
    .unwrap();
    let orders = Lifecycle::new(store, "order", &machine);
    let led = orders.handle_event("o", "ship", "w").await.unwrap();
    assert_eq!(
        serde_json::to_string(&led.entity.value).unwrap(),
        r#"{"id":"o","at":"shipped","log":{"closed":"2026-01-01T00:00:00.000Z"}}"#
    );
    let shipped = entities.find_by("order", "status", "shipped").await;
    assert_eq!(shipped.unwrap(), [led.entity]);
}

#[tokio::test]
async fn a_body_without_a_place_for_the_state_is_left_alone() {
    let (store, _) = store();
    let draft = Draft::new(Key::new("job", "list"), "[]");
    store.create(draft).await.unwrap();
    let error = jobs(&store)
        .handle_event("list", "start_work", "w")
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    let kept = stored(&store, "job", "list").await.unwrap();
    assert_eq!(
        (kept.draft.body.as_slice(), kept.revision()),
        (&b"[]"[..], 1)
    );
}

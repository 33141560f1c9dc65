//! Agent state on a store that a server has.

use mortise_agent::{AgentTask, EntityStore, Lifecycle, Machine, Object, TaskStatus, TaskStore};
use mortise_store::{ErrorKind, Key};
use serde_json::json;

use crate::{Serving, loaded, send};

const TASK: &str = r#"{"task_id":"t","session_id":"s","user_id":"u","items":[{"task_id":"t","request_id":"r","role":"user","item":{"content_type":"text","content":"h\u00e9"},"updated":"2025-06-02T13:05:53","extra":1.0}],"created_at":"2025-06-02T13:05:53.987503","last_updated":"2025-06-02T13:05:53Z","status":"Dreaming","big":123456789012345678901234567890}"#;

fn object(json: &str) -> Object {
    serde_json::from_str(json).unwrap()
}

#[tokio::test]
async fn a_task_goes_over_the_wire_to_the_byte() {
    let serving = Serving::new().await;
    let tasks = TaskStore::new(serving.connect().await);
    let task: AgentTask = serde_json::from_str(TASK).unwrap();
    tasks.create(&task).await.unwrap();
    let there = loaded(&serving.store, &Key::new("task", "t")).await;
    let kept = there.unwrap().draft.body;
    assert_eq!(String::from_utf8(kept).unwrap(), TASK);
    let found = tasks.load_by_request_id("r").await.unwrap().unwrap();
    assert_eq!(found.value, task);
    assert_eq!(tasks.load_by_request_id("t").await.unwrap(), None);
    assert_eq!(send(serving.get("tasks/t")).await.text, TASK);
}

#[tokio::test]
async fn a_change_of_a_task_is_made_on_what_others_wrote_meanwhile() {
    let serving = Serving::new().await;
    let ours = TaskStore::new(serving.connect().await);
    ours.create(&AgentTask::new("t")).await.unwrap();
    let mut seen = ours.load("t").await.unwrap().unwrap();
    let theirs = TaskStore::new(serving.connect().await);
    let theirs = theirs.modify("t", |task| task.push_text("r-1", "user", "wait"));
    let theirs = theirs.await.unwrap();
    let error = ours.update(&mut seen).await.unwrap_err();
    assert_eq!(error.current().unwrap().revision(), theirs.revision);
    let both = ours.modify("t", |task| task.status = TaskStatus::Paused);
    let both = both.await.unwrap();
    assert_eq!(
        (both.items.len(), &both.status),
        (1, &TaskStatus::Paused),
        "{both:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_save_of_several_clients_is_lost() {
    let serving = Serving::new().await;
    let mut savers = Vec::new();
    for saver in 0..4 {
        let entities = EntityStore::new(serving.connect().await);
        savers.push(tokio::spawn(async move {
            for count in 0..10 {
                let change = object(&format!(r#"{{"id":"j","by_{saver}":{count}}}"#));
                entities.save("job", &change).await.unwrap();
            }
        }));
    }
    for saver in savers {
        saver.await.unwrap();
    }
    let job = EntityStore::new(serving.store).get("job", "j").await;
    let job = job.unwrap().unwrap();
    for saver in 0..4 {
        let last = job.get(&format!("by_{saver}"));
        assert_eq!(last.map(|last| last.as_str()), Some("9"), "{job:?}");
    }
}

/// Whether the server makes a transition or a client does: the history is one.
#[tokio::test]
async fn a_job_is_led_by_clients_and_by_the_server() {
    let serving = Serving::new().await;
    let store = serving.connect().await;
    let entities = EntityStore::new(store.clone());
    let job = object(r#"{"id":"j","status":"stopped","cost":0.10}"#);
    entities.save("job", &job).await.unwrap();
    let jobs = Lifecycle::new(store, "job", Machine::entity());
    jobs.handle_event("j", "start_work", "w").await.unwrap();

    let events = "entities/job/j/events";
    let refused = send(serving.post(events, &json!({"event": "start_work"}))).await;
    assert_eq!(refused.problem(), (409, "invalid-transition"));
    assert_eq!(refused.json["state"], "in_progress");
    let done = json!({"event": "successfully_done", "by": "ann"});
    let done = send(serving.post(events, &done)).await;
    assert_eq!(done.json["transition"]["to"], "completed", "{done:?}");

    let error = jobs.handle_event("j", "start_work", "w").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidTransition);
    let refusal = error.transition_refusal().unwrap();
    assert_eq!(refusal.state.as_deref(), Some("completed"));
    let history = jobs.history("j").await.unwrap();
    let steps = history
        .iter()
        .map(|step| [&*step.by, &*step.from, &*step.to]);
    assert_eq!(
        steps.collect::<Vec<_>>(),
        [
            ["w", "stopped", "in_progress"],
            ["ann", "in_progress", "completed"]
        ]
    );
    let found = entities.find_by("job", "status", "completed").await;
    let found = found.unwrap();
    assert_eq!(found[0].get("cost").unwrap().as_str(), "0.10");
}

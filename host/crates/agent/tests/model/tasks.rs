//! Agent tasks: kept as they were written, found by each request.

use mortise_agent::{AgentTask, TaskQuery, TaskStatus, TaskStore};
use mortise_store::{Draft, ErrorKind, Key};

use crate::{START, at_once, store, stored};

const TASK: &str = r#"{"task_id":"t","session_id":"s","user_id":"u","items":[{"task_id":"t","request_id":"r","role":"user","item":{"content_type":"text","content":"h\u00e9"},"updated":"2025-06-02T13:05:53","extra":1.0}],"created_at":"2025-06-02T13:05:53.987503","last_updated":"2025-06-02T13:05:53Z","status":"Dreaming","big":123456789012345678901234567890}"#;

#[tokio::test]
async fn a_task_is_kept_to_the_byte_and_found_by_what_it_says() {
    let (store, _) = store();
    let tasks = TaskStore::new(store.clone());
    let task: AgentTask = serde_json::from_str(TASK).unwrap();
    tasks.create(&task).await.unwrap();
    let kept = stored(&store, "task", "t").await.unwrap().draft;
    assert_eq!(String::from_utf8(kept.body).unwrap(), TASK);
    let pairs = kept.attributes.iter();
    let pairs: Vec<_> = pairs
        .map(|pair| (pair.name.as_str(), pair.value.as_str()))
        .collect();
    assert_eq!(
        pairs,
        [
            ("status", "Dreaming"),
            ("session-id", "s"),
            ("request-id", "r")
        ]
    );
    assert_eq!(tasks.load("t").await.unwrap().unwrap().value, task);
    assert_eq!(tasks.load("other").await.unwrap(), None);
    let error = tasks.create(&task).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
}

#[tokio::test]
async fn the_request_index_follows_the_items() {
    let tasks = TaskStore::new(store().0);
    let mut task = AgentTask::new("t");
    task.push_text("r-1", "user", "hello");
    tasks.create(&task).await.unwrap();
    let mut task = tasks.load_by_request_id("r-1").await.unwrap().unwrap();
    task.push_text("r-2", "assistant", "hello yourself");
    task.items.remove(0);
    tasks.update(&mut task).await.unwrap();
    assert_eq!(tasks.load_by_request_id("r-1").await.unwrap(), None);
    let found = tasks.load_by_request_id("r-2").await.unwrap().unwrap();
    assert_eq!(found, task);
    // Of two tasks with one request, the older one answers.
    let mut second = AgentTask::new("a");
    second.push_text("r-2", "user", "me, too");
    tasks.create(&second).await.unwrap();
    let found = tasks.load_by_request_id("r-2").await.unwrap().unwrap();
    assert_eq!(found.task_id, "t");
}

#[tokio::test]
async fn tasks_are_listed_page_by_page() {
    let tasks = TaskStore::new(store().0);
    for number in 0..7 {
        let mut task = AgentTask::new(format!("t-{number}"));
        if number % 3 == 0 {
            task.status = TaskStatus::Paused;
        }
        tasks.create(&task).await.unwrap();
    }
    let mut query = TaskQuery {
        status: Some(TaskStatus::Paused),
        newest_first: true,
        limit: 2,
        ..TaskQuery::default()
    };
    let first = tasks.list(query.clone()).await.unwrap();
    query.after = first.next;
    let second = tasks.list(query).await.unwrap();
    let ids = [&first.tasks, &second.tasks].map(|page| {
        let ids = page.iter().map(|task| task.task_id.as_str());
        ids.collect::<Vec<_>>()
    });
    assert_eq!(ids, [vec!["t-6", "t-3"], vec!["t-0"]]);
    assert_eq!(second.next, None);
}

#[tokio::test]
async fn a_stale_task_is_not_written() {
    let tasks = TaskStore::new(store().0);
    tasks.create(&AgentTask::new("t")).await.unwrap();
    let mut mine = tasks.load("t").await.unwrap().unwrap();
    let mut theirs = mine.clone();
    theirs.status = TaskStatus::Paused;
    tasks.update(&mut theirs).await.unwrap();
    mine.status = TaskStatus::Failed;
    let before = mine.clone();
    let error = tasks.update(&mut mine).await.unwrap_err();
    assert!(error.is_conflict(), "{error}");
    assert_eq!(mine, before);
    assert_eq!(tasks.load("t").await.unwrap().unwrap(), theirs);
}

#[tokio::test]
async fn a_change_is_made_on_what_others_wrote_meanwhile() {
    let tasks = TaskStore::new(store().0);
    let mut task = AgentTask::new("t");
    task.push_text("r-1", "user", "hello");
    tasks.create(&task).await.unwrap();
    let mut made = 0;
    let changed = tasks.modify("t", |task| {
        made += 1;
        task.status = TaskStatus::Paused;
        if made == 1 {
            let mut theirs = at_once(tasks.load("t")).unwrap().unwrap();
            theirs.push_text("r-2", "user", "wait");
            at_once(tasks.update(&mut theirs)).unwrap();
        }
    });
    let changed = changed.await.unwrap();
    assert_eq!(made, 2);
    assert_eq!(
        (changed.items.len(), &changed.status),
        (2, &TaskStatus::Paused)
    );
    assert_eq!(tasks.load("t").await.unwrap().unwrap(), changed);
}

#[tokio::test]
async fn an_update_keeps_when_a_task_expires() {
    let (store, clock) = store();
    let tasks = TaskStore::new(store);
    tasks.create(&AgentTask::new("t")).await.unwrap();
    let mut task = tasks.load("t").await.unwrap().unwrap();
    task.expires_at = Some(START + 10);
    tasks.update(&mut task).await.unwrap();
    tasks.replace(&task).await.unwrap();
    let task = tasks.modify("t", |task| task.status = TaskStatus::Paused);
    assert_eq!(task.await.unwrap().expires_at, Some(START + 10));
    clock.advance(10);
    assert_eq!(tasks.load("t").await.unwrap(), None);
}

/// What is no JSON was damaged, and is set aside; what is JSON of another shape may be a newer platform's.
#[tokio::test]
async fn a_damaged_record_is_set_aside_and_a_foreign_one_stays() {
    let (store, _) = store();
    let tasks = TaskStore::new(store.clone());
    for (id, body) in [("torn", "{\"task_id\""), ("foreign", "{\"task_id\":7}")] {
        let draft = Draft::new(Key::new("task", id), body).attribute("request-id", id);
        store.create(draft).await.unwrap();
        let error = tasks.load(id).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert_eq!(error.key(), Some(&Key::new("task", id)));
    }
    assert_eq!(stored(&store, "task", "torn").await, None);
    let foreign = stored(&store, "task", "foreign").await.unwrap();
    assert_eq!(foreign.draft.body, b"{\"task_id\":7}");
    let aside = store.quarantine().list(None, 10).await.unwrap();
    let keys: Vec<_> = aside.entries.iter().map(|entry| &entry.key).collect();
    assert_eq!(keys, [&Key::new("task", "torn")]);
}

/// A page passes over what was damaged, and fails at what it cannot read: it may be a live task.
#[tokio::test]
async fn a_list_leaves_out_what_is_set_aside() {
    let (store, _) = store();
    let tasks = TaskStore::new(store.clone());
    let torn = Draft::new(Key::new("task", "torn"), "{\"task_id\"");
    store.create(torn).await.unwrap();
    tasks.create(&AgentTask::new("t")).await.unwrap();
    let page = tasks.list(TaskQuery::default()).await.unwrap();
    let ids: Vec<_> = page.tasks.iter().map(|task| &task.task_id).collect();
    assert_eq!(ids, ["t"]);
    assert_eq!(stored(&store, "task", "torn").await, None);
    let foreign = Draft::new(Key::new("task", "foreign"), "{\"task_id\":7}");
    store.create(foreign).await.unwrap();
    let error = tasks.list(TaskQuery::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert_eq!(error.key(), Some(&Key::new("task", "foreign")));
}

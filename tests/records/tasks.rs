//! Real agent tasks: `fixtures/teal-tasks.jsonl`, with the counts that a correct reader must report.

use std::collections::{BTreeMap, BTreeSet};

use mortise::agent::{AgentTask, TaskQuery, TaskStatus, TaskStore};
use mortise::{Error, ErrorKind, Operation};

use super::support::{START, on_every_backend};

const TASKS: &str = include_str!("../fixtures/teal-tasks.jsonl");

fn tasks() -> Vec<AgentTask> {
    TASKS
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

async fn list(tasks: &TaskStore, query: TaskQuery) -> Vec<AgentTask> {
    let mut found = Vec::new();
    let mut after = None;
    loop {
        let page = tasks
            .list(TaskQuery {
                after,
                ..query.clone()
            })
            .await
            .unwrap();
        found.extend(page.tasks.into_iter().map(|task| task.value));
        after = page.next;
        if after.is_none() {
            return found;
        }
    }
}

fn query() -> TaskQuery {
    TaskQuery {
        limit: 33,
        ..TaskQuery::default()
    }
}

#[test]
fn every_task_is_written_as_it_was_read() {
    for line in TASKS.lines() {
        let task: AgentTask = serde_json::from_str(line).unwrap();
        assert_eq!(serde_json::to_string(&task).unwrap(), line);
    }
}

on_every_backend! {
    async fn real_tasks_are_kept_counted_and_found(fixture: Fixture) {
        let store = TaskStore::new(fixture.store.clone());
        let tasks = tasks();
        for task in &tasks {
            store.create(task).await.unwrap();
        }
        assert_eq!(list(&store, query()).await, tasks);
        let mut statuses = BTreeMap::new();
        for task in &tasks {
            *statuses.entry(task.status.to_string()).or_insert(0) += 1;
        }
        for (status, count) in
            [("Canceled", 18), ("Completed", 94), ("Failed", 22), ("Paused", 25), ("Running", 41)]
        {
            let status_is = Some(TaskStatus::from(status.to_owned()));
            let of_status = TaskQuery { status: status_is, ..query() };
            assert_eq!(list(&store, of_status).await.len(), count, "{status}");
            assert_eq!(statuses[status], count);
        }
        // Each request id leads to the oldest task that carries it.
        let mut oldest = BTreeMap::new();
        let mut pairs = BTreeSet::new();
        for task in &tasks {
            for item in &task.items {
                oldest.entry(item.request_id.clone()).or_insert(task);
                pairs.insert((item.request_id.clone(), task.task_id.clone()));
            }
        }
        assert_eq!((oldest.len(), pairs.len()), (474, 479));
        for (request, task) in &oldest {
            let found = store.load_by_request_id(request).await.unwrap().unwrap();
            assert_eq!(&&found.value, task);
        }
        let request_id = Some("1807c658-8cbf-4f73-b207-9c09915b87d9".to_owned());
        let shared = TaskQuery { request_id, ..query() };
        let ids: Vec<_> = list(&store, shared).await.into_iter().map(|task| task.task_id).collect();
        assert_eq!(ids, ["0459d387-cf56-4266-a80a-1564f860cddb", "c90edec7-8b19-45b8-a3cb-770c1646c2d5"]);
        assert!(store.load_by_request_id("nobody's").await.unwrap().is_none());
    }

    async fn the_request_index_follows_the_items(fixture: Fixture) {
        let store = TaskStore::new(fixture.store.clone());
        let mut task = AgentTask::new("t");
        task.push_text("r-1", "user", "hello");
        store.create(&task).await.unwrap();
        let mut task = store.load_by_request_id("r-1").await.unwrap().unwrap();
        task.push_text("r-2", "assistant", "hello yourself");
        store.update(&mut task).await.unwrap();
        for request in ["r-1", "r-2"] {
            assert_eq!(store.load_by_request_id(request).await.unwrap().unwrap(), task);
        }
        task.items.remove(0);
        store.update(&mut task).await.unwrap();
        assert!(store.load_by_request_id("r-1").await.unwrap().is_none());
        store.delete("t", None).await.unwrap();
        assert!(store.load_by_request_id("r-2").await.unwrap().is_none());
    }

    async fn an_update_keeps_when_a_task_expires(fixture: Fixture) {
        let store = TaskStore::new(fixture.store.clone());
        store.create(&AgentTask::new("t")).await.unwrap();
        let mut task = store.load("t").await.unwrap().unwrap();
        assert_eq!(task.expires_at, None);
        task.expires_at = Some(START + 10);
        store.update(&mut task).await.unwrap();
        store.replace(&task).await.unwrap();
        let task = store.modify("t", |task| task.status = TaskStatus::Paused).await.unwrap();
        assert_eq!(task.expires_at, Some(START + 10));
        assert_eq!(store.load("t").await.unwrap().unwrap(), task);
        // It can be taken off.
        let mut task = task;
        task.expires_at = None;
        store.update(&mut task).await.unwrap();
        fixture.clock.advance(10);
        assert_eq!(store.load("t").await.unwrap().unwrap(), task);
    }

    async fn a_stale_task_is_not_written(fixture: Fixture) {
        let store = TaskStore::new(fixture.store.clone());
        store.create(&AgentTask::new("t")).await.unwrap();
        let mut mine = store.load("t").await.unwrap().unwrap();
        let mut theirs = mine.clone();
        theirs.status = TaskStatus::Paused;
        store.update(&mut theirs).await.unwrap();
        mine.status = TaskStatus::Failed;
        let before = mine.clone();
        let error = store.update(&mut mine).await.unwrap_err();
        assert!(error.is_conflict(), "{error}");
        assert_eq!(mine, before);
        assert_eq!(store.load("t").await.unwrap().unwrap(), theirs);
    }

    async fn errors_tell_the_operation_and_the_kind(fixture: Fixture) {
        let store = TaskStore::new(fixture.store.clone());
        let task = AgentTask::new("t");
        let told = |error: Error| (error.operation(), error.kind());
        let missing = ErrorKind::NotFound;
        assert_eq!(told(store.replace(&task).await.unwrap_err()), (Operation::Update, missing));
        assert_eq!(told(store.modify("t", |_| ()).await.unwrap_err()), (Operation::Update, missing));
        assert_eq!(told(store.delete("t", None).await.unwrap_err()), (Operation::Delete, missing));
        store.create(&task).await.unwrap();
        let there = (Operation::Create, ErrorKind::AlreadyExists);
        assert_eq!(told(store.create(&task).await.unwrap_err()), there);
        let broken = mortise::Draft::new(mortise::Key::new("task", "broken"), "{\"task_id\":7}");
        fixture.store.create(broken.attribute("request-id", "r")).await.unwrap();
        let corrupt = (Operation::Load, ErrorKind::Corrupt);
        assert_eq!(told(store.load("broken").await.unwrap_err()), corrupt);
        let error = store.load_by_request_id("r").await.unwrap_err();
        assert!(error.to_string().contains("task/broken"), "{error}");
        assert_eq!(told(error), corrupt);
        let mut long = AgentTask::new("long");
        long.push_text(&"r".repeat(1025), "user", "");
        assert_eq!(told(store.create(&long).await.unwrap_err()), (Operation::Create, ErrorKind::Invalid));
    }
}

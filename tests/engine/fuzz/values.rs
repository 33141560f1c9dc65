//! A backend that answers anything.

use std::fmt::Debug;
use std::io::Write;
use std::sync::Arc;

use mortise::agent::{AgentTask, TaskQuery, TaskStore, Versioned};
use mortise::transfer;
use mortise::{
    Draft, Error, Host, Key, ManualClock, Query, Result, Stamp, Store, Stored, Write as Batched,
};
use mortise_test_guests as test_guests;
use proptest::prelude::*;
use tokio::runtime::Runtime;
use tokio::time::timeout;

use super::{PATIENCE, cases};

/// Looks at all that an error says; an answer is as good as any.
fn seen<T: Debug>(answer: Result<T>) -> Option<T> {
    match answer {
        Ok(answer) => {
            let _ = format!("{answer:?}");
            Some(answer)
        }
        Err(error) => {
            look_at(&error);
            None
        }
    }
}

fn look_at(error: &Error) {
    let _ = format!("{error} {error:?} {:?} {:?}", error.key(), error.current());
    let _ = (
        error.kind(),
        error.hint(),
        error.backend_message(),
        error.write_index(),
    );
}

fn draft(id: &str) -> Draft {
    Draft::new(Key::new("task", id), "{}").attribute("status", "open")
}

async fn call_the_store(store: &Store) {
    let key = Key::new("task", "t-1");
    let _ = format!(
        "{store:?} {:?} {}",
        store.describe(),
        store.max_body_bytes()
    );
    seen(store.health().await);
    seen(store.create(draft("t-1")).await);
    seen(store.load(&key).await);
    seen(
        store
            .load_many(vec![key.clone(), Key::new("task", "t-2")])
            .await,
    );
    seen(store.update(draft("t-1"), Some(1)).await);
    seen(
        store
            .apply(vec![
                Batched::put(draft("t-1")),
                Batched::delete(key.clone(), None),
            ])
            .await,
    );
    seen(store.delete(&key, None).await);
    let mut after = None;
    for _ in 0..5 {
        let page = seen(store.find(Query::new("task").after(after)).await);
        after = page.and_then(|page| page.next);
    }
    seen(store.export(None, 10).await);
    let stamp = Stamp {
        create_revision: 1,
        mod_revision: 2,
        created_at: 3,
        updated_at: 4,
    };
    let stored = Stored {
        draft: draft("t-1"),
        stamp,
    };
    seen(store.import(vec![stored.clone()]).await);
    seen(store.sweep(10).await);
    seen(store.clear(Some("task")).await);
    seen(store.statistics().await);
    seen(store.reopen().await);

    let quarantine = store.quarantine();
    seen(
        quarantine
            .set_aside(&stored, "a reason\nof two lines")
            .await,
    );
    let page = seen(quarantine.list(None, 10).await);
    for entry in page.into_iter().flat_map(|page| page.entries) {
        seen(quarantine.restore(&entry.id, None).await);
    }
    seen(quarantine.load("7").await);
    seen(quarantine.restore("7", Some(b"{}".to_vec())).await);
    seen(quarantine.remove("7").await);
}

async fn call_the_tasks(store: &Store) {
    let tasks = TaskStore::new(store.clone());
    let mut task = AgentTask::new("t-1");
    task.push_text("r", "user", "hello");
    seen(tasks.create(&task).await);
    seen(
        tasks
            .create_all(&[task.clone(), AgentTask::new("t-2")])
            .await,
    );
    seen(tasks.load("t-1").await);
    seen(tasks.update(&mut Versioned::new(task.clone(), 1)).await);
    seen(tasks.replace(&task).await);
    seen(
        tasks
            .modify("t-1", |task| task.push_text("r", "user", "more"))
            .await,
    );
    seen(tasks.load_by_request_id("r").await);
    seen(tasks.list(TaskQuery::default()).await);
    seen(tasks.delete("t-1", Some(3)).await);
}

/// Keeps at most as much as no honest export of this store comes to.
struct Full(usize);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 = self
            .0
            .checked_sub(bytes.len())
            .ok_or(std::io::ErrorKind::StorageFull)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

async fn copy(store: &Store, other: &Store) {
    let _ = transfer::export(store, Full(1 << 30), |_| {})
        .await
        .map_err(|error| look_at(&error));
    let mut file = Vec::new();
    transfer::export(other, &mut file, |_| {}).await.unwrap();
    seen(transfer::import(store, file.as_slice(), |_| {}).await);
}

async fn host(clock: Arc<ManualClock>) -> (Host, Store) {
    let host = Host::builder()
        .component("tree", test_guests::TREE)
        .component("chaos", test_guests::CHAOS)
        .clock(clock)
        .build()
        .unwrap();
    let healthy = host.open("tree:").await.unwrap();
    healthy.create(draft("kept")).await.unwrap();
    (host, healthy)
}

#[test]
fn the_host_outlives_any_answer() {
    let runtime = Runtime::new().unwrap();
    let clock = Arc::new(ManualClock::new(0));
    let (host, healthy) = runtime.block_on(host(clock.clone()));
    let mut runner = proptest::test_runner::TestRunner::new(cases(40));
    let opened = std::cell::Cell::new(0);
    let outcome = runner.run(&any::<u64>(), |seed| {
        clock.set(seed);
        runtime.block_on(async {
            let case = async {
                let store = seen(host.open("chaos:?deadline=10s").await)?;
                opened.set(opened.get() + 1);
                call_the_store(&store).await;
                call_the_tasks(&store).await;
                copy(&store, &healthy).await;
                Some(())
            };
            prop_assert!(timeout(PATIENCE, case).await.is_ok(), "it hangs");
            let record = healthy.load(&Key::new("task", "kept")).await;
            prop_assert!(record.unwrap().is_some(), "the other store lost its record");
            Ok(())
        })
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
    assert!(opened.get() > 0, "no store was opened: nothing was called");
}

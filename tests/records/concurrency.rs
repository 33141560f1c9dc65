//! Many callers of one store at once.

use mortise::agent::{AgentTask, TaskStore};
use mortise::{ErrorKind, Query, Write};
use tokio::task::JoinSet;

use super::support::{draft, export_all, find_all, key, on_every_backend};

/// Callers at once.
const CALLERS: usize = 64;

on_every_backend! {
    async fn of_many_creators_one_wins(fixture: Fixture) {
        for round in 0..5 {
            let id = format!("round {round}");
            let mut creators = JoinSet::new();
            for caller in 0..CALLERS {
                let (store, id) = (fixture.store.clone(), id.clone());
                creators.spawn(async move {
                    let draft = draft(&id, &caller.to_string()).attribute("by", caller.to_string());
                    store.create(draft).await
                });
            }
            let results = creators.join_all().await;
            let won = results.iter().filter(|result| result.is_ok()).count();
            let lost = results.iter().filter_map(|result| result.as_ref().err());
            assert_eq!(won, 1);
            assert!(lost.into_iter().all(|error| error.kind() == ErrorKind::AlreadyExists));
            // The index has the winner's entry alone.
            let winner = fixture.store.load(&key(&id)).await.unwrap().unwrap();
            let by = String::from_utf8(winner.draft.body).unwrap();
            for caller in 0..CALLERS {
                let query = Query::new("task").with("by", caller.to_string());
                let found = find_all(&fixture.store, query).await.unwrap();
                let mine = found.iter().filter(|record| record.key().id == id).count();
                assert_eq!(mine, usize::from(by == caller.to_string()));
            }
        }
    }

    async fn increments_by_compare_and_set_come_to_the_exact_total(fixture: Fixture) {
        const INCREMENTS: usize = 5;
        fixture.store.create(draft("counter", "0")).await.unwrap();
        let mut incrementers = JoinSet::new();
        for _ in 0..CALLERS {
            let store = fixture.store.clone();
            incrementers.spawn(async move {
                for _ in 0..INCREMENTS {
                    loop {
                        let record = store.load(&key("counter")).await.unwrap().unwrap();
                        let count: usize = String::from_utf8_lossy(&record.draft.body).parse().unwrap();
                        let next = draft("counter", &(count + 1).to_string());
                        match store.update(next, Some(record.revision())).await {
                            Ok(_) => break,
                            Err(error) => assert!(error.is_conflict(), "{error}"),
                        }
                    }
                }
            });
        }
        incrementers.join_all().await;
        let record = fixture.store.load(&key("counter")).await.unwrap().unwrap();
        assert_eq!(record.draft.body, (CALLERS * INCREMENTS).to_string().as_bytes());
    }

    async fn writers_of_one_task_lose_nothing(fixture: Fixture) {
        let tasks = TaskStore::new(fixture.store.clone());
        tasks.create(&AgentTask::new("shared")).await.unwrap();
        let mut writers = JoinSet::new();
        for writer in 0..8 {
            let tasks = tasks.clone();
            writers.spawn(async move {
                for item in 0..25 {
                    let request = format!("{writer}-{item}");
                    tasks.modify("shared", |task| task.push_text(&request, "user", "hello")).await.unwrap();
                }
            });
        }
        writers.join_all().await;
        assert_eq!(tasks.load("shared").await.unwrap().unwrap().items.len(), 200);
        for request in ["0-0", "7-24", "3-12"] {
            assert!(tasks.load_by_request_id(request).await.unwrap().is_some(), "{request}");
        }
    }

    async fn readers_never_see_half_a_batch(fixture: Fixture) {
        let both = |value: &str| vec![
            Write::put(draft("left", value).attribute("v", value)),
            Write::put(draft("right", value).attribute("v", value)),
        ];
        fixture.store.apply(both("0")).await.unwrap();
        let mut callers = JoinSet::new();
        for _ in 0..4 {
            let store = fixture.store.clone();
            callers.spawn(async move {
                for _ in 0..200 {
                    let pair = store.load_many(vec![key("left"), key("right")]).await.unwrap();
                    let bodies: Vec<_> = pair.iter().map(|record| &record.as_ref().unwrap().draft.body).collect();
                    assert_eq!(bodies[0], bodies[1]);
                    let value = String::from_utf8_lossy(bodies[0]).into_owned();
                    let page = store.find(Query::new("task").with("v", value)).await.unwrap();
                    assert!(page.records.is_empty() || page.records.len() == 2);
                }
            });
        }
        let store = fixture.store.clone();
        callers.spawn(async move {
            for value in 1..200 {
                store.apply(both(&value.to_string())).await.unwrap();
            }
        });
        callers.join_all().await;
        assert_eq!(export_all(&fixture.store).await.len(), 2);
    }

    async fn a_call_that_is_given_up_leaves_the_store_whole(fixture: Fixture) {
        for number in 0..200 {
            let store = fixture.store.clone();
            let write = tokio::spawn(async move {
                let id = number.to_string();
                store.create(draft(&id, &id).attribute("id", &id)).await
            });
            if number % 3 == 0 {
                tokio::task::yield_now().await;
            }
            write.abort();
            let _ = write.await;
        }
        fixture.store.create(draft("last", "")).await.unwrap();
        for record in export_all(&fixture.store).await {
            if record.key().id != "last" {
                let query = Query::new("task").with("id", &record.key().id);
                assert_eq!(find_all(&fixture.store, query).await.unwrap(), [record]);
            }
        }
    }
}

//! What a broken component can do, and what the host makes of it.

use std::time::Duration;

use mortise::{Draft, Error, ErrorKind, Store, StoreConfig};
use tokio::task::JoinSet;

use crate::support::{Fixture, component, draft, export_all, host, key};

async fn load(store: &Store, id: &str) -> Result<usize, Error> {
    Ok(store
        .load(&key(id))
        .await?
        .map_or(0, |record| record.draft.body.len()))
}

/// The fault guest, and a healthy store of the same host beside it.
async fn fault(options: &str) -> (Store, Store) {
    let host = host().build().unwrap();
    let healthy = host.open("memory:").await.unwrap();
    healthy.create(draft("a", "one")).await.unwrap();
    (
        host.open(&format!("fault:?{options}")).await.unwrap(),
        healthy,
    )
}

/// The fault is named; then the next call is served, and the other store has seen nothing.
async fn assert_survived(store: &Store, healthy: &Store) {
    assert_eq!(load(store, "fine").await.unwrap(), 0);
    store.health().await.unwrap();
    assert_eq!(load(healthy, "a").await.unwrap(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trap_is_named_with_the_backends_last_words() {
    let (store, healthy) = fault("deadline=500ms").await;
    let error = load(&store, "trap").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Trap, "{error}");
    assert_eq!(error.backend(), Some("fault"));
    assert!(
        error.backend_message().unwrap().contains("asked to trap"),
        "{error}"
    );
    assert_survived(&store, &healthy).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stack_overflow_is_a_trap() {
    let (store, healthy) = fault("deadline=500ms").await;
    let error = load(&store, "stack").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Trap, "{error:?}");
    assert!(
        format!("{error:?}").contains("call stack exhausted"),
        "{error:?}"
    );
    assert_survived(&store, &healthy).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endless_loop_ends_at_the_deadline() {
    let (store, healthy) = fault("deadline=500ms").await;
    let error = load(&store, "loop").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Deadline, "{error}");
    assert!(error.is_retryable());
    assert_survived(&store, &healthy).await;
}

#[tokio::test]
async fn endless_loops_leave_one_thread_for_the_others() {
    let (store, healthy) = fault("deadline=2s").await;
    let mut loops = JoinSet::new();
    for _ in 0..8 {
        let store = store.clone();
        loops.spawn(async move { load(&store, "loop").await.unwrap_err().kind() });
    }
    let mut served = 0;
    while loops.try_join_next().is_none() {
        assert_eq!(load(&healthy, "a").await.unwrap(), 3);
        served += 1;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(
        served >= 5,
        "{served} calls were served while 8 loops ran on one thread"
    );
    assert!(
        loops
            .join_all()
            .await
            .into_iter()
            .all(|kind| kind == ErrorKind::Deadline)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_without_end_is_refused_at_the_limit() {
    let (store, healthy) = fault("memory=16MiB&deadline=5s").await;
    let error = load(&store, "grow").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Trap, "{error}");
    assert!(
        error
            .to_string()
            .contains("more than its 16.0 MiB of memory"),
        "{error}"
    );
    assert_survived(&store, &healthy).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_of_a_gigabyte_is_refused() {
    let gigabyte = format!("huge:{}", 1 << 30);
    // More than an instance's memory.
    let (store, healthy) = fault("deadline=500ms").await;
    let error = load(&store, &gigabyte).await.unwrap_err();
    assert!(error.to_string().contains("128.0 MiB of memory"), "{error}");
    assert_survived(&store, &healthy).await;
    // With the memory for it, more than an answer may have.
    let (store, healthy) = fault("memory=2GiB&deadline=20s").await;
    let error = load(&store, &gigabyte).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}");
    assert!(error.to_string().contains("64.0 MiB"), "{error}");
    assert_survived(&store, &healthy).await;
    assert_eq!(load(&store, "huge:1000000").await.unwrap(), 1_000_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn log_floods_and_long_lines_are_no_fault() {
    let (store, healthy) = fault("deadline=5s").await;
    load(&store, "flood:100000").await.unwrap();
    load(&store, "shout:1000000").await.unwrap();
    assert_survived(&store, &healthy).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_beyond_the_concurrency_wait_their_turn() {
    let (store, _) = fault("concurrency=2&deadline=10s").await;
    let mut calls = JoinSet::new();
    for _ in 0..8 {
        let store = store.clone();
        calls.spawn(async move { load(&store, "spin:20").await.unwrap() });
    }
    assert_eq!(calls.join_all().await, [0; 8]);
    assert!(store.idle_instances() <= 2);
    let (store, _) = fault("concurrency=1&deadline=200ms").await;
    let looping = tokio::spawn({
        let store = store.clone();
        async move { load(&store, "loop").await }
    });
    while store.idle_instances() > 0 {
        tokio::task::yield_now().await;
    }
    let first = load(&store, "fine").await;
    assert_eq!(
        looping.await.unwrap().unwrap_err().kind(),
        ErrorKind::Deadline
    );
    // It came first or found the instance busy until its own deadline; it never hangs.
    if let Err(error) = first {
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn instances_beyond_the_hosts_limit_are_unavailable() {
    let host = host().max_instances(3).build().unwrap();
    let store = host.open("fault:?deadline=5s").await.unwrap();
    let mut calls = JoinSet::new();
    for _ in 0..16 {
        let store = store.clone();
        calls.spawn(async move { load(&store, "spin:50").await });
    }
    let results = calls.join_all().await;
    assert!(results.iter().any(Result::is_ok));
    for error in results.into_iter().filter_map(Result::err) {
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    }
    load(&store, "fine").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_singleton_that_traps_says_that_its_state_is_lost_until_it_is_reopened() {
    let host = host().build().unwrap();
    let store = host.open("fault-singleton:").await.unwrap();
    load(&store, "fine").await.unwrap();
    assert_eq!(
        load(&store, "trap").await.unwrap_err().kind(),
        ErrorKind::Trap
    );
    for _ in 0..2 {
        let error = load(&store, "fine").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StateLost, "{error}");
        assert!(error.hint().unwrap().contains("reopen"));
    }
    store.reopen().await.unwrap();
    load(&store, "fine").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_gives_up_does_not_cost_a_singleton_its_records() {
    let host = host().build().unwrap();
    let store = host.open("fault-singleton:?deadline=10s").await.unwrap();
    for _ in 0..3 {
        // Long enough to pause for an epoch tick in the middle.
        let slow = load(&store, "spin:100");
        assert!(
            tokio::time::timeout(Duration::from_millis(30), slow)
                .await
                .is_err()
        );
        load(&store, "fine").await.unwrap();
    }
}

/// Whatever is thrown at it, the memory backend says that it is full before it runs out of memory.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_memory_backend_never_traps() {
    let host = host().build().unwrap();
    for (name, most_bytes, most_attributes) in [
        ("tiny", 1, 0),
        ("indexed", 1, 200),
        ("large", 1 << 20, 3),
        ("mixed", 50_000, 50),
    ] {
        let store = host
            .open("memory:?memory=48MiB&deadline=60s")
            .await
            .unwrap();
        let mut random = fastrand::Rng::with_seed(7);
        let draft = |mut random: fastrand::Rng, number: usize| {
            let body = vec![7; random.usize(..most_bytes)];
            let mut draft = Draft::new(key(&number.to_string()), body);
            for attribute in 0..random.usize(..=most_attributes) {
                let value = "v".repeat(random.usize(..100));
                draft = draft.attribute("a", format!("{attribute} {value}"));
            }
            draft
        };
        let (mut written, mut refused) = (0, 0);
        while refused < 20 {
            let batch = (0..10).map(|_| {
                written += 1;
                mortise::Write::put(draft(random.fork(), written))
            });
            match store.apply(batch.collect()).await {
                Ok(_) => {}
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::TooLarge, "{name}: {error:?}");
                    refused += 1;
                }
            }
        }
        // Full, it still takes what replaces and what removes.
        for _ in 0..2000 {
            let number = random.usize(1..written);
            let result = match random.bool() {
                true => store
                    .update(draft(random.fork(), number), None)
                    .await
                    .map(|_| ()),
                false => store.delete(&key(&number.to_string()), None).await,
            };
            if let Err(error) = result {
                let expected = [ErrorKind::TooLarge, ErrorKind::NotFound];
                assert!(expected.contains(&error.kind()), "{name}: {error:?}");
            }
        }
        assert!(store.statistics().await.unwrap()[0].records > 0, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_granted_is_refused_before_anything_runs() {
    let fixture = Fixture::new("memory").await;
    let error = fixture.host.open("sqlite:").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotGranted, "{error}");
    assert_eq!(error.backend(), Some("sqlite"));
    assert!(error.to_string().contains("sqlite"), "{error}");
    assert!(error.hint().is_some());
    assert_eq!(export_all(&fixture.store).await.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_backend_is_refused_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
    write("text.wasm", b"hello");
    write("module.wasm", b"\0asm\x01\0\0\0");
    write("empty.wasm", b"\0asm\x0d\0\x01\0");
    let mut cut = mortise_backends::ALL[0].1.to_vec();
    cut.truncate(cut.len() / 2);
    write("cut.wasm", &cut);
    let mut damaged = mortise_backends::ALL[0].1.to_vec();
    let middle = damaged.len() / 2;
    damaged[middle..middle + 64].fill(0xff);
    write("damaged.wasm", &damaged);
    let host = host().plugin_dir(folder.path()).build().unwrap();
    for (backend, part) in [
        ("text", "no Wasm at all"),
        ("module", "a core module"),
        ("empty", "it exports nothing of mortise:persistence"),
        ("cut", ""),
        ("damaged", ""),
        ("nobody", "no backend named"),
    ] {
        let error = host.open_with(StoreConfig::new(backend)).await.unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::Component | ErrorKind::Config),
            "{backend}: {error:?}"
        );
        assert!(error.to_string().contains(part), "{backend}: {error}");
        assert_eq!(error.backend(), Some(backend));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_in_the_folder_takes_precedence() {
    let folder = tempfile::tempdir().unwrap();
    let fault = component("fault");
    std::fs::write(folder.path().join("memory.wasm"), fault).unwrap();
    let host = host().plugin_dir(folder.path()).build().unwrap();
    let store = host.open("memory:").await.unwrap();
    let manifest = host.manifest("memory").unwrap();
    assert_eq!(manifest.size, fault.len() as u64);
    assert_eq!(store.status().digest, manifest.digest);
    let error = load(&store, "trap").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Trap, "{error}");
}

//! Callers that write and read while servers fail, and what must be true of it afterwards.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use mortise::{Draft, Error, ErrorKind, Key, Query, Store, Write};
use tokio::task::JoinSet;

use super::{assert_sound, within};
use crate::support::find_all;
use crate::support::redis::RedisServer;

/// Where they write.
const COLLECTION: &str = "load";
/// Callers at once.
pub const CALLERS: usize = 32;

/// What the store of such callers is opened with.
pub const OPTIONS: &str = "deadline=1s&sweep-interval=1h";
const DEADLINE: Duration = Duration::from_secs(1);

/// Callers at work: each writes batches of two records, and reads.
pub struct Load {
    store: Store,
    shared: Arc<Shared>,
    callers: JoinSet<Vec<(String, Fate)>>,
}

#[derive(Default)]
struct Shared {
    ends: AtomicBool,
    written: AtomicUsize,
    failed: AtomicUsize,
}

/// What a caller was told of a batch.
#[derive(Clone, Copy, PartialEq)]
enum Fate {
    Written,
    Unknown,
    Refused,
}

impl Load {
    /// Sets callers to work, and waits until they are in the middle of it.
    pub async fn start(store: &Store) -> Self {
        let shared = Arc::new(Shared::default());
        let mut callers = JoinSet::new();
        for caller in 0..CALLERS {
            callers.spawn(call(caller, store.clone(), Arc::clone(&shared)));
        }
        let load = Self {
            store: store.clone(),
            shared,
            callers,
        };
        load.writes().await;
        load
    }

    /// Waits until writes succeed, some for each caller.
    pub async fn writes(&self) {
        more(&self.shared.written, 3 * CALLERS, "writes to succeed").await;
    }

    /// Waits until writes fail, as many as there are callers.
    pub async fn fails(&self) {
        more(&self.shared.failed, CALLERS, "writes to fail").await;
    }

    /// Ends it: what was acknowledged is there, what was refused is not, and no half of a batch is.
    pub async fn end(self, server: &RedisServer) {
        self.shared.ends.store(true, Ordering::SeqCst);
        let batches: Vec<_> = self.callers.join_all().await.concat();
        let query = Query::new(COLLECTION).limit(1000).without_bodies();
        let mut halves: BTreeMap<String, usize> = BTreeMap::new();
        for record in find_all(&self.store, query).await.unwrap() {
            let batch = &record.draft.attributes[0].value;
            *halves.entry(batch.clone()).or_default() += 1;
        }
        for (batch, fate) in &batches {
            let found = halves.remove(batch).unwrap_or_default();
            let right = match fate {
                Fate::Written => found == 2,
                Fate::Unknown => found == 2 || found == 0,
                Fate::Refused => found == 0,
            };
            let told = match fate {
                Fate::Written => "acknowledged",
                Fate::Unknown => "ambiguous",
                Fate::Refused => "refused",
            };
            assert!(
                right,
                "{found} records are there of batch {batch}, which was {told}"
            );
        }
        assert!(halves.is_empty(), "nobody wrote {halves:?}");
        assert_sound(server, &self.store).await;
    }
}

async fn more(count: &AtomicUsize, enough: usize, what: &str) {
    let (start, before) = (Instant::now(), count.load(Ordering::SeqCst));
    while count.load(Ordering::SeqCst) < before + enough {
        assert!(
            start.elapsed() < Duration::from_secs(60),
            "waited a minute for {what}"
        );
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

async fn call(caller: usize, store: Store, shared: Arc<Shared>) -> Vec<(String, Fate)> {
    let mut batches = Vec::new();
    for number in 0.. {
        if shared.ends.load(Ordering::SeqCst) {
            break;
        }
        let batch = format!("{caller}-{number}");
        let half = |half: &str| {
            let key = Key::new(COLLECTION, format!("{batch}-{half}"));
            Write::create(Draft::new(key, "x").attribute("batch", &batch))
        };
        let written = store.apply(vec![half("left"), half("right")]);
        let fate = match within(DEADLINE, written).await {
            Ok(_) => Fate::Written,
            Err(error) if error.is_ambiguous() => Fate::Unknown,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Unavailable, "a write: {error:?}");
                Fate::Refused
            }
        };
        batches.push((batch.clone(), fate));
        let counted = match fate {
            Fate::Written => &shared.written,
            Fate::Unknown | Fate::Refused => &shared.failed,
        };
        counted.fetch_add(1, Ordering::SeqCst);
        let left = Key::new(COLLECTION, format!("{batch}-left"));
        let found = unless_unavailable(within(DEADLINE, store.load(&left)).await);
        // What was written is read, or nothing is.
        let is_there = found.map(|record| record.is_some());
        assert!(
            is_there.is_none_or(|is_there| is_there || fate != Fate::Written),
            "{batch}"
        );
        let query = Query::new(COLLECTION).with("batch", &batch);
        unless_unavailable(within(DEADLINE, store.find(query)).await);
        if fate != Fate::Written {
            // A refusal is fast; nobody calls again at once.
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    batches
}

/// The answer of a read, which may fail in one way alone.
fn unless_unavailable<T>(answer: Result<T, Error>) -> Option<T> {
    answer
        .inspect_err(|error| assert_eq!(error.kind(), ErrorKind::Unavailable, "a read: {error:?}"))
        .ok()
}

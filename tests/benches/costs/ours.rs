//! The store, through the component.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use mortise::{Host, HostBuilder, Query, Store, Write};
use tokio::runtime::Runtime;

use crate::contest::{BATCH, Contestant, Records};

/// A host with the built-in backends.
pub fn host() -> HostBuilder {
    mortise_backends::ALL
        .iter()
        .fold(Host::builder(), |host, (name, bytes)| {
            host.component(*name, *bytes)
        })
}

#[derive(Clone)]
pub struct Ours {
    pub store: Store,
    pub records: Records,
    /// The mod-revision of each record that is there from the start.
    revisions: Arc<[AtomicU64]>,
}

impl Ours {
    /// Opened by URL and filled.
    pub fn fill(runtime: &Runtime, url: &str, records: Records) -> Self {
        let store = runtime.block_on(host().build().unwrap().open(url)).unwrap();
        let revisions = runtime.block_on(async {
            let mut revisions = Vec::new();
            // A batch must not be too large for one call.
            let step = ((4 << 20) / records.body_bytes).min(1_000);
            for first in (0..records.count).step_by(step) {
                let last = records.count.min(first + step as u64);
                let batch = (first..last).map(|number| Write::create(records.draft(number)));
                revisions.extend(store.apply(batch.collect()).await.unwrap());
            }
            revisions
        });
        Self {
            store,
            records,
            revisions: revisions.into_iter().map(AtomicU64::new).collect(),
        }
    }
}

impl Contestant for Ours {
    async fn create(&self, number: u64) {
        self.store.create(self.records.draft(number)).await.unwrap();
    }

    async fn load(&self, number: u64) {
        let record = self.store.load(&Records::key(number)).await.unwrap();
        assert!(record.is_some());
    }

    async fn update(&self, number: u64) {
        let revision = &self.revisions[number as usize];
        loop {
            let expect = Some(revision.load(Ordering::Relaxed));
            match self.store.update(self.records.draft(number), expect).await {
                Ok(stamp) => return revision.store(stamp.mod_revision, Ordering::Relaxed),
                // Another caller's number led to the same record.
                Err(error) if error.is_conflict() => tokio::task::yield_now().await,
                Err(error) => panic!("{error}"),
            }
        }
    }

    async fn delete(&self, number: u64) {
        self.store
            .delete(&Records::key(number), None)
            .await
            .unwrap();
    }

    async fn find(&self, number: u64) {
        let query = Query::new("task")
            .with("request-id", Records::request(number))
            .limit(1);
        let page = self.store.find(query).await.unwrap();
        assert_eq!(page.records.len(), 1);
    }

    async fn batch(&self, first: u64) {
        let batch = (first..first + BATCH).map(|number| Write::create(self.records.draft(number)));
        self.store.apply(batch.collect()).await.unwrap();
    }
}

//! Two clients that want the same, on one server and on a cluster.

use mortise::{ErrorKind, Query};

use super::{assert_sound, client};
use crate::support::redis::{RedisServer, fresh_namespace, shared_cluster, shared_server};
use crate::support::{draft, export_all, find_all, key};

const RACES: usize = 300;

/// A namespace of its own on the shared server, as a URL, and where its keys are.
fn on_server() -> (String, &'static RedisServer) {
    let server = shared_server();
    (
        format!("{}?namespace={}", server.url(), fresh_namespace()),
        server,
    )
}

/// The same on the shared cluster.
fn on_cluster() -> (String, &'static RedisServer) {
    let (cluster, namespace) = (shared_cluster(), fresh_namespace());
    let (node, _) = cluster.owner(cluster.slot(&namespace));
    (format!("{}?namespace={namespace}", cluster.url()), node)
}

async fn one_of_two_creators_wins((url, server): (String, &RedisServer)) {
    let (one, two) = (client(&url).await, client(&url).await);
    for race in 0..RACES {
        let id = race.to_string();
        let create = |store: &mortise::Store, by: &str| {
            let (store, draft) = (store.clone(), draft(&id, by).attribute("by", by));
            tokio::spawn(async move { store.create(draft).await })
        };
        let (first, second) = (create(&one, "one"), create(&two, "two"));
        let (first, second) = (first.await.unwrap(), second.await.unwrap());
        let (winner, stamp, error) = match (first, second) {
            (Ok(stamp), Err(error)) => ("one", stamp, error),
            (Err(error), Ok(stamp)) => ("two", stamp, error),
            (first, second) => panic!("race {race}: {first:?} and {second:?}"),
        };
        assert_eq!(
            error.kind(),
            ErrorKind::AlreadyExists,
            "race {race}: {error:?}"
        );
        for store in [&one, &two] {
            let record = store.load(&key(&id)).await.unwrap().unwrap();
            assert_eq!(
                (record.draft.body.as_slice(), record.stamp),
                (winner.as_bytes(), stamp)
            );
        }
    }
    let records = export_all(&one).await;
    assert_eq!(records.len(), RACES);
    // A revision for each write, and none for what did not happen.
    assert_eq!(records.last().unwrap().revision(), RACES as u64);
    assert_sound(server, &two).await;
}

async fn no_update_is_lost((url, server): (String, &RedisServer)) {
    let (one, two) = (client(&url).await, client(&url).await);
    one.create(draft("a", "").attribute("by", "nobody"))
        .await
        .unwrap();
    for race in 0..RACES {
        let seen_by_one = one.load(&key("a")).await.unwrap().unwrap();
        let seen_by_two = two.load(&key("a")).await.unwrap().unwrap();
        assert_eq!(seen_by_one, seen_by_two);
        let expected = seen_by_one.revision();
        let by = |client: &str| format!("{client} in race {race}");
        let update = |store: &mortise::Store, client: &str| {
            let by = by(client);
            let (store, draft) = (store.clone(), draft("a", &by).attribute("by", &by));
            tokio::spawn(async move { store.update(draft, Some(expected)).await })
        };
        let (first, second) = (update(&one, "one"), update(&two, "two"));
        let (first, second) = (first.await.unwrap(), second.await.unwrap());
        let (winner, loser, error) = match (first, second) {
            (Ok(_), Err(error)) => (by("one"), by("two"), error),
            (Err(error), Ok(_)) => (by("two"), by("one"), error),
            (first, second) => panic!("race {race}: {first:?} and {second:?}"),
        };
        assert!(error.is_conflict(), "race {race}: {error:?}");
        assert_eq!(error.current().unwrap().draft.body, winner.as_bytes());
        let find = |by: &str| find_all(&one, Query::new("task").with("by", by));
        assert_eq!(find(&winner).await.unwrap().len(), 1);
        assert!(find(&loser).await.unwrap().is_empty());
        let before = String::from_utf8(seen_by_two.draft.body).unwrap();
        assert!(race == 0 || find(&before).await.unwrap().is_empty());
    }
    let record = one.load(&key("a")).await.unwrap().unwrap();
    assert_eq!(record.revision(), 1 + RACES as u64);
    assert_sound(server, &one).await;
}

mod server {
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn one_of_two_creators_wins() {
        super::one_of_two_creators_wins(super::on_server()).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn no_update_is_lost() {
        super::no_update_is_lost(super::on_server()).await;
    }
}

mod cluster {
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn one_of_two_creators_wins() {
        super::one_of_two_creators_wins(super::on_cluster()).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn no_update_is_lost() {
        super::no_update_is_lost(super::on_cluster()).await;
    }
}

//! The capability and the backend `redis`, against real servers.
//!
//! What the contract promises is tested by `records`, on one server and on a cluster; here is what only Redis can get
//! wrong. Its passwords are tested in `mortise-cli`, which shows none.

mod connections;
mod damage;
mod expiry;
mod faults;
mod load;
mod namespaces;
mod races;
mod round_trips;
mod teal_redis;
mod topology;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use mortise::{Error, Store};
use mortise_tests as support;

use crate::support::redis::RedisServer;
use crate::support::{export_all, host, key};

/// Where records that cannot be read are set aside.
const QUARANTINE: &str = "mortise.quarantine";

/// A client of its own: another host, as another process would have.
async fn client(url: &str) -> Store {
    host().build().unwrap().open(url).await.unwrap()
}

/// What the keys of a namespace begin with.
fn prefix(namespace: &str) -> String {
    let escape = [("%", "%25"), ("{", "%7B"), ("}", "%7D")];
    let escaped = escape
        .iter()
        .fold(namespace.to_owned(), |name, (from, to)| {
            name.replace(from, to)
        });
    format!("mortise:{{{escaped}}}:")
}

/// The keys of a store, without what they all begin with.
fn keys(server: &RedisServer, namespace: &str) -> BTreeSet<String> {
    let prefix = prefix(namespace);
    let keys = server.keys(&format!("{prefix}*"));
    keys.iter()
        .map(|key| key[prefix.len()..].to_owned())
        .collect()
}

/// Every key that does not begin so, and its value to the byte.
fn all_but(server: &RedisServer, prefix: &str) -> BTreeMap<String, Vec<u8>> {
    let keys = server.keys("*").into_iter();
    let others = keys.filter(|key| !key.starts_with(prefix));
    others
        .map(|key| {
            let value = server.ask(&["DUMP", &key]);
            (key, value)
        })
        .collect()
}

/// What the server keeps is what the store shows: no record without its entries in every index, and no
/// entry without its record. None may be expired; what is in quarantine is left out.
async fn assert_sound(server: &RedisServer, store: &Store) {
    let mut records = BTreeSet::new();
    let mut indexes: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for record in export_all(store).await {
        let (key, stamp) = (record.key(), &record.stamp);
        let collection = &key.collection;
        if collection == QUARANTINE {
            continue;
        }
        let name = format!("{}:{collection}:{}", collection.len(), key.id);
        let entry = |revision: u64| format!("{revision:019}{}", key.id);
        let mut index = |index: String, entry| indexes.entry(index).or_default().insert(entry);
        index(format!("c:{collection}"), entry(stamp.create_revision));
        index(format!("u:{collection}"), entry(stamp.mod_revision));
        index("collections".to_owned(), collection.clone());
        for pair in &record.draft.attributes {
            let (name, value) = (&pair.name, &pair.value);
            let attribute = format!(
                "a:{}:{collection}:{}:{name}:{value}",
                collection.len(),
                name.len()
            );
            index(attribute, entry(stamp.create_revision));
        }
        if record.draft.expires_at.is_some() {
            index("expiry".to_owned(), name.clone());
        }
        records.insert(format!("r:{name}"));
    }
    let (prefix, mut found_records) = (prefix(store.namespace()), BTreeSet::new());
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let set_aside = format!("{}:{QUARANTINE}:", QUARANTINE.len());
    for name in keys(server, store.namespace()) {
        let kind = name.split(':').next().unwrap();
        if name.contains(QUARANTINE) || ["revision", "bytes", "layout"].contains(&kind) {
            continue;
        }
        let key = format!("{prefix}{name}");
        let mut members: Vec<String> = match server.ask::<String, _>(&["TYPE", &key]).as_str() {
            "string" => {
                found_records.insert(name);
                continue;
            }
            "zset" => server.ask(&["ZRANGE", &key, "0", "-1"]),
            "set" => server.ask(&["SMEMBERS", &key]),
            other => panic!("{name} is a {other}"),
        };
        members.retain(|member| !member.starts_with(&set_aside) && member != QUARANTINE);
        if !members.is_empty() {
            found.insert(name, members.into_iter().collect());
        }
    }
    // A collection may be known that has no record any more.
    let known = found.remove("collections").unwrap_or_default();
    let used = indexes.remove("collections").unwrap_or_default();
    assert!(used.is_subset(&known), "{used:?} are not all in {known:?}");
    assert_eq!(found_records, records);
    assert_eq!(found, indexes);
}

/// Waits until the store answers again, which it does by itself.
async fn recovered(store: &Store) {
    let start = Instant::now();
    while let Err(error) = store.load(&key("nothing")).await {
        let waited = start.elapsed();
        assert!(waited < Duration::from_secs(30), "{waited:?}: {error:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Runs a call, which must end near its deadline, the machine being busy.
async fn within<T>(
    deadline: Duration,
    call: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    let start = Instant::now();
    let answer = call.await;
    let took = start.elapsed();
    assert!(
        took < deadline * 2 + Duration::from_millis(500),
        "it took {took:?}"
    );
    answer
}

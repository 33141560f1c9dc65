//! The backend `redis` by hand: redis-rs on one connection that all callers share, with the host's own
//! scripts and keys.

use mortise::{Attribute, Draft, Key, Stamp, Stored};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Cmd, Value, cmd};
use tokio::runtime::Runtime;

use crate::contest::{BATCH, Contestant, Records};
use crate::storage::PATIENCE;

const LAYOUT: &str = include_str!("../../../host/crates/capability-redis/src/lua/layout.lua");
const COMMIT: &str = include_str!("../../../host/crates/capability-redis/src/lua/commit.lua");
const FIND: &str = include_str!("../../../host/crates/capability-redis/src/lua/find.lua");
const PREFIX: &str = "mortise:{native}:";
const NOW: &str = "001767225600000";
const NEVER: &str = "~~~~~~~~~~~~~~~";

#[derive(Clone)]
pub struct ByHand {
    connection: MultiplexedConnection,
    commit: String,
    find: String,
    records: Records,
}

impl ByHand {
    pub fn fill(runtime: &Runtime, url: &str, records: Records) -> Self {
        runtime.block_on(async {
            let client = redis::Client::open(url).unwrap();
            // Its own choice is half a second.
            let config = AsyncConnectionConfig::new().set_response_timeout(Some(PATIENCE));
            let connected = client.get_multiplexed_async_connection_with_config(&config);
            let mut connection = connected.await.unwrap();
            let mut load = async |script: &str| {
                let load = cmd("SCRIPT")
                    .arg("LOAD")
                    .arg(format!("{LAYOUT}{script}"))
                    .clone();
                load.query_async::<String>(&mut connection).await.unwrap()
            };
            let (commit, find) = (load(COMMIT).await, load(FIND).await);
            let it = Self {
                connection,
                commit,
                find,
                records,
            };
            for first in (0..records.count).step_by(BATCH as usize) {
                it.put_all(first..records.count.min(first + BATCH), "-")
                    .await;
            }
            it
        })
    }

    async fn send(&self, command: &Cmd) -> Value {
        let mut connection = self.connection.clone();
        connection.send_packed_command(command).await.unwrap()
    }

    async fn put_all(&self, numbers: impl IntoIterator<Item = u64>, expect: &str) {
        let mut commit = self.commit();
        for number in numbers {
            let draft = self.records.draft(number);
            let mut attributes = Vec::new();
            for Attribute { name, value } in &draft.attributes {
                attributes.push(name.len() as u8);
                attributes.extend(name.as_bytes());
                attributes.extend((value.len() as u16).to_be_bytes());
                attributes.extend(value.as_bytes());
            }
            let key = &draft.key;
            commit
                .arg("P")
                .arg(expect)
                .arg(&key.collection)
                .arg(&key.id);
            commit.arg(NEVER).arg(attributes).arg(&draft.body);
        }
        self.committed(&commit).await;
    }

    fn commit(&self) -> Cmd {
        let mut commit = cmd("EVALSHA");
        commit
            .arg(&self.commit)
            .arg(1)
            .arg(PREFIX)
            .arg(NOW)
            .arg("")
            .arg("");
        commit
    }

    async fn committed(&self, commit: &Cmd) {
        let answer: Vec<String> = redis::from_redis_value(self.send(commit).await).unwrap();
        assert_eq!(answer[0], "ok");
    }
}

/// A record from its bytes: who does this by hand wants the same as the component gives.
fn record(key: Key, mut value: Vec<u8>) -> Stored {
    let number = |from: usize, to: usize| {
        let digits = str::from_utf8(&value[from..to]).unwrap();
        digits.parse::<u64>().unwrap()
    };
    let stamp = Stamp {
        create_revision: number(1, 20),
        mod_revision: number(20, 39),
        created_at: number(39, 54),
        updated_at: number(54, 69),
    };
    let body = 91 + number(84, 91) as usize;
    let mut draft = Draft::new(key, Vec::new());
    let mut rest = &value[91..body];
    while let Some((&length, name)) = rest.split_first() {
        let (name, value) = name.split_at(usize::from(length));
        let (length, value) = value.split_first_chunk().unwrap();
        let (value, next) = value.split_at(usize::from(u16::from_be_bytes(*length)));
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        draft = draft.attribute(text(name), text(value));
        rest = next;
    }
    value.drain(..body);
    draft.body = value;
    Stored { draft, stamp }
}

impl Contestant for ByHand {
    async fn create(&self, number: u64) {
        self.put_all([number], "-").await;
    }

    async fn load(&self, number: u64) {
        let key = Records::key(number);
        let name = format!("{PREFIX}r:4:task:{}", key.id);
        let Value::BulkString(value) = self.send(cmd("GET").arg(name)).await else {
            panic!("there is no record {number}");
        };
        assert_eq!(record(key, value).draft.attributes.len(), 3);
    }

    async fn update(&self, number: u64) {
        self.put_all([number], "+").await;
    }

    async fn delete(&self, number: u64) {
        let mut commit = self.commit();
        let key = Records::key(number);
        commit.arg("R").arg("+").arg(&key.collection).arg(&key.id);
        self.committed(&commit).await;
    }

    async fn find(&self, number: u64) {
        let mut call = cmd("EVALSHA");
        call.arg(&self.find).arg(1).arg(PREFIX).arg(NOW);
        call.arg(1).arg(4 << 20).arg(1).arg(0).arg("");
        call.arg("c")
            .arg("task")
            .arg("request-id")
            .arg(Records::request(number));
        let answer: (u64, String, Vec<u8>) =
            redis::from_redis_value(self.send(&call).await).unwrap();
        let id = answer.1.strip_prefix("4:task:").unwrap();
        assert_eq!(
            record(Key::new("task", id), answer.2)
                .draft
                .attributes
                .len(),
            3
        );
    }

    async fn batch(&self, first: u64) {
        self.put_all(first..first + BATCH, "-").await;
    }
}

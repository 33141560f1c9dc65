//! The Redis backend against redis-rs with the same scripts and keys, and with GET and SET alone.

use std::time::Duration;

use criterion::{BenchmarkGroup, Criterion, Throughput, measurement::WallTime};
use mortise::{Attribute, Draft, Key, Query, Stamp, Store, Stored};
use redis::aio::MultiplexedConnection;
use redis::{Cmd, Value, cmd};
use tokio::runtime::Runtime;

use crate::support::redis::RedisServer;
use crate::{RECORDS, draft, fill, key, many_callers, one_caller, open};

const LAYOUT: &str = include_str!("../../host/src/capability/redis/lua/layout.lua");
const COMMIT: &str = include_str!("../../host/src/capability/redis/lua/commit.lua");
const FIND: &str = include_str!("../../host/src/capability/redis/lua/find.lua");

/// redis-rs on one connection that all callers share, as the host's.
#[derive(Clone)]
struct Native {
    connection: MultiplexedConnection,
    prefix: &'static str,
    commit: String,
    find: String,
}

impl Native {
    fn open(runtime: &Runtime, server: &RedisServer) -> Self {
        runtime.block_on(async {
            let client = redis::Client::open(server.url()).unwrap();
            let mut connection = client.get_multiplexed_async_connection().await.unwrap();
            let mut load = async |script: &str| {
                let text = format!("{LAYOUT}{script}");
                let load = cmd("SCRIPT").arg("LOAD").arg(text).clone();
                load.query_async::<String>(&mut connection).await.unwrap()
            };
            let (commit, find) = (load(COMMIT).await, load(FIND).await);
            Self {
                connection,
                prefix: "mortise:{native}:",
                commit,
                find,
            }
        })
    }

    async fn send(&self, command: &Cmd) -> Value {
        let mut connection = self.connection.clone();
        connection.send_packed_command(command).await.unwrap()
    }

    /// Writes a record; answers its mod-revision.
    async fn put(&self, draft: Draft, expect: &str) -> String {
        let mut attributes = Vec::new();
        for Attribute { name, value } in &draft.attributes {
            attributes.push(name.len() as u8);
            attributes.extend(name.as_bytes());
            attributes.extend((value.len() as u16).to_be_bytes());
            attributes.extend(value.as_bytes());
        }
        let mut call = cmd("EVALSHA");
        call.arg(&self.commit).arg(1).arg(self.prefix);
        call.arg("001767225600000").arg("").arg("");
        call.arg("P")
            .arg(expect)
            .arg(&draft.key.collection)
            .arg(&draft.key.id);
        call.arg("~~~~~~~~~~~~~~~").arg(attributes).arg(&draft.body);
        let answer: Vec<String> = redis::from_redis_value(self.send(&call).await).unwrap();
        assert_eq!(answer[0], "ok");
        answer[1][19..38].to_owned()
    }

    async fn load(&self, number: u64) -> Stored {
        let key = key(number);
        let name = format!("{}r:4:task:{}", self.prefix, key.id);
        let Value::BulkString(value) = self.send(cmd("GET").arg(name)).await else {
            panic!("there is no record {number}");
        };
        record(key, value)
    }

    async fn find(&self, number: u64) -> Stored {
        let mut call = cmd("EVALSHA");
        call.arg(&self.find).arg(1).arg(self.prefix);
        call.arg("001767225600000")
            .arg(1)
            .arg(4 << 20)
            .arg(1)
            .arg(0)
            .arg("");
        call.arg("c")
            .arg("task")
            .arg("request-id")
            .arg(format!("request-{number}"));
        let answer: (u64, String, Vec<u8>) =
            redis::from_redis_value(self.send(&call).await).unwrap();
        let id = answer.1.strip_prefix("4:task:").unwrap();
        record(Key::new("task", id), answer.2)
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

/// What is measured of one operation: three contestants, with one caller and with 64.
struct Contest<'a> {
    runtime: &'a Runtime,
    group: BenchmarkGroup<'a, WallTime>,
}

impl Contest<'_> {
    fn run<F>(&mut self, contestant: &str, call: impl Fn(u64) -> F + Clone + Send + Sync + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let mut next = 0;
        let mut fresh = move |count: u64| {
            next += count;
            next - count
        };
        self.group
            .bench_function(format!("{contestant}, 1 caller"), |bencher| {
                bencher.iter_custom(|count| {
                    let first = fresh(count);
                    one_caller(self.runtime, count, |number| call(first + number))
                });
            });
        self.group
            .bench_function(format!("{contestant}, 64 callers"), |bencher| {
                bencher.iter_custom(|count| {
                    let (first, call) = (fresh(count), call.clone());
                    many_callers(self.runtime, count, move |number| call(first + number))
                });
            });
    }
}

pub fn redis(criterion: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    // One server each, so that what one contestant writes does not slow the next one down.
    let servers = [(); 3].map(|()| RedisServer::start(&[]));
    let store = open(&runtime, &servers[0].url());
    let native = Native::open(&runtime, &servers[1]);
    let plain = Native::open(&runtime, &servers[2]);
    fill(&runtime, &store);
    runtime.block_on(async {
        for number in 0..RECORDS {
            native.put(draft(number), "-").await;
        }
        for number in 0..RECORDS {
            let record = draft(number);
            plain
                .send(cmd("SET").arg(record.key.id).arg(record.body))
                .await;
        }
    });
    let mut contest = |operation: &str, contestants: &mut dyn FnMut(&mut Contest)| {
        let mut group = criterion.benchmark_group(format!("redis, {operation}"));
        group
            .throughput(Throughput::Elements(1))
            .sample_size(20)
            .measurement_time(Duration::from_secs(3));
        let runtime = &runtime;
        contestants(&mut Contest { runtime, group });
    };

    contest("load", &mut |contest| {
        let it = native.clone();
        contest.run("native, same keys", move |number| {
            let it = it.clone();
            async move { drop(it.load(number * 7 % RECORDS).await) }
        });
        let it = store.clone();
        contest.run("component", move |number| {
            let it = it.clone();
            async move { drop(it.load(&key(number * 7 % RECORDS)).await.unwrap().unwrap()) }
        });
        let it = plain.clone();
        contest.run("GET alone", move |number| {
            let it = it.clone();
            async move { drop(it.send(cmd("GET").arg(key(number * 7 % RECORDS).id)).await) }
        });
    });
    contest("find by request id", &mut |contest| {
        let it = native.clone();
        contest.run("native, same script", move |number| {
            let it = it.clone();
            async move { drop(it.find(number * 7 % RECORDS).await) }
        });
        let it = store.clone();
        contest.run("component", move |number| {
            let it = it.clone();
            async move {
                let request = format!("request-{}", number * 7 % RECORDS);
                let query = Query::new("task").with("request-id", request).limit(1);
                assert_eq!(it.find(query).await.unwrap().records.len(), 1);
            }
        });
    });
    contest("update", &mut |contest| {
        let it = native.clone();
        contest.run("native, same script", move |number| {
            let it = it.clone();
            async move { drop(it.put(draft(number * 7 % RECORDS), "+").await) }
        });
        let it = store.clone();
        contest.run("component", move |number| {
            let it = it.clone();
            async move {
                it.update(draft(number * 7 % RECORDS), None)
                    .await
                    .map(drop)
                    .unwrap()
            }
        });
        contest.run("SET alone", set(&plain, |number| number * 7 % RECORDS));
    });
    contest("create", &mut |contest| {
        let it = native.clone();
        contest.run("native, same script", move |number| {
            let it = it.clone();
            async move { drop(it.put(draft(RECORDS + number), "-").await) }
        });
        let it: Store = store.clone();
        contest.run("component", move |number| {
            let it = it.clone();
            async move { it.create(draft(RECORDS + number)).await.map(drop).unwrap() }
        });
        contest.run("SET alone", set(&plain, |number| RECORDS + number));
    });
}

/// Writes the body of a record by SET.
fn set(
    plain: &Native,
    which: fn(u64) -> u64,
) -> impl Fn(u64) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> + Clone + Send + Sync + 'static
{
    let it = plain.clone();
    move |number| {
        let it = it.clone();
        Box::pin(async move {
            let record = draft(which(number));
            it.send(cmd("SET").arg(record.key.id).arg(record.body))
                .await;
        })
    }
}

//! Imports of what Teal Agents' Redis store wrote: `fixtures/teal-redis.rdb`, with the counts that a correct
//! reader must report.

use std::collections::BTreeMap;
use std::net::TcpListener;

use mortise::agent::{AgentTask, TaskQuery, TaskStore};
use mortise::transfer::{TealExpiry, TealOptions, TealReport, import_teal_redis};
use mortise::{Error, ErrorKind, Key, RedisGrant, Store};

use crate::support::redis::{RedisServer, Teal};
use crate::support::{Fixture, START, export_all, host};

/// The first 100 lines are the tasks in the dump, byte for byte.
const TASKS: &str = include_str!("../fixtures/teal-tasks.jsonl");
/// 2036-01-01T00:00:00Z: when the keys in the dump expire.
const END: u64 = 2_082_758_400_000;
/// The tasks in the dump that do not.
const MORTAL_NEVER: [&str; 3] = [
    "140781fd-9e94-42bf-a6c0-f7bdfd829108",
    "6b47c784-4290-4aa5-b82d-2c48f7b6494d",
    "6cb8c627-6c60-4177-b6b1-9f620fac1c50",
];

fn grant(teal: &Teal) -> RedisGrant {
    RedisGrant::from_url(&teal.server.url()).unwrap()
}

fn key(id: &str) -> String {
    format!("task_persistence:task:{id}")
}

fn options() -> TealOptions {
    TealOptions::default()
}

fn dry_run() -> TealOptions {
    let mut options = TealOptions::default();
    options.dry_run = true;
    options
}

async fn import(teal: &Teal, store: &Store, options: &TealOptions) -> Result<TealReport, Error> {
    import_teal_redis(store, &grant(teal), options, |_| {}).await
}

/// The tasks of a store in the order of their creation.
async fn tasks(store: &Store) -> Vec<AgentTask> {
    let query = TaskQuery {
        limit: 1000,
        ..TaskQuery::default()
    };
    let page = TaskStore::new(store.clone()).list(query).await.unwrap();
    assert!(page.next.is_none());
    page.tasks.into_iter().map(|task| task.value).collect()
}

fn assert_counts(report: &TealReport) {
    assert_eq!((report.tasks, report.items), (100, 510));
    assert_eq!((report.request_ids, report.request_pairs), (253, 255));
    assert_eq!((report.index_keys, report.index_members), (253, 257));
    let statuses = [
        ("Canceled", 7),
        ("Completed", 48),
        ("Failed", 11),
        ("Paused", 12),
        ("Running", 22),
    ];
    let statuses = statuses.map(|(status, tasks)| (status.to_owned(), tasks));
    assert_eq!(report.statuses, BTreeMap::from(statuses));
    let stale = report.stale_members.iter();
    let stale: Vec<_> = stale
        .map(|stale| (stale.request_id.as_str(), stale.task_id.as_str()))
        .collect();
    assert_eq!(
        stale,
        [
            (
                "34df6cf9-0e85-4812-931e-869936b3bd12",
                "2d2bc7b5-7e2f-45be-b062-5ede933a2c19"
            ),
            (
                "58fed00e-f2e6-4c3f-9f9b-5ffc15c74d79",
                "e3efec5b-bb65-4998-9bb1-a09012dce352"
            ),
        ]
    );
    assert_eq!(
        (report.tasks_with_expiry, report.tasks_without_expiry),
        (97, 3)
    );
    assert_eq!(report.skipped, []);
    assert_eq!(report.skipped_tasks, 0);
}

/// Imports the dump, first dry, then twice, and looks at what is in the store.
async fn assert_imported(teal: &Teal, store: &Store) {
    let before = teal.state();
    let dry = import(teal, store, &dry_run()).await.unwrap();
    assert_counts(&dry);
    assert!(dry.dry_run);
    assert_eq!((dry.created, dry.unchanged), (100, 0));
    assert!(export_all(store).await.is_empty(), "a dry run wrote");

    let mut told = Vec::new();
    let report = import_teal_redis(store, &grant(teal), &options(), |tasks| told.push(tasks))
        .await
        .unwrap();
    assert_counts(&report);
    assert!(!report.dry_run);
    assert_eq!((report.created, report.unchanged), (100, 0));
    assert!(told.is_sorted() && told.last() == Some(&100), "{told:?}");

    let lines: BTreeMap<_, _> = TASKS
        .lines()
        .take(100)
        .map(|line| {
            (
                serde_json::from_str::<AgentTask>(line).unwrap().task_id,
                line,
            )
        })
        .collect();
    let records = export_all(store).await;
    assert_eq!(records.len(), 100);
    for record in &records {
        let id = record.key().id.as_str();
        assert_eq!(record.draft.body, lines[id].as_bytes(), "{id}");
        let never = MORTAL_NEVER.contains(&id);
        assert_eq!(record.draft.expires_at, (!never).then_some(END), "{id}");
    }
    let tasks = TaskStore::new(store.clone());
    for (request, first) in [
        (
            "58fed00e-f2e6-4c3f-9f9b-5ffc15c74d79",
            "17f6e67b-2002-4a9d-8c78-e35c4286197d",
        ),
        (
            "ce9623af-d237-4392-809c-1344af12b547",
            "594ff25c-a5f1-4dd4-9881-bd8298554f73",
        ),
    ] {
        let found = tasks.load_by_request_id(request).await.unwrap().unwrap();
        assert_eq!(found.task_id, first);
    }

    let again = import(teal, store, &options()).await.unwrap();
    assert_counts(&again);
    assert_eq!((again.created, again.unchanged), (0, 100));
    assert_eq!(export_all(store).await, records);
    assert_eq!(teal.state(), before, "the older store's keys changed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_task_moves_to_a_file() {
    let teal = Teal::start();
    assert_imported(&teal, &Fixture::new("sqlite").await.store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_task_moves_to_new_keys_of_the_same_database() {
    let teal = Teal::start();
    let clock = std::sync::Arc::new(mortise::ManualClock::new(START));
    let host = host().clock(clock).build().unwrap();
    let store = host.open(&teal.server.url()).await.unwrap();
    assert_imported(&teal, &store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_who_may_only_read_is_enough() {
    let teal = Teal::start();
    let user = ["ACL", "SETUSER", "reader", "on", ">secret", "resetkeys"];
    let allowed = ["%R~task_persistence:*", "+@read", "-@write", "-@dangerous"];
    teal.server.command(&[&user[..], &allowed[..]].concat());
    let mut grant = grant(&teal);
    grant.url = grant.url.replace("//", "//reader:secret@");
    let fixture = Fixture::new("sqlite").await;
    teal.server.command(&["CONFIG", "RESETSTAT"]);
    let report = import_teal_redis(&fixture.store, &grant, &options(), |_| {}).await;
    assert_counts(&report.unwrap());
    // `config` and `info` are the test's own; the rest of what is no read is how clients say hello.
    let hello = [
        "auth",
        "client|setinfo",
        "config|resetstat",
        "hello",
        "info",
        "ping",
        "select",
    ];
    for command in teal.commands() {
        let reads = ["scan", "strlen", "mget", "pexpiretime", "smembers"];
        let known = reads.contains(&command.as_str()) || hello.contains(&command.as_str());
        assert!(known, "{command}");
    }
    assert!(teal.commands().contains("mget"));

    teal.server.command(&["ACL", "SETUSER", "reader", "-scan"]);
    let error = import_teal_redis(&fixture.store, &grant, &options(), |_| {}).await;
    let error = error.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    let source = std::error::Error::source(&error).unwrap();
    let hint = source.downcast_ref::<Error>().unwrap().hint().unwrap();
    assert!(hint.contains("+@read"), "{hint}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_server_tells_when_keys_expire_too() {
    let teal = Teal::with(&["--rename-command", "PEXPIRETIME", "NEWER"]);
    let fixture = Fixture::new("sqlite").await;
    assert_counts(&import(&teal, &fixture.store, &options()).await.unwrap());
    for record in export_all(&fixture.store).await {
        let never = MORTAL_NEVER.contains(&record.key().id.as_str());
        let off = record.draft.expires_at.map(|at| at.abs_diff(END));
        assert!(off.is_none() == never && off < Some(10_000), "{off:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expiry_can_be_left_out_and_otherwise_ends_the_task() {
    let teal = Teal::start();
    let (kept, dropped) = (Fixture::new("memory").await, Fixture::new("memory").await);
    import(&teal, &kept.store, &options()).await.unwrap();
    let mut drop = options();
    drop.expiry = TealExpiry::Drop;
    let report = import(&teal, &dropped.store, &drop).await.unwrap();
    assert_counts(&report);
    for (fixture, left) in [(kept, 3), (dropped, 100)] {
        fixture.clock.set(END - 1);
        assert_eq!(tasks(&fixture.store).await.len(), 100);
        fixture.clock.set(END);
        assert_eq!(tasks(&fixture.store).await.len(), left);
    }
}

/// A task with these times and requests.
fn body(id: &str, created_at: &str, requests: &[&str]) -> String {
    let items: Vec<_> = requests
        .iter()
        .map(|request| {
            format!(
                r#"{{"task_id":"{id}","request_id":"{request}","role":"user","item":{{}},"updated":""}}"#
            )
        })
        .collect();
    let items = items.join(",");
    format!(
        r#"{{"task_id":"{id}","session_id":"s","user_id":"u","items":[{items}],"created_at":"{created_at}","last_updated":"","status":"Running"}}"#
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_oldest_is_created_first() {
    let teal = Teal::empty();
    for (id, created_at) in [
        ("third", "2025-06-02T12:00:00+02:00"),
        ("b-unknown", "yesterday"),
        ("first", "2025-06-02T09:59:59.999999"),
        ("fourth", "2025-06-02T10:00:00.5"),
        ("second", "2025-06-02T10:00:00Z"),
        ("a-unknown", ""),
        ("second-too", "2025-06-02T10:00:00"),
    ] {
        teal.server
            .command(&["SET", &key(id), &body(id, created_at, &["r"])]);
    }
    let fixture = Fixture::new("sqlite").await;
    let report = import(&teal, &fixture.store, &options()).await.unwrap();
    assert_eq!((report.created, report.request_pairs), (7, 7));
    let ids: Vec<_> = tasks(&fixture.store)
        .await
        .into_iter()
        .map(|task| task.task_id)
        .collect();
    let order = [
        "first",
        "second",
        "second-too",
        "third",
        "fourth",
        "a-unknown",
        "b-unknown",
    ];
    assert_eq!(ids, order);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_imported_is_skipped_and_reported() {
    let teal = Teal::empty();
    let fixture = Fixture::with("sqlite", "body-bytes=2KiB").await;
    let store = TaskStore::new(fixture.store.clone());
    let set = |id: &str, value: &[u8]| {
        teal.server.command(&[b"SET", key(id).as_bytes(), value]);
    };
    let long = "l".repeat(1025);
    let many: Vec<_> = (0..40).map(|number| number.to_string()).collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    let request = "r".repeat(1025);
    for (id, value) in [
        ("good", body("good", "", &["r-1", "r-2", "r-1"])),
        ("spaced", body("spaced", "", &[]).replace(',', " ,\n")),
        ("no-json", "{\"task_id\":".to_owned()),
        ("empty", String::new()),
        ("no-task", r#"{"task_id":"no-task"}"#.to_owned()),
        ("renamed", body("other", "", &[])),
        ("large", body("large", "", &many)),
        ("request", body("request", "", &[&request])),
        ("taken", body("taken", "", &[])),
        ("same", body("same", "", &[])),
        (&long, body(&long, "", &[])),
    ] {
        set(id, value.as_bytes());
    }
    set("no-text", b"\xff\xfe");
    teal.server.command(&["RPUSH", &key("list"), "x"]);
    teal.server
        .command(&[b"SET", &b"task_persistence:task:\xff"[..], b"x"]);
    teal.server
        .command(&["SET", "task_persistence:request_index:string", "x"]);
    teal.server.command(&[
        "SADD",
        "task_persistence:request_index:r-1",
        "good",
        "list",
        "gone",
    ]);
    teal.server.command(&["SET", "task_persistence:else", "x"]);
    store.create(&AgentTask::new("taken")).await.unwrap();
    let same: AgentTask = serde_json::from_str(&body("same", "", &[])).unwrap();
    store.create(&same).await.unwrap();

    let before = teal.state();
    let dry = import(&teal, &fixture.store, &dry_run()).await.unwrap();
    let report = import(&teal, &fixture.store, &options()).await.unwrap();
    assert_eq!(report, {
        let mut same = dry;
        same.dry_run = false;
        same
    });
    assert_eq!((report.tasks, report.created, report.unchanged), (14, 2, 1));
    assert_eq!((report.skipped_tasks, report.skipped.len()), (11, 12));
    assert_eq!(
        (report.items, report.request_ids, report.request_pairs),
        (3, 2, 2)
    );
    assert_eq!((report.index_keys, report.index_members), (1, 3));
    assert_eq!(report.stale_members.len(), 1);
    assert_eq!(report.stale_members[0].task_id, "gone");
    let skipped = report.skipped.iter();
    let skipped: BTreeMap<_, _> = skipped
        .map(|skipped| (&*skipped.key, &*skipped.reason))
        .collect();
    for (id, reason) in [
        ("no-json", "no JSON: EOF"),
        ("empty", "no JSON: EOF"),
        ("no-task", "no agent task: missing field `session_id`"),
        ("renamed", "another id than the key: \"other\""),
        ("large", "bytes, more than the 2048"),
        (
            "request",
            "the value of the attribute \"request-id\" has 1025 bytes",
        ),
        ("taken", "already, with other content"),
        (&long, "the id has 1025 bytes"),
        ("no-text", "not UTF-8"),
        ("list", "a list, expected a string"),
        ("\u{FFFD}", "no JSON"),
    ] {
        let found = skipped[key(id).as_str()];
        assert!(found.contains(reason), "{id}: {found}");
    }
    assert_eq!(
        skipped["task_persistence:request_index:string"],
        "the index key is no set"
    );
    let mut ids: Vec<_> = tasks(&fixture.store)
        .await
        .into_iter()
        .map(|task| task.task_id)
        .collect();
    ids.sort();
    assert_eq!(ids, ["good", "same", "spaced", "taken"]);
    assert_eq!(teal.state(), before, "the older store's keys changed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_call_does_not_take_is_split() {
    let teal = Teal::empty();
    let requests: Vec<_> = (0..600).map(|number| format!("r-{number}")).collect();
    let requests: Vec<_> = requests.iter().map(String::as_str).collect();
    // More attributes together than a batch has, and more bytes together than a page has.
    for number in 0..40 {
        let id = format!("t-{number:02}");
        let padding = "x".repeat(200 << 10);
        let value = body(&id, "2025-06-02T10:00:00", &requests)
            .replace("\"s\"", &format!("\"{number}\",\"more\":\"{padding}\""));
        teal.server.command(&["SET", &key(&id), &value]);
    }
    let fixture = Fixture::with("sqlite", "body-bytes=1MiB&batch-bytes=1MiB").await;
    for unchanged in [0, 40] {
        let report = import(&teal, &fixture.store, &options()).await.unwrap();
        assert_eq!(report.skipped, []);
        assert_eq!(
            (report.unchanged, report.created),
            (unchanged, 40 - unchanged)
        );
        assert_eq!((report.request_ids, report.request_pairs), (600, 24_000));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_source_is_refused() {
    let fixture = Fixture::new("memory").await;
    let import = async |url: &str| {
        let grant = RedisGrant::from_url(url).unwrap();
        import_teal_redis(&fixture.store, &grant, &options(), |_| {}).await
    };
    let error = import("redis+cluster://127.0.0.1:1").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("Redis Cluster"), "{error}");
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let nobody = import(&format!("redis://127.0.0.1:{port}"))
        .await
        .unwrap_err();
    assert_eq!(nobody.kind(), ErrorKind::Unavailable);
    let locked = RedisServer::start(&["--requirepass", "secret"]);
    let error = import(&locked.url()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
}

/// Kills the connections of clients, as often as it is asked.
fn cut(teal: &Teal) {
    teal.server.command(&["CLIENT", "KILL", "TYPE", "normal"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_is_lost_hides_no_key() {
    let teal = Teal::start();
    let others = "for number = 1, 5000 do redis.call('SET', 'other:' .. number, '') end";
    teal.server.command(&["EVAL", others, "0"]);
    let scans = || -> u64 {
        let stats: String = teal.server.ask(&["INFO", "commandstats"]);
        let scans = stats.split("cmdstat_scan:calls=").nth(1).unwrap();
        scans.split(',').next().unwrap().parse().unwrap()
    };
    let fixture = Fixture::new("memory").await;
    import(&teal, &fixture.store, &dry_run()).await.unwrap();
    let undisturbed = scans();
    assert!(undisturbed > 3);
    let mut told = 0;
    let (grant, options) = (grant(&teal), options());
    let report = import_teal_redis(&fixture.store, &grant, &options, |_| {
        told += 1;
        if told == 2 {
            cut(&teal);
        }
    });
    assert_counts(&report.await.unwrap());
    // One scan that was cut, and a whole one.
    assert!(scans() >= 3 * undisturbed, "{} of {undisturbed}", scans());

    // Later on, what was read is not read again.
    let report = import_teal_redis(&fixture.store, &grant, &options, |tasks| {
        if tasks > 0 {
            cut(&teal);
        }
    });
    assert_eq!(report.await.unwrap().unchanged, 100);
    let cut_again = import_teal_redis(&fixture.store, &grant, &options, |_| cut(&teal));
    let error = cut_again.await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.hint().unwrap().contains("import again"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_update_keeps_the_expiry_and_a_ttl_on_write_goes_on_counting() {
    const HOUR: u64 = 3_600_000;
    let server = RedisServer::start(&[]);
    let clock = std::sync::Arc::new(mortise::ManualClock::new(START));
    let host = host().clock(clock.clone()).build().unwrap();
    let url = format!("{}?ttl=1h&ttl-policy=on-write", server.url());
    let store = host.open(&url).await.unwrap();
    let tasks = TaskStore::new(store.clone());
    let ends = async |id: &str| {
        let task = tasks.load(id).await.unwrap().unwrap();
        task.expires_at.unwrap() - START
    };
    tasks.create(&AgentTask::new("sliding")).await.unwrap();
    let mut fixed = tasks.load("sliding").await.unwrap().unwrap();
    fixed.expires_at = Some(START + 3 * HOUR);
    assert_eq!(ends("sliding").await, HOUR);
    clock.advance(HOUR / 2);
    tasks.modify("sliding", |_| ()).await.unwrap();
    assert_eq!(ends("sliding").await, HOUR + HOUR / 2);
    let sliding = tasks.load("sliding").await.unwrap().unwrap();
    clock.advance(HOUR / 2);
    tasks.replace(&sliding).await.unwrap();
    assert_eq!(ends("sliding").await, 2 * HOUR);
    fixed.revision = tasks.load("sliding").await.unwrap().unwrap().revision;
    tasks.update(&mut fixed).await.unwrap();
    tasks.modify("sliding", |_| ()).await.unwrap();
    assert_eq!(ends("sliding").await, 3 * HOUR);
    let stored = store.load(&Key::new("task", "sliding")).await.unwrap();
    assert_eq!(stored.unwrap().draft.expires_at, Some(START + 3 * HOUR));
}

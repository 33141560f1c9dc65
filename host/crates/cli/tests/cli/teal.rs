//! Moving in from Teal Agents: `store import --from teal-redis`, and `--store env:teal`.

use std::fs;
use std::io::Read as _;
use std::net::TcpListener;

use insta::assert_snapshot;
use mortise_test_servers::Teal;

use super::{Cli, task};

fn import(teal: &Teal, more: &str) -> String {
    format!(
        "store import --from teal-redis {} {more}",
        teal.server.url()
    )
}

#[test]
fn a_store_of_teal_moves_in() {
    let (cli, teal) = (Cli::new(), Teal::start());
    let before = teal.state();
    assert_snapshot!(cli.run(&import(&teal, "--dry-run")), @r"
    exit code 0
    -- stdout
    what                   count
    tasks read             100
      would be created     100
      unchanged            0
      would be skipped     0
      status Canceled      7
      status Completed     48
      status Failed        11
      status Paused        12
      status Running       22
      with a time to live  97
      without one          3
    items                  510
    request ids            253
      pairs with a task    255
    index keys             253
      members              257
      stale members        2

    stale index of request                names task
    34df6cf9-0e85-4812-931e-869936b3bd12  2d2bc7b5-7e2f-45be-b062-5ede933a2c19
    58fed00e-f2e6-4c3f-9f9b-5ffc15c74d79  e3efec5b-bb65-4998-9bb1-a09012dce352
    ");
    assert_eq!(cli.run("store stats").stdout, "");
    assert_snapshot!(cli.run(&import(&teal, "--format json")), @r#"
    exit code 0
    -- stdout
    {"dry_run":false,"tasks":100,"created":100,"unchanged":0,"skipped_tasks":0,"skipped":[],"items":510,"request_ids":253,"request_pairs":255,"statuses":{"Canceled":7,"Completed":48,"Failed":11,"Paused":12,"Running":22},"tasks_with_expiry":97,"tasks_without_expiry":3,"index_keys":253,"index_members":257,"stale_members":[{"request_id":"34df6cf9-0e85-4812-931e-869936b3bd12","task_id":"2d2bc7b5-7e2f-45be-b062-5ede933a2c19"},{"request_id":"58fed00e-f2e6-4c3f-9f9b-5ffc15c74d79","task_id":"e3efec5b-bb65-4998-9bb1-a09012dce352"}]}
    "#);
    assert_snapshot!(cli.run("store stats"), @r"
    exit code 0
    -- stdout
    collection  records  body bytes
    task        100      269605
    ");
    assert_snapshot!(cli.run("task find --request-id 58fed00e-f2e6-4c3f-9f9b-5ffc15c74d79 --all"), @r"
    exit code 0
    -- stdout
    task                                  status     revision  items  last updated                session
    17f6e67b-2002-4a9d-8c78-e35c4286197d  Completed  13        10     2025-06-04T03:28:39.512745  3764b078-fe51-4273-9700-d90e775b1d74
    9f4f6db8-f8cb-4c8a-8fb2-4a457957aa9c  Completed  24        8      2025-06-05T14:05:02.448420  8b74435d-66d8-4784-b88c-5edbc96b9c37
    ");
    let key = "task_persistence:task:damaged";
    teal.server.command(&["SET", key, "{\"task_id\":"]);
    teal.server
        .command(&["SET", "task_persistence:task:new", &task("new", "Paused")]);
    assert_snapshot!(cli.run(&import(&teal, "--expiry drop")), @r"
    exit code 6
    -- stdout
    what                   count
    tasks read             102
      created              1
      unchanged            100
      skipped              1
      status Canceled      7
      status Completed     48
      status Failed        11
      status Paused        13
      status Running       22
      with a time to live  97
      without one          4
    items                  511
    request ids            254
      pairs with a task    256
    index keys             253
      members              257
      stale members        2

    stale index of request                names task
    34df6cf9-0e85-4812-931e-869936b3bd12  2d2bc7b5-7e2f-45be-b062-5ede933a2c19
    58fed00e-f2e6-4c3f-9f9b-5ffc15c74d79  e3efec5b-bb65-4998-9bb1-a09012dce352

    skipped key                    reason
    task_persistence:task:damaged  the value is no JSON: EOF while parsing a value at column 11
    -- stderr
    error: not everything was imported: 1 skipped
    hint: they are as they were in the source; mend them there and import again
    ");
    teal.server
        .command(&["DEL", key, "task_persistence:task:new"]);
    assert_eq!(teal.state(), before);
}

#[test]
fn an_update_keeps_when_a_task_expires() {
    let (cli, teal) = (Cli::new(), Teal::start());
    assert_eq!(cli.run(&import(&teal, "")).code, 0);
    let id = "17f6e67b-2002-4a9d-8c78-e35c4286197d";
    let update = |arguments: &str| {
        let run = cli.feed(&task(id, "Paused"), &format!("task update {arguments}"));
        assert_eq!(run.code, 0, "{run}");
        run.stdout.rsplit_once(' ').unwrap().1.trim().to_owned()
    };
    let revision = update("");
    update(&format!("--revision {revision}"));
    let export = cli.run("store export").stdout;
    let line = export.lines().find(|line| line.contains(id)).unwrap();
    assert!(line.contains("\"expires_at\":2082758400000"), "{line}");
    assert!(line.contains("Paused"), "{line}");
}

#[test]
fn what_is_wrong_with_the_source_is_said() {
    let cli = Cli::new();
    for (arguments, code, part) in [
        ("--from teal-redis", 2, "takes the URL of a Redis"),
        ("--from teal-redis tasks.rdb", 2, "takes the URL of a Redis"),
        ("--dry-run", 2, "--from <KIND>"),
        ("--expiry keep x", 2, "--from <KIND>"),
        ("--from redis redis://a", 2, "teal-redis"),
        ("--from teal-redis sqlite:x.db", 9, "no URL of Redis"),
        ("--from teal-redis redis://a?ttl=1h", 9, "of a store"),
        (
            "--from teal-redis redis://a?password-env=NOT_SET",
            9,
            "NOT_SET",
        ),
        ("--from teal-redis redis+cluster://a", 9, "Redis Cluster"),
        ("--from teal-redis redis://127.0.0.1:1", 7, "no connection"),
        ("--from teal-redis env:teal", 9, "TA_REDIS_HOST"),
    ] {
        let run = cli.run(&format!("store import {arguments}"));
        assert!(
            run.code == code && run.stderr.contains(part),
            "{arguments}: {run}"
        );
    }
}

#[test]
fn the_variables_of_teal_name_the_store() {
    let teal = Teal::with(&["--requirepass", "secret"]);
    let cli = Cli::without_store()
        .set("TA_REDIS_HOST", "127.0.0.1")
        .set("TA_REDIS_PORT", teal.server.port())
        .set("TA_REDIS_DB", "0")
        .set("TA_REDIS_TTL", "3600")
        .set("TA_REDIS_PWD", "secret");
    let run = cli.run("store import --from teal-redis env:teal --store env:teal");
    assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{run}");
    assert_snapshot!(cli.run("store stats --store env:teal"), @r"
    exit code 0
    -- stdout
    collection  records  body bytes
    task        100      269605
    ");
    assert_snapshot!(cli.run("store health --store env:teal"), @r"
    exit code 0
    -- stdout
    healthy: store redis, backend redis 0.1.0, namespace default, durable, pooled
    ");
    cli.feed(&task("new", "Running"), "task create --store env:teal");
    let export = cli.run("store export --store env:teal").stdout;
    let new = export.lines().rev().nth(1).unwrap();
    let new: serde_json::Value = serde_json::from_str(new).unwrap();
    let lives = new["expires_at"].as_u64().unwrap() - new["created_at"].as_u64().unwrap();
    assert!(lives.abs_diff(3_600_000) < 10_000, "{lives}");
}

#[test]
fn what_teal_calls_ssl_is_tls() {
    let cli = Cli::without_store();
    let made = std::process::Command::new("openssl")
        .args([
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
        ])
        .args(["-subj", "/CN=ca", "-keyout", "ca.key", "-out", "ca.pem"])
        .current_dir(cli.folder.path())
        .output();
    assert!(made.unwrap().status.success());
    let ca = fs::canonicalize(cli.path("ca.pem")).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let cli = cli
        .set("TA_REDIS_HOST", "127.0.0.1")
        .set("TA_REDIS_PORT", listener.local_addr().unwrap().port())
        .set("TA_REDIS_PWD", "secret")
        .set("TA_REDIS_SSL", "true")
        // A system without certificates would not get as far as saying hello.
        .set("SSL_CERT_FILE", ca.display());
    let first = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut first = [0];
        stream.read_exact(&mut first).unwrap();
        first[0]
    });
    let run = cli.run("store health --store env:teal");
    assert_eq!(run.code, 7, "{run}");
    // The type of a record of TLS: a handshake.
    assert_eq!(first.join().unwrap(), 0x16);
}

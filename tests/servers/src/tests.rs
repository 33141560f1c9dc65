//! The harness itself.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use ::redis::{Client, Cmd, RedisResult};

use super::{Proxy, RedisCluster, RedisServer, Sentinel, Tls, poll, shared_server};

#[test]
fn a_server_keeps_its_port_and_its_file_over_a_kill() {
    let mut server = RedisServer::start(&["--appendonly", "yes", "--appendfsync", "always"]);
    server.command(&["SET", "a", "1"]);
    let (port, pid) = (server.port(), server.pid());
    server.kill();
    assert!(server.try_command(&["PING"]).is_err());
    server.restart();
    assert_eq!(server.port(), port);
    assert_ne!(server.pid(), pid);
    assert_eq!(server.ask::<String, _>(&["GET", "a"]), "1");
    assert_eq!(server.keys("*"), ["a"]);
    let folder = server.folder().to_owned();
    drop(server);
    assert!(!folder.exists());
}

#[test]
fn a_stopped_server_answers_once_it_goes_on() {
    let server = RedisServer::start(&[]);
    server.stop();
    let port = server.port();
    let asking = std::thread::spawn(move || ping(port, Duration::from_secs(30)));
    assert!(ping(port, Duration::from_millis(200)).is_err());
    assert!(!asking.is_finished());
    server.cont();
    asking.join().unwrap().unwrap();
}

fn ping(port: u16, patience: Duration) -> RedisResult<String> {
    let client = Client::open(format!("redis://127.0.0.1:{port}"))?;
    let mut connection = client.get_connection_with_timeout(patience)?;
    connection.set_read_timeout(Some(patience))?;
    Cmd::new().arg("PING").query(&mut connection)
}

#[test]
#[should_panic(expected = "Bad directive")]
fn a_server_that_does_not_start_says_why() {
    RedisServer::start(&["--no-such-option", "yes"]);
}

#[test]
fn commands_of_clients_are_counted_and_those_of_scripts_are_told_apart() {
    let server = RedisServer::start(&[]);
    let client = Client::open(server.url()).unwrap();
    let mut connection = client.get_connection().unwrap();
    let mut monitor = server.monitor();
    server.reset_stats();
    let mut script = Cmd::new();
    script
        .arg("EVAL")
        .arg("redis.call('SET', KEYS[1], 'x')")
        .arg(1)
        .arg("key");
    script.exec(&mut connection).unwrap();
    let seen = monitor.take();
    assert_eq!(seen.len(), 1, "{seen:?}");
    assert!(seen[0].starts_with("\"EVAL\""), "{seen:?}");
    assert!(monitor.take().is_empty());
    assert_eq!(
        (
            server.calls("eval"),
            server.calls("set"),
            server.calls("get")
        ),
        (1, 1, 0)
    );
}

#[test]
fn a_cluster_moves_its_slots() {
    let cluster = RedisCluster::start();
    let slot = cluster.slot("mortise:{a}:x");
    assert_eq!(slot, cluster.slot("a"));
    let (from, to) = cluster.owner(slot);
    from.command(&["SET", "mortise:{a}:x", "1"]);
    from.command(&["SET", "mortise:{a}:y", "2"]);
    let moving = cluster.begin_move(slot);
    moving.move_keys(1);
    assert_eq!((from.keys("*").len(), to.keys("*").len()), (1, 1));
    moving.finish();
    assert_eq!(cluster.owner(slot).0.port(), to.port());
    assert_eq!(
        to.ask::<Vec<String>, _>(&["MGET", "mortise:{a}:x", "mortise:{a}:y"]),
        ["1", "2"]
    );
    let moved = from.try_command(&["GET", "mortise:{a}:x"]).unwrap_err();
    assert!(
        moved.to_string().contains("MOVED") || moved.code() == Some("MOVED"),
        "{moved}"
    );
}

#[test]
fn a_sentinel_puts_the_replica_in_the_masters_place() {
    let mut master = RedisServer::start(&[]);
    let sentinel = Sentinel::start(&master);
    assert_eq!(sentinel.master_port(), master.port());
    master.command(&["SET", "a", "1"]);
    poll("the replica to follow", || {
        let value: Option<String> = sentinel.replica().ask(&["GET", "a"]);
        value
    });
    master.kill();
    sentinel.await_failover();
    sentinel.replica().command(&["SET", "a", "2"]);
}

#[test]
fn a_server_speaks_tls_with_a_certificate_of_the_ca() {
    let tls = Tls::issued();
    let server = RedisServer::start_tls(&tls, &[]);
    assert!(server.url().starts_with("rediss://"));
    let handshake = |ca: &Path| {
        let address = format!("127.0.0.1:{}", server.port());
        let output = Command::new("openssl")
            .args([
                "s_client",
                "-verify_return_error",
                "-connect",
                &address,
                "-CAfile",
            ])
            .arg(ca)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        output.status.success()
    };
    assert!(handshake(&tls.ca()));
    assert!(!handshake(&tls.stranger()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_forwards_cuts_holds_and_refuses() {
    let server = RedisServer::start(&[]);
    let proxy = Proxy::start(server.port()).await;
    let increment = |patience: Duration| {
        let url = proxy.url();
        tokio::task::spawn_blocking(move || -> RedisResult<u64> {
            let mut connection = Client::open(url)?.get_connection_with_timeout(patience)?;
            connection.set_read_timeout(Some(patience))?;
            Cmd::new().arg("INCR").arg("n").query(&mut connection)
        })
    };
    let long = Duration::from_secs(30);
    assert_eq!(increment(long).await.unwrap().unwrap(), 1);
    assert_eq!((proxy.connections(), proxy.cut()), (1, 0));
    // On a connection that was greeted before.
    let url = proxy.url();
    let (ready, go) = (std::sync::mpsc::channel(), std::sync::mpsc::channel::<()>());
    let cut = tokio::task::spawn_blocking(move || -> RedisResult<u64> {
        let mut connection = Client::open(url)?.get_connection()?;
        Cmd::new().arg("PING").exec(&mut connection)?;
        ready.0.send(()).unwrap();
        go.1.recv().unwrap();
        Cmd::new().arg("INCR").arg("n").query(&mut connection)
    });
    ready.1.recv().unwrap();
    proxy.cut_next_answer();
    go.0.send(()).unwrap();
    assert!(cut.await.unwrap().is_err());
    assert_eq!((server.ask::<u64, _>(&["GET", "n"]), proxy.cut()), (2, 1));
    assert_eq!(increment(long).await.unwrap().unwrap(), 3);
    proxy.hold();
    assert!(
        increment(Duration::from_millis(100))
            .await
            .unwrap()
            .is_err()
    );
    proxy.refuse();
    assert!(increment(long).await.unwrap().is_err());
    proxy.forward();
    assert_eq!(increment(long).await.unwrap().unwrap(), 4);
}

/// Ends the worker by each way that there is; nothing of its server stays behind.
#[test]
fn no_server_outlives_its_test_process() {
    for end in ["return", "panic", "exit", "kill"] {
        let mut worker = Command::new(std::env::current_exe().unwrap())
            .args(["tests::worker_starts_a_server", "--exact", "--ignored"])
            .args(["--nocapture", "--test-threads=1"])
            .env("MORTISE_TEST_END", end)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(worker.stdout.as_mut().unwrap()).lines();
        let line = lines
            .map(Result::unwrap)
            .find_map(|line| {
                line.split_once("listens: ")
                    .map(|(_, named)| named.to_owned())
            })
            .expect("the worker names its server");
        let (port, folder) = line.split_once(' ').unwrap();
        let port = port.parse().unwrap();
        assert!(ping(port, Duration::from_secs(30)).is_ok(), "{end}");
        if end == "kill" {
            worker.kill().unwrap();
        }
        drop(worker.stdin.take());
        worker.wait().unwrap();
        poll("the server and its folder to go", || {
            let gone = ping(port, Duration::from_secs(30)).is_err();
            (gone && !Path::new(folder).exists()).then_some(())
        });
    }
}

#[test]
#[ignore = "a worker of no_server_outlives_its_test_process"]
#[allow(
    clippy::print_stdout,
    clippy::exit,
    reason = "a worker reports on stdout, and ends as told"
)]
fn worker_starts_a_server() {
    let end = std::env::var("MORTISE_TEST_END").expect("workers are started by the tests");
    let server = shared_server();
    println!("listens: {} {}", server.port(), server.folder().display());
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
    match end.as_str() {
        "panic" => panic!("as told"),
        "exit" => std::process::exit(0),
        _ => {}
    }
}

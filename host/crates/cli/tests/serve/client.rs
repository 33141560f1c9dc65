//! The client, against a server that misbehaves: what it makes of that, and how often it asks.

use std::collections::VecDeque;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use mortise::serve::{Server, Token};
use mortise::{
    Draft, Error, ErrorKind, Key, Namespaces, Permission, Query, ServeConfig, Store, TlsConfig,
    TokenConfig, client,
};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::support::{Fixture, draft, key};

/// What a server does with one connection.
#[derive(Clone)]
enum Act {
    /// Closes it at once.
    Close,
    /// Reads a request, and closes it.
    Swallow,
    /// Reads a request, and never answers.
    Hang,
    /// Reads a request, writes this, and closes it.
    Write(String),
}

/// An answer as it goes over the wire.
fn answer(status: &str, media_type: &str, headers: &str, body: &str) -> Act {
    Act::Write(format!(
        "HTTP/1.1 {status}\r\nContent-Type: {media_type}\r\nContent-Length: {}\r\n\
         Connection: close\r\n{headers}\r\n{body}",
        body.len()
    ))
}

fn json_answer(status: &str, body: &serde_json::Value) -> Act {
    answer(status, "application/json", "", &body.to_string())
}

fn problem(status: &str, kind: &str, headers: &str) -> Act {
    let body = json!({
        "type": format!("urn:mortise:problem:{kind}"), "title": "", "status": 0, "detail": "what it says",
    });
    answer(
        status,
        "application/problem+json",
        headers,
        &body.to_string(),
    )
}

/// What both a load and a create take for a success.
fn success() -> [Act; 2] {
    let stamp = json!({"create_revision": 1, "mod_revision": 1, "created_at": 2, "updated_at": 2});
    let mut record = json!({"collection": "task", "id": "a", "body": "one", "attributes": []});
    let fields = record.as_object_mut().unwrap();
    fields.extend(stamp.as_object().unwrap().clone());
    [
        json_answer("200 OK", &record),
        json_answer("201 Created", &stamp),
    ]
}

/// A server that does what it is told, connection by connection, and then serves no other.
struct Scripted {
    store: Store,
    port: u16,
    script: Arc<Mutex<VecDeque<Act>>>,
    /// The first line of each request that came, or nothing where none was read.
    arrived: Arc<Mutex<Vec<String>>>,
    serving: JoinHandle<()>,
}

impl Scripted {
    async fn new() -> Self {
        Self::with("timeout=3s").await
    }

    /// A client with these options, whose store the server has told of.
    async fn with(options: &str) -> Self {
        let info = json!({
            "name": "s", "backend": "memory", "namespace": "default", "version": "1", "singleton": true,
            "durable": false, "max_body_bytes": 1000, "max_batch": 100, "max_batch_bytes": 1000,
            "max_page_bytes": 1000, "generation": 1, "digest": "0".repeat(64), "breaker": "closed",
            "traps": 0, "state_lost": false,
        });
        let script = Arc::new(Mutex::new(VecDeque::from([json_answer("200 OK", &info)])));
        let arrived = Arc::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let serving = tokio::spawn(serve(listener, Arc::clone(&script), Arc::clone(&arrived)));
        let url = format!("http://127.0.0.1:{port}/s?{options}");
        let store = client::connect(&url).await.unwrap();
        arrived.lock().unwrap().clear();
        Self {
            store,
            port,
            script,
            arrived,
            serving,
        }
    }

    fn will(&self, acts: impl IntoIterator<Item = Act>) {
        self.arrived.lock().unwrap().clear();
        let mut script = self.script.lock().unwrap();
        script.clear();
        script.extend(acts);
    }

    fn arrived(&self) -> usize {
        self.arrived.lock().unwrap().len()
    }

    /// What becomes of a load and of a create where the server does this first and then what it should, and how many
    /// requests each took.
    async fn asked(&self, act: &Act) -> [(Result<(), ErrorKind>, usize); 2] {
        let [record, stamp] = success();
        self.will([act.clone(), record]);
        let read = self.load().await;
        let read = (read.map_err(|error| error.kind()), self.arrived());
        self.will([act.clone(), stamp]);
        let written = self.create().await;
        [
            read,
            (written.map_err(|error| error.kind()), self.arrived()),
        ]
    }

    async fn load(&self) -> Result<(), Error> {
        self.store
            .load(&key("a"))
            .await
            .map(|found| assert!(found.is_some()))
    }

    async fn create(&self) -> Result<(), Error> {
        self.store.create(draft("a", "one")).await.map(drop)
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(
    listener: TcpListener,
    script: Arc<Mutex<VecDeque<Act>>>,
    arrived: Arc<Mutex<Vec<String>>>,
) {
    let mut open = Vec::new();
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        let act = script.lock().unwrap().pop_front().unwrap_or(Act::Close);
        let line = match act {
            Act::Close => String::new(),
            _ => read_request(&mut stream).await,
        };
        arrived.lock().unwrap().push(line);
        match act {
            Act::Write(answer) => {
                // A client that has read enough closes first.
                let _ = stream.write_all(answer.as_bytes()).await;
                let _ = stream.shutdown().await;
            }
            Act::Hang => open.push(stream),
            Act::Close | Act::Swallow => {}
        }
    }
}

/// Reads a request with its body; its first line.
async fn read_request(stream: &mut TcpStream) -> String {
    let (mut request, mut chunk) = (Vec::new(), [0; 4096]);
    loop {
        let read = stream.read(&mut chunk).await.unwrap();
        request.extend_from_slice(&chunk[..read]);
        let text = String::from_utf8_lossy(&request);
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("content-length")
                .then(|| value.parse::<usize>().unwrap())
        });
        if body.len() >= length.unwrap_or(0) || read == 0 {
            return head.lines().next().unwrap_or_default().to_owned();
        }
    }
}

#[tokio::test]
async fn a_request_is_made_again_only_where_nothing_can_happen_twice() {
    use ErrorKind::{Ambiguous, Internal};
    let server = Scripted::new().await;
    let garbage = "x".repeat(300_000);
    let cut =
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{\"coll";
    let html = |status| answer(status, "text/html", "", "<html>a proxy's page</html>");
    let moved = "Location: http://127.0.0.1:1/elsewhere\r\n";
    for (what, act, read, write) in [
        ("closes", Act::Close, (Ok(()), 2), (Err(Ambiguous), 1)),
        ("swallows", Act::Swallow, (Ok(()), 2), (Err(Ambiguous), 1)),
        (
            "cuts its answer",
            Act::Write(cut.into()),
            (Ok(()), 2),
            (Err(Ambiguous), 1),
        ),
        (
            "cuts its head",
            Act::Write("HTTP/1.1 20".into()),
            (Ok(()), 2),
            (Err(Ambiguous), 1),
        ),
        (
            "answers no HTTP",
            Act::Write("SSH-2.0\r\n".into()),
            (Ok(()), 2),
            (Err(Ambiguous), 1),
        ),
        (
            "is busy",
            problem("503 Busy", "too-busy", ""),
            (Ok(()), 2),
            (Ok(()), 2),
        ),
        (
            "restarts",
            problem("503 Busy", "restarting", ""),
            (Ok(()), 2),
            (Ok(()), 2),
        ),
        (
            "has no storage",
            problem("503 Busy", "unavailable", ""),
            (Ok(()), 2),
            (Ok(()), 2),
        ),
        (
            "limits",
            problem("429 Slow", "rate-limited", ""),
            (Ok(()), 2),
            (Ok(()), 2),
        ),
        (
            "is limited by a proxy",
            html("429 Slow"),
            (Ok(()), 2),
            (Ok(()), 2),
        ),
        (
            "is not reached by a proxy",
            html("502 Bad"),
            (Ok(()), 2),
            (Err(Ambiguous), 1),
        ),
        (
            "is given up by a proxy",
            html("503 Busy"),
            (Ok(()), 2),
            (Err(Ambiguous), 1),
        ),
        (
            "gives up",
            problem("408 Slow", "request-timeout", ""),
            (Ok(()), 2),
            (Err(Ambiguous), 1),
        ),
        (
            "is a proxy",
            html("200 OK"),
            (Err(Internal), 1),
            (Err(Ambiguous), 1),
        ),
        (
            "is broken",
            html("500 Oh"),
            (Err(Internal), 1),
            (Err(Ambiguous), 1),
        ),
        (
            "answers garbage",
            answer("200 OK", "application/json", "", &garbage),
            (Err(Internal), 1),
            (Err(Ambiguous), 1),
        ),
        (
            "answers other JSON",
            json_answer("200 OK", &json!({"done": true})),
            (Err(Internal), 1),
            (Err(Ambiguous), 1),
        ),
        (
            "redirects",
            answer("307 Moved", "text/plain", moved, ""),
            (Err(Internal), 1),
            (Err(Ambiguous), 1),
        ),
        (
            "has a problem of another kind",
            problem("500 Oh", "trap", ""),
            (Err(ErrorKind::Trap), 1),
            (Err(ErrorKind::Trap), 1),
        ),
    ] {
        assert_eq!(server.asked(&act).await, [read, write], "it {what}");
    }
}

#[tokio::test]
async fn what_is_not_understood_is_quoted_in_part_and_a_redirect_is_named() {
    let server = Scripted::new().await;
    server.will([answer("200 OK", "text/html", "", &"<p>".repeat(100_000))]);
    let error = server.load().await.unwrap_err().to_string();
    assert!(
        error.starts_with("load task/a (backend memory): what was answered"),
        "{error}"
    );
    assert!(
        error.contains("status 200, text/html, \"<p><p>") && error.len() < 600,
        "{error}"
    );
    server.will([answer("302 Moved", "text/html", "Location: /login\r\n", "")]);
    let error = server.load().await.unwrap_err();
    assert!(error.hint().unwrap().contains("/login"), "{error:?}");
}

#[tokio::test]
async fn a_server_is_left_alone_for_as_long_as_it_asks_but_no_longer_than_the_call_may_take() {
    let server = Scripted::new().await;
    let [_, stamp] = success();
    server.will([
        problem("503 Busy", "restarting", "Retry-After: 1\r\n"),
        stamp,
    ]);
    let since = Instant::now();
    server.create().await.unwrap();
    assert_eq!(server.arrived(), 2);
    assert!(since.elapsed() >= Duration::from_secs(1));
    server.will([problem("503 Busy", "restarting", "Retry-After: 3600\r\n")]);
    let error = server.create().await.unwrap_err();
    assert_eq!(
        (error.kind(), server.arrived()),
        (ErrorKind::Unavailable, 1)
    );
}

#[tokio::test]
async fn a_server_that_never_answers_is_given_up() {
    let server = Scripted::with("timeout=2s&attempt-timeout=200ms").await;
    server.will([Act::Hang]);
    let error = server.create().await.unwrap_err();
    assert_eq!((error.kind(), server.arrived()), (ErrorKind::Ambiguous, 1));
    assert_eq!(error.hint(), Some("load the record before trying again"));
    server.will(vec![Act::Hang; 100]);
    let since = Instant::now();
    let error = server.load().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Deadline, "{error}");
    assert!(since.elapsed() < Duration::from_millis(2500));
    assert!((2..=8).contains(&server.arrived()), "{}", server.arrived());
}

#[tokio::test]
async fn a_server_that_is_away_is_waited_for_and_nothing_happened_where_it_stays_away() {
    let server = Scripted::with("timeout=1s").await;
    server.serving.abort();
    for failed in [server.load().await, server.create().await] {
        let error = failed.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        assert!(error.with_causes().contains("cannot be reached"), "{error}");
    }
    let [_, stamp] = success();
    server.will([stamp]);
    let created = server.create();
    let back = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let listener = TcpListener::bind(("127.0.0.1", server.port)).await.unwrap();
        serve(listener, server.script.clone(), server.arrived.clone()).await;
    };
    tokio::select! {
        created = created => created.unwrap(),
        () = back => unreachable!("it serves without end"),
    }
    assert_eq!(server.arrived(), 1);
}

#[tokio::test]
async fn what_only_the_server_can_do_is_refused_with_where_to_do_it() {
    let server = Scripted::new().await;
    for error in [
        server.store.reopen().await.unwrap_err(),
        server.store.snapshot().await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.hint().unwrap().contains("at the server"), "{error:?}");
    }
    server.store.clone().close().await.unwrap();
    assert_eq!(server.arrived(), 0);
}

#[tokio::test]
async fn a_store_that_a_server_has_is_opened_by_its_name_or_as_the_only_one() {
    let (one, two) = (Fixture::new("memory").await, Fixture::new("sqlite").await);
    let both = url(&[&one.store, &two.store]).await;
    let error = client::connect(&both).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("memory, sqlite"), "{error}");
    let error = client::connect(&format!("{both}/other")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("other"), "{error}");
    let store = client::connect(&format!("{both}/sqlite")).await.unwrap();
    assert_eq!(
        (store.name(), store.backend(), store.namespace()),
        ("sqlite", "sqlite", "default")
    );
    assert_eq!(store.describe().durable, two.store.describe().durable);
    assert_eq!(store.status().digest, two.store.status().digest);
    assert_eq!(store.max_body_bytes(), two.store.max_body_bytes());
    assert_eq!(store.server(), Some(format!("{both}/").as_str()));
    let only = client::connect(&url(&[&one.store]).await).await.unwrap();
    assert_eq!(only.name(), "memory");
    only.health().await.unwrap();
    assert_eq!(only.status().generation, one.store.status().generation);
    assert!(!store.shares_storage_with(&only));
    assert!(store.shares_storage_with(&store.clone()));
}

/// A server in this process that has these stores, until the test ends.
async fn url(stores: &[&Store]) -> String {
    let server = Server::new(stores.iter().map(|store| (*store).clone())).unwrap();
    let server = server.bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", server.address());
    tokio::spawn(server.run(std::future::pending()));
    url
}

#[tokio::test]
async fn a_server_is_known_by_its_certificate_and_a_client_by_its_token() {
    let fixture = Fixture::new("memory").await;
    let write = |name: &str, text: &str| {
        let file = fixture.path().join(name);
        std::fs::write(&file, text).unwrap();
        file
    };
    let [(certificate, key), (other, _)] = ["", "other-"].map(|prefix| {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let certificate = write(&format!("{prefix}cert.pem"), &cert.pem());
        let key = write(&format!("{prefix}key.pem"), &signing_key.serialize_pem());
        (certificate, key)
    });
    let mut config = ServeConfig::default();
    config.tls = Some(TlsConfig::new(&certificate, key));
    let tokens = [
        ("reader", vec![Permission::Read]),
        ("all", Permission::ALL.to_vec()),
    ];
    let [reader, all] = tokens.map(|(name, may)| {
        let token = Token::generate().unwrap();
        let namespaces = Namespaces::All;
        let known = TokenConfig::new(name, token.sha256(), namespaces, may, None).unwrap();
        config.tokens.push(known);
        write(name, token.reveal())
    });
    let server = Server::new([fixture.store.clone()]).unwrap().config(config);
    let server = server.bind("127.0.0.1:0").await.unwrap();
    let port = server.address().port();
    tokio::spawn(server.run(std::future::pending()));
    let open = async |authority: &Path, token: Option<&Path>| {
        let token = token.map_or(String::new(), |file| {
            format!("&token-file={}", file.display())
        });
        let authority = authority.display();
        let url = format!("https://localhost:{port}/memory?ca-file={authority}{token}");
        client::connect(&url).await
    };
    let store = open(&certificate, Some(&all)).await.unwrap();
    store.create(draft("a", "one")).await.unwrap();
    let store = open(&certificate, Some(&reader)).await.unwrap();
    assert!(
        store
            .load(&crate::support::key("a"))
            .await
            .unwrap()
            .is_some()
    );
    let forbidden = store.create(draft("b", "two")).await.unwrap_err();
    let unknown = open(&certificate, None).await.unwrap_err();
    let untrusted = open(&other, Some(&all)).await.unwrap_err();
    for (error, part) in [
        (forbidden, "write"),
        (unknown, "token"),
        (untrusted, "does not prove who it is"),
    ] {
        assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
        assert!(error.to_string().contains(part), "{error:?}");
    }
}

#[tokio::test]
async fn every_key_and_every_query_goes_over_the_wire() {
    let fixture = Fixture::new("memory").await;
    let store = client::connect(&url(&[&fixture.store]).await)
        .await
        .unwrap();
    for text in [".", "..", "...", "%2e", "a/b", "\n", "?#&=+ ", "a:b", "ä"] {
        let key = Key::new(text, text);
        let written = Draft::new(key.clone(), "one").attribute(text, text);
        let created = store.create(written.clone()).await.unwrap();
        assert!(
            store
                .create(written.clone())
                .await
                .unwrap_err()
                .is_already_exists()
        );
        let found = store.find(Query::new(text).with(text, text)).await.unwrap();
        assert_eq!(found.records[0].draft, written, "{text:?}");
        let replaced = store
            .update(written, Some(created.mod_revision))
            .await
            .unwrap();
        let read = store.load(&key).await.unwrap().unwrap();
        assert_eq!(read.stamp, replaced, "{text:?}");
        let error = store
            .delete(&key, Some(created.mod_revision))
            .await
            .unwrap_err();
        assert_eq!(error.current(), Some(&read), "{text:?}");
        assert_eq!((error.key(), error.write_index()), (Some(&key), None));
        store
            .delete(&key, Some(replaced.mod_revision))
            .await
            .unwrap();
        assert_eq!(store.load(&key).await.unwrap(), None, "{text:?}");
        assert!(store.delete(&key, None).await.unwrap_err().is_not_found());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_takes_a_store_that_a_server_has() {
    let fixture = Fixture::new("memory").await;
    let store = format!("{}/memory", url(&[&fixture.store]).await);
    let tasks = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../../tests/fixtures/teal-tasks.jsonl"
    );
    let created = mortise(&store, &["task", "create", tasks]).await;
    assert!(created.status.success(), "{created:?}");
    let request = "1807c658-8cbf-4f73-b207-9c09915b87d9";
    let found = mortise(&store, &["task", "find", "--request-id", request]).await;
    assert!(found.status.success(), "{found:?}");
    assert!(!found.stdout.is_empty());
    let health = mortise(&store, &["store", "health"]).await;
    let told = String::from_utf8(health.stdout).unwrap();
    assert!(
        told.starts_with("healthy: store memory, backend memory"),
        "{told}"
    );
    let backup = fixture.path().join("backup").display().to_string();
    let backup = mortise(&store, &["store", "backup", &backup]).await;
    assert!(backup.status.success(), "{backup:?}");
    let migrate = mortise(&store, &["migrate", "status"]).await;
    let told = String::from_utf8(migrate.stderr).unwrap();
    assert!(
        !migrate.status.success() && told.contains("done at the server"),
        "{told}"
    );
}

async fn mortise(store: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mortise"));
    command.args(["--store", store]).args(arguments);
    tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap()
}

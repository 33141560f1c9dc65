//! The HTTP API, on every backend.

use std::time::Duration;

use bytesize::ByteSize;
use mortise::Store;
use mortise::serve::{ServeLimits, Server};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::support::{Fixture, on_every_backend};

/// A server in this process, on a free port, and a client.
struct Serving {
    url: String,
    client: Client,
    stop: oneshot::Sender<()>,
    running: JoinHandle<Option<u32>>,
}

impl Serving {
    async fn new(store: &Store) -> Self {
        Self::with(store, ServeLimits::default()).await
    }

    async fn with(store: &Store, limits: ServeLimits) -> Self {
        let server = Server::new([store.clone()]).unwrap().limits(limits);
        let server = server.bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", server.address());
        let (stop, stopped) = oneshot::channel();
        let running = tokio::spawn(server.run(async {
            let _ = stopped.await;
        }));
        Self {
            url,
            client: crate::raw::client(),
            stop,
            running,
        }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url))
    }

    fn get(&self, path: &str) -> RequestBuilder {
        self.request(Method::GET, path)
    }

    fn put(&self, path: &str, expect: (&str, &str), body: &Value) -> RequestBuilder {
        let request = self.request(Method::PUT, path).header(expect.0, expect.1);
        request.json(body)
    }

    fn post(&self, path: &str, body: &Value) -> RequestBuilder {
        self.request(Method::POST, path).json(body)
    }

    fn address(&self) -> &str {
        self.url.strip_prefix("http://").unwrap()
    }
}

const CREATE: (&str, &str) = ("if-none-match", "*");

fn etag(response: &Response) -> String {
    let tag = response.headers().get("etag").expect("an ETag");
    tag.to_str().unwrap().to_owned()
}

/// The status, and the kind of a problem.
async fn problem(request: RequestBuilder) -> (u16, String, Value) {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let json = "application/problem+json";
    assert_eq!(response.headers()["content-type"], json, "{response:?}");
    assert!(response.headers().contains_key("x-request-id"));
    let problem: Value = response.json().await.unwrap();
    assert_eq!(problem["status"], status);
    let kind = problem["type"].as_str().unwrap();
    let kind = kind.strip_prefix("urn:mortise:problem:").unwrap();
    (status, kind.to_owned(), problem.clone())
}

async fn json(request: RequestBuilder) -> Value {
    let response = request.send().await.unwrap();
    let status = response.status();
    let text = response.text().await.unwrap();
    assert!(status.is_success(), "{status}: {text}");
    serde_json::from_str(&text).unwrap()
}

fn store_path(fixture: &Fixture, rest: &str) -> String {
    format!("/v1/stores/{}/{rest}", fixture.store.name())
}

fn agent_task(id: &str, requests: &[&str]) -> Value {
    let items = requests.iter().map(|request| {
        json!({
            "task_id": id, "request_id": request, "role": "user", "updated": "2026-01-01T00:00:00",
            "item": {"content_type": "text", "content": "hello"},
        })
    });
    json!({
        "task_id": id, "session_id": "s-1", "user_id": "u-1", "items": items.collect::<Vec<_>>(),
        "created_at": "2026-01-01T00:00:00", "last_updated": "2026-01-01T00:00:00", "status": "Running",
    })
}

on_every_backend! {
    async fn a_record_is_created_read_replaced_and_removed(fixture: Fixture) {
        let serving = Serving::new(&fixture.store).await;
        let path = store_path(&fixture, "records/task/a%2Fb%20%C3%A9");
        let content = json!({"body": "one", "attributes": [["color", "red"]]});
        let created = serving.put(&path, CREATE, &content).send().await.unwrap();
        assert_eq!(created.status(), StatusCode::CREATED);
        let first = etag(&created);
        let stamp: Value = created.json().await.unwrap();
        assert_eq!(first, format!("\"{}\"", stamp["mod_revision"]));

        let read = serving.get(&path).send().await.unwrap();
        assert_eq!(etag(&read), first);
        let record: Value = read.json().await.unwrap();
        assert_eq!(record["id"], "a/b é");
        assert_eq!(record["body"], "one");
        let known = serving.get(&path).header("if-none-match", &first).send().await.unwrap();
        assert_eq!(known.status(), StatusCode::NOT_MODIFIED);

        let (status, kind, _) = problem(serving.put(&path, CREATE, &content)).await;
        assert_eq!((status, &*kind), (409, "already-exists"));
        let binary = json!({"body_base64": "/w=="});
        let replaced = serving.put(&path, ("if-match", &first), &binary).send().await.unwrap();
        assert_eq!(replaced.status(), StatusCode::OK);
        let second = etag(&replaced);

        let (status, kind, conflict) = problem(serving.put(&path, ("if-match", &first), &content)).await;
        assert_eq!((status, &*kind), (412, "conflict"));
        assert_eq!(conflict["current"]["body_base64"], "/w==");
        let delete = || serving.request(Method::DELETE, &path);
        let (status, kind, _) = problem(delete()).await;
        assert_eq!((status, &*kind), (428, "precondition-required"));
        let (status, _, _) = problem(delete().header("if-match", &first)).await;
        assert_eq!(status, 412);
        let gone = delete().header("if-match", &second).send().await.unwrap();
        assert_eq!(gone.status(), StatusCode::NO_CONTENT);
        let (status, kind, _) = problem(serving.get(&path)).await;
        assert_eq!((status, &*kind), (404, "not-found"));
        let (status, _, _) = problem(delete().header("if-match", "*")).await;
        assert_eq!(status, 404);
    }

    async fn records_are_found_page_by_page(fixture: Fixture) {
        let serving = Serving::new(&fixture.store).await;
        for id in 0..7 {
            let path = store_path(&fixture, &format!("records/task/{id}"));
            let content = json!({"body": "", "attributes": [["parity", (id % 2).to_string()]]});
            serving.put(&path, CREATE, &content).send().await.unwrap();
        }
        let mut next = Some(store_path(&fixture, "records/task?attribute=parity:0&limit=3"));
        let mut found = Vec::new();
        while let Some(path) = next.take() {
            let response = serving.get(&path).send().await.unwrap();
            let link = response.headers().get("link").map(|link| link.to_str().unwrap().to_owned());
            let page: Value = response.json().await.unwrap();
            let records = page["records"].as_array().unwrap();
            assert!(records.len() <= 3);
            found.extend(records.iter().map(|record| record["id"].as_str().unwrap().to_owned()));
            assert_eq!(link.is_some(), page["next"].is_string());
            next = link.map(|link| link[1..link.find('>').unwrap()].to_owned());
        }
        assert_eq!(found, ["0", "2", "4", "6"]);
        let all = json(serving.get(&store_path(&fixture, "records?limit=1000"))).await;
        assert_eq!(all["records"].as_array().unwrap().len(), 7);
    }

    async fn a_batch_is_made_all_or_none(fixture: Fixture) {
        let serving = Serving::new(&fixture.store).await;
        let put = |id: &str, expect: &str| json!({"put": {
            "collection": "task", "id": id, "content": {"body": id}, "expect": expect,
        }});
        let batch = store_path(&fixture, "batch");
        let both = json!({"writes": [put("a", "absent"), put("b", "none")]});
        let made = json(serving.post(&batch, &both)).await;
        let revisions = made["revisions"].as_array().unwrap();
        assert_eq!(revisions.len(), 2);

        let broken = json!({"writes": [
            {"remove": {"collection": "task", "id": "b", "expect": {"unchanged-since": revisions[1]}}},
            put("a", "absent"),
        ]});
        let (status, kind, told) = problem(serving.post(&batch, &broken)).await;
        assert_eq!((status, &*kind), (409, "already-exists"));
        assert_eq!(told["write_index"], 1);
        let keys = json!({"keys": [["task", "b"], ["task", "none"], ["task", "a"]]});
        let found = json(serving.post(&store_path(&fixture, "lookup"), &keys)).await;
        assert_eq!(found["records"][0]["body"], "b");
        assert!(found["records"][1].is_null());
        assert_eq!(found["records"][2]["body"], "a");
    }

    async fn a_task_is_found_by_its_request(fixture: Fixture) {
        let serving = Serving::new(&fixture.store).await;
        let path = store_path(&fixture, "tasks/t-1");
        let created = serving.put(&path, CREATE, &agent_task("t-1", &["r-1"])).send().await.unwrap();
        assert_eq!(created.status(), StatusCode::CREATED);
        let tag = etag(&created);
        let found = json(serving.get(&store_path(&fixture, "tasks?request_id=r-1"))).await;
        assert_eq!(found["tasks"][0]["task"]["task_id"], "t-1");
        assert_eq!(format!("\"{}\"", found["tasks"][0]["revision"]), tag);

        let more = agent_task("t-1", &["r-2"]);
        let replaced = serving.put(&path, ("if-match", &tag), &more).send().await.unwrap();
        assert_eq!(replaced.status(), StatusCode::OK);
        let (status, _, _) = problem(serving.put(&path, ("if-match", &tag), &more)).await;
        assert_eq!(status, 412);
        let gone = json(serving.get(&store_path(&fixture, "tasks?request_id=r-1"))).await;
        assert_eq!(gone["tasks"], json!([]));
        assert_eq!(json(serving.get(&path)).await, more);
        let (status, kind, _) = problem(serving.put(&path, CREATE, &agent_task("other", &[]))).await;
        assert_eq!((status, &*kind), (400, "invalid"));
        let delete = serving.request(Method::DELETE, &path).header("if-match", "*");
        assert_eq!(delete.send().await.unwrap().status(), StatusCode::NO_CONTENT);
    }

    async fn an_entity_is_led_through_its_lifecycle(fixture: Fixture) {
        let serving = Serving::new(&fixture.store).await;
        let path = store_path(&fixture, "entities/job/j-1");
        let save = |fields: Value| serving.request(Method::PATCH, &path).json(&fields);
        json(save(json!({"name": "Screening", "status": "stopped", "mission_id": "m-1"}))).await;
        let saved = json(save(json!({"name": "Scanning"}))).await;
        assert_eq!(saved, json!({"name": "Scanning", "status": "stopped", "mission_id": "m-1", "id": "j-1"}));
        let found = json(serving.get(&store_path(&fixture, "entities/job?attribute=mission_id:m-1"))).await;
        assert_eq!(found["entities"][0]["entity"], saved);
        let read = etag(&serving.get(&path).send().await.unwrap());
        let save_if = |expect: (&'static str, &str)| save(json!({"n": 1})).header(expect.0, expect.1);
        let (status, kind, _) = problem(save_if(CREATE)).await;
        assert_eq!((status, &*kind), (409, "already-exists"));
        let merged = save_if(("if-match", &read)).send().await.unwrap();
        assert_eq!(merged.status(), StatusCode::OK);
        let (now, merged) = (etag(&merged), merged.json::<Value>().await.unwrap());
        assert_eq!(merged["name"], "Scanning");
        let (status, kind, conflict) = problem(save_if(("if-match", &read))).await;
        assert_eq!((status, &*kind), (412, "conflict"));
        assert_eq!(format!("\"{}\"", conflict["current"]["mod_revision"]), now);
        json(save_if(("if-match", "*"))).await;
        let other = store_path(&fixture, "entities/job/j-2");
        let other = || serving.request(Method::PATCH, &other).json(&json!({}));
        for tag in ["*", &*now] {
            let (status, kind, _) = problem(other().header("if-match", tag)).await;
            assert_eq!((status, &*kind), (404, "not-found"));
        }
        json(other().header(CREATE.0, CREATE.1)).await;

        let events = format!("{path}/events");
        let led = json(serving.post(&events, &json!({"event": "start_work", "by": "test"}))).await;
        assert_eq!(led["entity"]["status"], "in_progress");
        let (status, kind, refused) = problem(serving.post(&events, &json!({"event": "start_work"}))).await;
        assert_eq!((status, &*kind), (409, "invalid-transition"));
        assert_eq!(refused["state"], "in_progress");
        assert!(!refused["allowed"].as_array().unwrap().is_empty());
        let history = json(serving.get(&format!("{path}/history"))).await;
        assert_eq!(history["transitions"].as_array().unwrap().len(), 1);
        assert_eq!(history["transitions"][0]["by"], "test");
        let gone = serving.request(Method::DELETE, &path).send().await.unwrap();
        assert_eq!(gone.status(), StatusCode::NO_CONTENT);
        assert_eq!(problem(serving.get(&path)).await.0, 404);
    }

    async fn a_whole_store_is_exported_and_imported(fixture: Fixture) {
        let serving = Serving::new(&fixture.store).await;
        for id in 0..250 {
            let path = store_path(&fixture, &format!("records/task/{id}"));
            let content = json!({"body": "x".repeat(1000)});
            serving.put(&path, CREATE, &content).send().await.unwrap();
        }
        let export = store_path(&fixture, "export");
        let exported = serving.get(&export).send().await.unwrap();
        assert_eq!(exported.headers()["content-type"], "application/x-ndjson");
        let lines = exported.text().await.unwrap();
        assert_eq!(lines.lines().count(), 252);
        let clear = store_path(&fixture, "clear");
        let removed = json(serving.request(Method::POST, &clear)).await;
        assert_eq!(removed["removed"], 250);
        let import = store_path(&fixture, "import");
        let cut = &lines[..lines.len() / 2];
        let cut = serving.request(Method::POST, &import).body(cut.to_owned());
        let (status, kind, _) = problem(cut).await;
        assert_eq!((status, &*kind), (400, "invalid"));
        let imported = json(serving.request(Method::POST, &import).body(lines.clone())).await;
        assert_eq!(imported["imported"], 250);
        let again = serving.get(&export).send().await.unwrap();
        assert_eq!(again.text().await.unwrap(), lines);
    }
}

#[tokio::test]
async fn a_request_that_breaks_a_rule_is_told_which() {
    let fixture = Fixture::new("memory").await;
    let serving = Serving::new(&fixture.store).await;
    let put = |path: &str, body: &str| {
        let request = serving.request(Method::PUT, &store_path(&fixture, path));
        let request = request.header("if-none-match", "*");
        request
            .header("content-type", "application/json")
            .body(body.to_owned())
    };
    let get = |path: &str| serving.get(path);
    let long = format!("records/task/{}", "x".repeat(1025));
    for (request, expected) in [
        (get("/"), (404, "no-such-path")),
        (
            get("/v1/stores/other/records/task/a"),
            (404, "no-such-store"),
        ),
        (
            get("/v1/stores/memory/records/task/a?x=1"),
            (404, "not-found"),
        ),
        (
            get("/v1/stores/memory/records/task?limit=0"),
            (400, "invalid"),
        ),
        (
            get("/v1/stores/memory/records/task?limit=x"),
            (400, "invalid"),
        ),
        (
            get("/v1/stores/memory/records/task?limits=1"),
            (400, "invalid"),
        ),
        (
            get("/v1/stores/memory/records/task?after=x"),
            (400, "invalid"),
        ),
        (
            get("/v1/stores/memory/records/task?attribute=x"),
            (400, "invalid"),
        ),
        (get("/v1/stores/memory/tasks?limit=0"), (400, "invalid")),
        (get("/v1/stores/memory/records/task/%ff"), (400, "invalid")),
        (
            get("/v1/stores/%2e%2e%2fetc/records/task/a"),
            (404, "no-such-store"),
        ),
        (
            serving.request(Method::PATCH, "/v1/stores"),
            (405, "method-not-allowed"),
        ),
        (
            get("/v1/stores").header("host", "evil.example"),
            (421, "misdirected"),
        ),
        (put("records/task/a", "{"), (400, "invalid")),
        (put("records/task/a", "{}"), (400, "invalid")),
        (
            put("records/task/a", r#"{"body":"","x":1}"#),
            (400, "invalid"),
        ),
        (
            put("records/task/a", r#"{"body_base64":"?"}"#),
            (400, "invalid"),
        ),
        (put(&long, r#"{"body":""}"#), (400, "invalid")),
        (put("tasks/a", r#"{"task_id":"a"}"#), (400, "invalid")),
        (
            put("records/task/a", r#"{"body":""}"#).header("if-match", "*"),
            (400, "invalid"),
        ),
    ] {
        let told = format!("{request:?}");
        let (status, kind, _) = problem(request).await;
        assert_eq!((status, &*kind), expected, "{told}");
    }
    let text = serving.request(Method::PUT, &store_path(&fixture, "records/task/a"));
    let text = text.header("if-none-match", "*").body("x");
    let (status, kind, _) = problem(text).await;
    assert_eq!((status, &*kind), (415, "unsupported-media-type"));
}

#[tokio::test]
async fn stores_tell_what_they_are_and_how_they_do() {
    let fixture = Fixture::new("memory").await;
    let serving = Serving::new(&fixture.store).await;
    let stores = json(serving.get("/v1/stores")).await;
    assert_eq!(
        stores["stores"][0],
        json(serving.get("/v1/stores/memory")).await
    );
    assert_eq!(stores["stores"][0]["singleton"], true);
    assert_eq!(stores["stores"][0]["breaker"], "closed");
    let health = serving
        .get("/v1/stores/memory/health")
        .send()
        .await
        .unwrap();
    assert_eq!(health.status(), StatusCode::NO_CONTENT);
    let live = serving.get("/healthz").send().await.unwrap();
    assert_eq!(live.status(), StatusCode::NO_CONTENT);
    assert_eq!(json(serving.get("/readyz")).await["ready"], true);
    let own = serving.get("/healthz").header("x-request-id", "mine-7");
    let own = own.send().await.unwrap();
    assert_eq!(own.headers()["x-request-id"], "mine-7");
}

#[tokio::test]
async fn what_is_too_large_or_too_slow_is_refused_and_others_are_served() {
    let fixture = Fixture::new("memory").await;
    let mut limits = ServeLimits::default();
    limits.body_bytes = ByteSize(10_000);
    limits.all_bodies_bytes = ByteSize(20_000);
    limits.head_timeout = Duration::from_millis(300);
    limits.request_timeout = Duration::from_millis(600);
    let serving = Serving::with(&fixture.store, limits).await;
    let path = store_path(&fixture, "records/task/a");
    let large = json!({"body": "x".repeat(10_001)});
    let (status, kind, _) = problem(serving.put(&path, CREATE, &large)).await;
    assert_eq!((status, &*kind), (413, "too-large"));

    let send = async |head: &str| {
        let mut stream = TcpStream::connect(serving.address()).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = String::new();
        // The server may break off while it is still sent something.
        let _ = stream.read_to_string(&mut answer).await;
        answer
    };
    let head = format!(
        "PUT {path} HTTP/1.1\r\nHost: localhost\r\nIf-None-Match: *\r\nContent-Type: application/json\r\n"
    );
    // A gigabyte is not read to its end.
    let gigabyte = send(&format!("{head}Content-Length: 1073741824\r\n\r\n")).await;
    assert!(gigabyte.starts_with("HTTP/1.1 413"), "{gigabyte}");
    let chunks = format!(
        "{head}Transfer-Encoding: chunked\r\n\r\n{}",
        format!("1000\r\n{}\r\n", "x".repeat(4096)).repeat(4)
    );
    let chunks = send(&chunks).await;
    assert!(chunks.starts_with("HTTP/1.1 413"), "{chunks}");
    // A head that does not come to its end, and a body that does not.
    let slow = send("GET /healthz HTTP/1.1\r\nHost: local").await;
    assert!(
        slow.is_empty() || slow.starts_with("HTTP/1.1 408"),
        "{slow}"
    );
    let slow = send(&format!("{head}Content-Length: 100\r\n\r\n{{")).await;
    assert!(slow.starts_with("HTTP/1.1 408"), "{slow}");
    let huge = send(&format!(
        "GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n",
        "x".repeat(1_000_000)
    ))
    .await;
    // What it did not read may have the connection reset, and its answer lost.
    assert!(
        huge.is_empty() || huge.starts_with("HTTP/1.1 431"),
        "{huge}"
    );
    let fits = json!({"body": "fits"});
    let created = serving.put(&path, CREATE, &fits).send().await.unwrap();
    assert_eq!(created.status(), StatusCode::CREATED);
}

#[tokio::test]
async fn idle_connections_make_room_for_new_ones() {
    let fixture = Fixture::new("memory").await;
    let mut limits = ServeLimits::default();
    limits.connections = 8;
    let serving = Serving::with(&fixture.store, limits).await;
    let mut idle = Vec::new();
    for _ in 0..100 {
        idle.push(TcpStream::connect(serving.address()).await.unwrap());
        let live = serving.get("/healthz").send().await.unwrap();
        assert_eq!(live.status(), StatusCode::NO_CONTENT);
    }
}

#[tokio::test]
async fn a_request_under_way_is_answered_when_the_server_ends() {
    let fixture = Fixture::new("memory").await;
    let serving = Serving::new(&fixture.store).await;
    let path = store_path(&fixture, "records/task/a");
    let mut stream = TcpStream::connect(serving.address()).await.unwrap();
    let head = format!(
        "PUT {path} HTTP/1.1\r\nHost: localhost\r\nIf-None-Match: *\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    // It is being read by the time that another one was answered.
    serving.get("/healthz").send().await.unwrap();
    serving.stop.send(()).unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    stream.write_all(br#"{"body":""}"#).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    serving.running.await.unwrap();
    assert!(
        TcpStream::connect(serving.url.strip_prefix("http://").unwrap())
            .await
            .is_err()
    );
}

#[tokio::test]
async fn only_this_machine_is_listened_to() {
    let fixture = Fixture::new("memory").await;
    for address in ["0.0.0.0:0", "[::]:0"] {
        let server = Server::new([fixture.store.clone()]).unwrap();
        let error = server.bind(address).await.err().unwrap();
        assert_eq!(error.kind(), mortise::ErrorKind::Config, "{error}");
    }
    let twice = Server::new([fixture.store.clone(), fixture.store.clone()]);
    assert_eq!(twice.unwrap_err().kind(), mortise::ErrorKind::Config);
}

#[test]
fn the_description_that_is_checked_in_is_that_of_the_code() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../docs/openapi.json");
    let checked_in = std::fs::read_to_string(file).unwrap_or_default();
    assert!(
        checked_in == mortise::serve::openapi(),
        "docs/openapi.json is of other code: run `cargo run -p mortise-cli -- serve --openapi > docs/openapi.json`"
    );
}

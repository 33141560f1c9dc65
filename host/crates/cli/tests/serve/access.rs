//! Who gets in, and how far: tokens, rate limits, TLS.

use std::num::NonZeroU32;

use mortise::serve::{Server, Token};
use mortise::{Host, Namespaces, Permission, ServeConfig, TlsConfig, TokenConfig};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use reqwest::{Certificate, Method, StatusCode};
use serde_json::{Value, json};

use crate::by_hand::task;
use crate::raw::Raw;
use crate::support;

/// A server with a store in each of two namespaces.
async fn serve(config: ServeConfig) -> (Host, String) {
    let host = support::host().build().unwrap();
    let acme = host.open("memory:?namespace=acme").await.unwrap();
    let other = host.open("tree:?namespace=other").await.unwrap();
    let server = Server::new([acme, other]).unwrap().config(config);
    let server = server.bind("127.0.0.1:0").await.unwrap();
    let url = server.url();
    tokio::spawn(server.run(std::future::pending()));
    (host, url)
}

fn token(name: &str, namespaces: &[&str], may: &[Permission]) -> (Token, TokenConfig) {
    let token = Token::generate().unwrap();
    let namespaces = Namespaces::named(namespaces.iter().copied()).unwrap();
    let may = may.iter().copied();
    let config = TokenConfig::new(name, token.sha256(), namespaces, may, None);
    (token, config.unwrap())
}

#[tokio::test]
async fn a_token_opens_what_it_allows_and_nothing_else() {
    use Permission::{Read, Write};
    let (reader, of_reader) = token("reader", &["acme"], &[Read]);
    let (writer, of_writer) = token("writer", &["acme"], &[Read, Write]);
    let (all, of_all) = token("all", &["*"], &[Read]);
    let mut config = ServeConfig::default();
    config.tokens = vec![of_reader, of_writer, of_all];
    let (_host, url) = serve(config).await;
    let client = crate::raw::client();
    let status = async |token: Option<&Token>, method: Method, path: &str| {
        let mut request = client.request(method, format!("{url}{path}"));
        if let Some(token) = token {
            request = request.bearer_auth(token.reveal());
        }
        let request = request
            .header("if-none-match", "*")
            .json(&json!({"body": ""}));
        request.send().await.unwrap().status().as_u16()
    };
    let (get, put) = (Method::GET, Method::PUT);
    let (mine, theirs) = (
        "/v1/stores/memory/records/task/a",
        "/v1/stores/tree/records/task/a",
    );
    let stranger = Token::generate().unwrap();
    for (token, method, path, expected) in [
        (None, &get, mine, 401),
        (None, &get, "/v1/stores", 401),
        (None, &get, "/metrics", 401),
        (None, &Method::POST, "/mcp", 401),
        (None, &get, "/healthz", 204),
        (None, &get, "/readyz", 200),
        (Some(&stranger), &get, mine, 401),
        (Some(&reader), &get, mine, 404),
        (Some(&reader), &put, mine, 403),
        (Some(&reader), &get, theirs, 403),
        // Whether a store is there is nobody's business who may not read it.
        (Some(&reader), &get, "/v1/stores/none/records/task/a", 403),
        (Some(&all), &get, "/v1/stores/none/records/task/a", 404),
        (Some(&reader), &get, "/metrics", 403),
        (Some(&all), &get, "/metrics", 200),
        (Some(&writer), &put, mine, 201),
        (Some(&writer), &put, theirs, 403),
        (Some(&all), &get, theirs, 404),
        (Some(&all), &put, theirs, 403),
    ] {
        let found = status(token, method.clone(), path).await;
        assert_eq!(found, expected, "{token:?} {method} {path}");
    }
    let listed = client
        .get(format!("{url}/v1/stores"))
        .bearer_auth(reader.reveal());
    let listed: Value = listed.send().await.unwrap().json().await.unwrap();
    let stores = listed["stores"].as_array().unwrap();
    assert_eq!(stores.len(), 1);
    assert_eq!(stores[0]["namespace"], "acme");
    let refused = client.get(format!("{url}{mine}")).send().await.unwrap();
    let challenge = &refused.headers()["www-authenticate"];
    assert_eq!(challenge, r#"Bearer realm="mortise""#);
    // Where tokens are asked for, the server has whatever name its operator gave it.
    let named = client
        .get(format!("{url}{mine}"))
        .header("host", "mortise.example");
    let named = named.bearer_auth(reader.reveal()).send().await.unwrap();
    assert_eq!(named.status(), StatusCode::OK);
}

/// What is there already is shown to who may read it; to write is a permission of its own.
#[tokio::test]
async fn who_may_write_and_not_read_is_not_shown_what_is_there() {
    use Permission::{Read, Write};
    let (both, of_both) = token("both", &["acme"], &[Read, Write]);
    let (writer, of_writer) = token("writer", &["acme"], &[Write]);
    let mut config = ServeConfig::default();
    config.tokens = vec![of_both, of_writer];
    let (_host, url) = serve(config).await;
    let client = crate::raw::client();
    let send = async |token: &Token, request: reqwest::RequestBuilder| {
        let request = request.bearer_auth(token.reveal());
        request.send().await.unwrap()
    };
    let at = |path: &str| format!("{url}/v1/stores/memory/{path}");
    let put = |path: &str, body: &str| {
        let put = client.put(at(path)).body(body.to_owned());
        put.header("content-type", "application/json")
    };
    let (record, content) = ("records/note/n-1", r#"{"body":"secret"}"#);
    let task = task("t-1", "r-1", "");
    for (path, body) in [(record, content), ("tasks/t-1", &*task)] {
        let created = put(path, body).header("if-none-match", "*");
        let created = send(&both, created).await;
        assert_eq!(created.status(), StatusCode::CREATED, "{path}");
    }
    let batch = json!({"writes": [{"remove": {
        "collection": "note", "id": "n-1", "expect": {"unchanged-since": 9999},
    }}]});
    let stale = |request: reqwest::RequestBuilder| request.header("if-match", "\"9999\"");
    for request in [
        stale(put(record, content)),
        stale(client.delete(at(record))),
        stale(put("tasks/t-1", &task)),
        stale(client.delete(at("tasks/t-1"))),
        client.post(at("batch")).json(&batch),
    ] {
        for (token, shown) in [(&both, true), (&writer, false)] {
            let refused = send(token, request.try_clone().unwrap()).await;
            assert_eq!(refused.status(), StatusCode::PRECONDITION_FAILED);
            assert_eq!(refused.headers().contains_key("etag"), shown);
            let problem: Value = refused.json().await.unwrap();
            assert_eq!(problem["type"], "urn:mortise:problem:conflict");
            assert_eq!(problem.get("current").is_some(), shown, "{problem}");
        }
    }
    // Nor what else is in an entity that is saved, or led on.
    let (path, job) = (
        "entities/job/j-1",
        json!({"secret": 1, "status": "stopped"}),
    );
    send(&both, client.patch(at(path)).json(&job)).await;
    let saved = send(&both, client.patch(at(path)).json(&json!({}))).await;
    assert_eq!(saved.status(), StatusCode::OK);
    let saved = send(&writer, client.patch(at(path)).json(&json!({}))).await;
    assert_eq!(saved.status(), StatusCode::NO_CONTENT);
    assert!(saved.headers().contains_key("etag"));
    let event = client.post(at(&format!("{path}/events")));
    let led = send(&writer, event.json(&json!({"event": "start_work"}))).await;
    let led: Value = led.json().await.unwrap();
    assert_eq!(led["transition"]["to"], "in_progress", "{led}");
    assert!(led.get("entity").is_none(), "{led}");

    for (token, shown) in [(&both, true), (&writer, false)] {
        let session = Raw::with_token(&url, token.reveal()).await;
        let update = format!(r#"{{"task":{task},"revision":9999,"store":"memory"}}"#);
        let delete = r#"{"task_id":"t-1","revision":9999,"store":"memory"}"#;
        for (tool, arguments) in [("update_task", &*update), ("delete_task", delete)] {
            let refused = session.call(tool, arguments).await;
            let problem = &refused.structured;
            assert_eq!(problem["kind"], "conflict", "{tool}: {problem}");
            assert_eq!(problem.get("current").is_some(), shown, "{problem}");
        }
        let save = r#"{"collection":"job","entity":{"id":"j-1"},"store":"memory"}"#;
        let saved = session.call("save_entity", save).await;
        assert!(!saved.failed, "{saved:?}");
        assert_eq!(saved.structured.get("entity").is_some(), shown);
    }
}

#[tokio::test]
async fn who_asks_too_often_is_told_when_to_come_again() {
    let mut config = ServeConfig::default();
    config.limits.per_second = NonZeroU32::new(1);
    config.limits.burst = NonZeroU32::new(3);
    let (_host, url) = serve(config).await;
    let client = crate::raw::client();
    let mut statuses = Vec::new();
    for _ in 0..5 {
        let response = client.get(format!("{url}/v1/stores")).send().await.unwrap();
        let limited = response.status() == StatusCode::TOO_MANY_REQUESTS;
        assert_eq!(response.headers().contains_key("retry-after"), limited);
        statuses.push(response.status().as_u16());
    }
    assert_eq!(statuses[..3], [200, 200, 200]);
    assert!(statuses.contains(&429), "{statuses:?}");
    // Whether it is up may be asked at any time.
    let live = client.get(format!("{url}/healthz")).send().await.unwrap();
    assert_eq!(live.status(), StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn https_is_served_with_the_certificate_of_the_files() {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = (
        folder.path().join("cert.pem"),
        folder.path().join("key.pem"),
    );
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(names).unwrap();
    std::fs::write(&certificate, cert.pem()).unwrap();
    std::fs::write(&key, signing_key.serialize_pem()).unwrap();
    let mut config = ServeConfig::default();
    config.tls = Some(TlsConfig::new(certificate, key));
    let (_host, url) = serve(config).await;
    assert!(url.starts_with("https://"));
    crate::raw::client().get(&url).send().await.unwrap_err();
    let trusting = reqwest::Client::builder()
        .tls_certs_only([Certificate::from_pem(cert.pem().as_bytes()).unwrap()])
        .build()
        .unwrap();
    let live = trusting.get(format!("{url}/healthz")).send().await.unwrap();
    assert_eq!(live.status(), StatusCode::NO_CONTENT);
    let plain = url.replace("https", "http");
    trusting
        .get(format!("{plain}/healthz"))
        .send()
        .await
        .unwrap_err();
}

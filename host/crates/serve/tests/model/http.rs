//! The HTTP API, without our client.

use mortise_config::ServeConfig;
use mortise_serve::Server;
use mortise_store::ErrorKind;
use reqwest::Method;
use serde_json::json;

use crate::{CREATE, Serving, all, draft, loaded, note, place, send};

const PATH: &str = "records/note/a";

#[tokio::test]
async fn a_write_says_what_it_expects_to_be_there() {
    let serving = Serving::new().await;
    let (one, two) = (json!({"body": "one"}), json!({"body": "two"}));
    let (absent, any) = (CREATE, ("if-match", "*"));
    let missing = send(serving.put(PATH, any, &one)).await;
    assert_eq!(missing.problem(), (404, "not-found"));
    let created = send(serving.put(PATH, absent, &one)).await;
    assert_eq!(created.status, 201);
    let there = loaded(&serving.store, &note("a")).await.unwrap();
    assert_eq!(created.tag().1, format!("\"{}\"", there.revision()));
    let taken = send(serving.put(PATH, absent, &two)).await;
    assert_eq!(taken.problem(), (409, "already-exists"));
    let replaced = send(serving.put(PATH, created.tag(), &two)).await;
    assert_eq!(replaced.status, 200);
    let (name, tag) = replaced.tag();
    let removed = send(serving.delete(PATH).header(name, tag)).await;
    assert_eq!((removed.status, &*removed.text), (204, ""));
    assert_eq!(all(&serving.store).await, []);
}

#[tokio::test]
async fn a_write_that_does_not_say_what_it_expects_is_refused() {
    let serving = Serving::new().await;
    serving.store.create(draft("a", "one")).await.unwrap();
    let before = all(&serving.store).await;
    let put = serving.request(Method::PUT, PATH);
    let put = put.json(&json!({"body": "two"}));
    for request in [put, serving.delete(PATH)] {
        let refused = send(request).await;
        assert_eq!(refused.problem(), (428, "precondition-required"));
        let hint = refused.json["hint"].as_str().unwrap();
        assert!(hint.contains("If-Match"), "{hint}");
    }
    // So is one with a tag that no server answers.
    for tag in ["7", "W/\"1\"", "\"1\", \"2\""] {
        let refused = send(serving.delete(PATH).header("if-match", tag)).await;
        assert_eq!(refused.problem(), (400, "invalid"), "{tag}");
    }
    assert_eq!(all(&serving.store).await, before);
}

#[tokio::test]
async fn a_conflict_shows_the_record_as_it_is_now() {
    let serving = Serving::new().await;
    serving
        .store
        .create(draft("a", r#"{"n":1}"#))
        .await
        .unwrap();
    let seen = send(serving.get(PATH)).await;
    let (name, tag) = seen.tag();
    serving
        .store
        .update(draft("a", r#"{"n":2}"#), None)
        .await
        .unwrap();
    let now = send(serving.get(PATH)).await;
    for request in [
        serving.put(PATH, (name, tag), &json!({"body": "three"})),
        serving.delete(PATH).header(name, tag),
        serving
            .patch("entities/note/a", &json!({}))
            .header(name, tag),
    ] {
        let refused = send(request).await;
        assert_eq!(refused.problem(), (412, "conflict"));
        assert_eq!(refused.json["current"], now.json);
        assert_eq!(refused.tag(), now.tag());
    }
    assert_eq!(now.json["body"], r#"{"n":2}"#);
}

#[tokio::test]
async fn a_reader_that_has_the_record_is_sent_it_only_where_it_changed() {
    let serving = Serving::new().await;
    serving.store.create(draft("a", "one")).await.unwrap();
    let first = send(serving.get(PATH)).await;
    let again = || serving.get(PATH).header("if-none-match", first.tag().1);
    let same = send(again()).await;
    assert_eq!((same.status, &*same.text), (304, ""));
    assert_eq!(same.tag(), first.tag());
    serving.store.update(draft("a", "two"), None).await.unwrap();
    let changed = send(again()).await;
    assert_eq!(
        (changed.status, &changed.json["body"]),
        (200, &json!("two"))
    );
    assert_ne!(changed.tag(), first.tag());
}

#[tokio::test]
async fn what_is_not_there_or_not_understood_is_a_problem_with_its_kind() {
    let serving = Serving::new().await;
    let put = |body| serving.put(PATH, CREATE, &body);
    let text = serving.request(Method::PUT, PATH).body("text");
    let text = text.header(CREATE.0, CREATE.1);
    for (request, expected) in [
        (serving.get(PATH), (404, "not-found")),
        (serving.get("tasks/none"), (404, "not-found")),
        (serving.get("entities/job/none"), (404, "not-found")),
        (serving.get("/v1/stores/other"), (404, "no-such-store")),
        (serving.get("/v2"), (404, "no-such-path")),
        (serving.delete("/v1/stores"), (405, "method-not-allowed")),
        (serving.get("records/note?limit=0"), (400, "invalid")),
        (serving.get("records/note?after=x"), (400, "invalid")),
        (put(json!({})), (400, "invalid")),
        (put(json!({"body": "", "other": 1})), (400, "invalid")),
        (text, (415, "unsupported-media-type")),
        (
            serving.get(PATH).header("host", "evil.example"),
            (421, "misdirected"),
        ),
    ] {
        let asked = format!("{request:?}");
        let refused = send(request).await;
        assert_eq!(refused.problem(), expected, "{asked}");
        assert_ne!(refused.header("x-request-id"), "", "{asked}");
    }
    assert_eq!(all(&serving.store).await, []);
}

#[tokio::test]
async fn a_page_links_to_the_one_after() {
    let serving = Serving::new().await;
    for id in ["a", "b", "c", "d", "e"] {
        let sorted = draft(id, "").attribute("kind", ["vowel", "other"][usize::from(id > "a")]);
        serving.store.create(sorted).await.unwrap();
    }
    let mut next = Some("records/note?attribute=kind:other&limit=3".to_owned());
    let mut pages = Vec::new();
    while let Some(path) = next.take() {
        let page = send(serving.get(&path)).await;
        let link = page.header("link").strip_prefix('<');
        next = link.map(|link| link[..link.find('>').unwrap()].to_owned());
        assert_eq!(next.is_some(), page.json["next"].is_string());
        let records = page.json["records"].as_array().unwrap().iter();
        pages.push(records.map(|it| it["id"].clone()).collect::<Vec<_>>());
    }
    assert_eq!(json!(pages), json!([["b", "c", "d"], ["e"]]));
}

#[tokio::test]
async fn an_export_has_its_last_line_and_one_that_is_cut_is_refused() {
    let (from, to) = (Serving::new().await, Serving::new().await);
    for id in ["a", "b"] {
        from.store.create(draft(id, id)).await.unwrap();
    }
    let export = send(from.get("export")).await;
    assert_eq!(export.header("content-type"), "application/x-ndjson");
    let lines: Vec<_> = export.text.lines().collect();
    // A header and a trailer come along.
    assert_eq!(lines.len(), 4);
    let import = |text: String| to.request(Method::POST, "import").body(text);
    let cut = send(import(lines[..3].join("\n"))).await;
    assert_eq!(cut.problem(), (400, "invalid"));
    let whole = send(import(export.text.clone())).await;
    assert_eq!(whole.json, json!({"imported": 2}), "{whole:?}");
    assert_eq!(all(&to.store).await, all(&from.store).await);
}

#[tokio::test]
async fn the_server_tells_that_it_runs_and_what_it_serves() {
    let places = [place().named("one"), place().named("two").namespace("acme")];
    let serving = Serving::with(places, ServeConfig::default()).await;
    let live = send(serving.get("/healthz")).await;
    assert_eq!((live.status, &*live.text), (204, ""));
    let ready = send(serving.get("/readyz").header("x-request-id", "mine-7")).await;
    assert_eq!(ready.header("x-request-id"), "mine-7");
    assert_eq!(
        ready.json,
        json!({"ready": true, "stores": [{"name": "one", "ready": true}, {"name": "two", "ready": true}]})
    );
    let stores = send(serving.get("/v1/stores")).await.json;
    let two = send(serving.get("/v1/stores/two")).await.json;
    assert_eq!(stores["stores"][1], two);
    let told = [&two["backend"], &two["namespace"], &two["breaker"]];
    assert_eq!(told, ["model", "acme", "closed"]);
}

#[tokio::test]
async fn only_this_machine_is_listened_to_and_each_store_has_a_name_of_its_own() {
    for address in ["0.0.0.0:0", "[::]:0"] {
        let server = Server::new([place().store()]).unwrap();
        let error = server.bind(address).await.err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    }
    let twice = Server::new([place().store(), place().store()]);
    let error = twice.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("model"), "{error}");
}

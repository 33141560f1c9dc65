//! Tokens: who gets in, and how far.

use mortise_config::Permission::{self, Read, Write};
use mortise_config::{Namespaces, ServeConfig, TokenConfig};
use mortise_serve::Token;
use mortise_store::ErrorKind;
use serde_json::json;

use crate::{CREATE, Serving, all, draft, loaded, note, place, send};

/// A server of a store in the namespace `acme` and of one in another, and a token for `acme` that allows each of these.
async fn serving<const N: usize>(allowed: [&[Permission]; N]) -> (Serving, [Token; N]) {
    let mut config = ServeConfig::default();
    let tokens = allowed.map(|may| {
        let token = Token::generate().unwrap();
        let name = format!("token-{}", config.tokens.len());
        let acme = Namespaces::named(["acme"]).unwrap();
        let may = may.iter().copied();
        let known = TokenConfig::new(&name, token.sha256(), acme, may, None);
        config.tokens.push(known.unwrap());
        token
    });
    let places = [place().namespace("acme"), place().named("other")];
    (Serving::with(places, config).await, tokens)
}

#[tokio::test]
async fn a_token_opens_what_it_allows_and_nothing_else() {
    let (serving, [reader, writer]) = serving([&[Read], &[Write]]).await;
    let stranger = Token::generate().unwrap();
    let get = |path| serving.get(path);
    let put = |path| serving.put(path, CREATE, &json!({"body": ""}));
    let (mine, other) = ("records/note/a", "/v1/stores/other/records/note/a");
    let none = "/v1/stores/none/records/note/a";
    for (token, request, expected) in [
        (None, get("/healthz"), 204),
        (None, get("/readyz"), 200),
        (None, get(mine), 401),
        (None, put(mine), 401),
        (None, get("/v1/stores"), 401),
        (None, get("/metrics"), 401),
        (Some(&stranger), get(mine), 401),
        (Some(&reader), get(mine), 404),
        (Some(&reader), put(mine), 403),
        (Some(&reader), get(other), 403),
        // Whether a store is there is nobody's business who may not read it.
        (Some(&reader), get(none), 403),
        (Some(&writer), get(mine), 403),
        (Some(&writer), put(mine), 201),
        (Some(&writer), put(other), 403),
    ] {
        let asked = format!("{token:?} {request:?}");
        let answer = match token {
            Some(token) => send(request.bearer_auth(token.reveal())).await,
            None => send(request).await,
        };
        assert_eq!(answer.status, expected, "{asked}: {answer:?}");
        let challenged = answer.header("www-authenticate").starts_with("Bearer ");
        assert_eq!(challenged, [401, 403].contains(&expected), "{asked}");
    }
    let listed = send(get("/v1/stores").bearer_auth(reader.reveal())).await;
    let listed = listed.json["stores"].as_array().unwrap().iter();
    let names: Vec<_> = listed.map(|store| &store["name"]).collect();
    assert_eq!(names, ["model"]);
}

#[tokio::test]
async fn who_may_write_and_not_read_never_sees_the_current_record() {
    let (serving, [both, writer]) = serving([&[Read, Write], &[Write]]).await;
    let secret = draft("a", r#"{"id":"a","secret":"plans"}"#);
    serving.store.create(secret).await.unwrap();
    let before = all(&serving.store).await;
    let stale = ("if-match", "\"9999\"");
    let (record, entity) = ("records/note/a", "entities/note/a");
    let batch = json!({"writes": [{"remove": {
        "collection": "note", "id": "a", "expect": {"unchanged-since": 9999},
    }}]});
    for request in [
        serving.put(record, stale, &json!({"body": ""})),
        serving.delete(record).header(stale.0, stale.1),
        serving.patch(entity, &json!({})).header(stale.0, stale.1),
        serving.post("batch", &batch),
    ] {
        for (token, shown) in [(&both, true), (&writer, false)] {
            let request = request.try_clone().unwrap();
            let refused = send(request.bearer_auth(token.reveal())).await;
            assert_eq!(refused.problem(), (412, "conflict"));
            assert_eq!(refused.json.get("current").is_some(), shown);
            assert_eq!(refused.headers.contains_key("etag"), shown);
            assert_eq!(refused.text.contains("plans"), shown, "{refused:?}");
        }
    }
    assert_eq!(all(&serving.store).await, before);
    // Nor what else is in an entity that it saves.
    let save = |token: &Token| {
        let save = serving.patch(entity, &json!({"mine": 1}));
        save.bearer_auth(token.reveal())
    };
    let saved = send(save(&writer)).await;
    assert_eq!((saved.status, &*saved.text), (204, ""));
    let saved = send(save(&both)).await;
    assert_eq!(saved.json, json!({"id": "a", "secret": "plans", "mine": 1}));
}

#[tokio::test]
async fn a_client_gets_as_far_as_its_token() {
    let (serving, tokens) = serving([&[Read, Write], &[Read], &[Write]]).await;
    let folder = tempfile::tempdir().unwrap();
    let open = async |token: &Token| {
        let file = folder.path().join("token");
        std::fs::write(&file, token.reveal()).unwrap();
        let url = format!("{}/model?token-file={}", serving.url, file.display());
        mortise_client::connect(&url).await
    };
    let [both, reader, writer] = &tokens;
    let store = open(both).await.unwrap();
    store.create(draft("a", "one")).await.unwrap();
    let store = open(reader).await.unwrap();
    let there = loaded(&serving.store, &note("a")).await;
    assert!(there.is_some());
    assert_eq!(loaded(&store, &note("a")).await, there);
    let written = store.create(draft("b", "two")).await.unwrap_err();
    let opened = open(writer).await.unwrap_err();
    let anonymous = mortise_client::connect(&format!("{}/model", serving.url)).await;
    for (error, part) in [
        (written, "write"),
        (opened, "read"),
        (anonymous.unwrap_err(), "token"),
    ] {
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        assert!(error.to_string().contains(part), "{error}");
    }
    assert_eq!(all(&serving.store).await.len(), 1);
}

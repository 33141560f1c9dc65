//! `fallback = "memory"`: what becomes of a store whose backend does not open.

use std::fs;

use mortise::{Config, ErrorKind, Fallback, Host, StoreConfig};

use crate::support::{component, draft, host, key};

/// A host with a damaged plug-in, `broken`.
fn with_broken() -> (Host, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let sqlite = component("sqlite");
    fs::write(
        folder.path().join("broken.wasm"),
        &sqlite[..sqlite.len() / 2],
    )
    .unwrap();
    (host().plugin_dir(folder.path()).build().unwrap(), folder)
}

/// Each of these does not open; with `fallback=memory`, the store is there.
#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_does_not_open_is_replaced_only_where_it_is_written() {
    let (host, folder) = with_broken();
    let path = folder.path().display();
    for (url, kind, reason) in [
        ("broken:?x=y".to_owned(), ErrorKind::Component, "damaged"),
        (
            "nobody:?x=y".to_owned(),
            ErrorKind::Config,
            "no backend named",
        ),
        (
            "redis://127.0.0.1:1?ttl=1h&deadline=300ms".to_owned(),
            ErrorKind::Unavailable,
            "127.0.0.1:1",
        ),
        (
            format!("sqlite:{path}/nowhere/a.db?x=y"),
            ErrorKind::Config,
            "does not open",
        ),
        (
            "fault:?traps-at-open-from=0".to_owned(),
            ErrorKind::Trap,
            "asked to trap",
        ),
    ] {
        let error = host.open(&url).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error:?}");
        let store = host
            .open(&format!("{url}&fallback=memory&namespace=acme"))
            .await
            .unwrap();
        assert_eq!((store.backend(), store.namespace()), ("memory", "acme"));
        let told = store.status().fallback.unwrap();
        assert!(told.contains(reason), "{told}");
        store.create(draft("a", "one")).await.unwrap();
        store.load(&key("a")).await.unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_that_is_refused_is_replaced_too() {
    let digest = "0".repeat(64).parse().unwrap();
    let host = host().pin("tree", digest).build().unwrap();
    let config = StoreConfig::new("tree").fallback(Fallback::Memory);
    let store = host.open_with(config).await.unwrap();
    assert!(store.status().fallback.unwrap().contains("is pinned to"));
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_backend_opens_nothing_is_replaced() {
    let store = host()
        .build()
        .unwrap()
        .open("tree:?fallback=memory")
        .await
        .unwrap();
    assert_eq!((store.backend(), store.status().fallback), ("tree", None));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_in_the_configuration_itself_is_one_all_the_same() {
    let host = host().build().unwrap();
    for (url, kind) in [
        ("sqlite:?fallback=memory", ErrorKind::NotGranted),
        ("tree:?colour=red&fallback=memory", ErrorKind::Invalid),
        ("tree:?concurrency=0&fallback=memory", ErrorKind::Config),
        ("tree:?fallback=sqlite", ErrorKind::Config),
        ("memory:?fallback=memory", ErrorKind::Config),
        (
            "redis://a?password-env=NOT_SET_ANYWHERE&fallback=memory",
            ErrorKind::Config,
        ),
    ] {
        let error = host.open(url).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{url}: {error:?}");
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mortise.toml");
    fs::write(
        &file,
        "[stores.a]\nbackend = \"sqlite\"\nfallback = \"disk\"\n",
    )
    .unwrap();
    let error = format!("{:?}", Config::from_file(&file).unwrap_err());
    assert!(
        error.contains("line 3") && error.contains("`memory`"),
        "{error}"
    );
}

/// A program that carries no backend `memory` gets the error that it would have got.
#[tokio::test(flavor = "multi_thread")]
async fn where_there_is_no_memory_backend_the_first_error_stands() {
    let host = Host::builder().build().unwrap();
    let error = host.open("nobody:?fallback=memory").await.unwrap_err();
    assert_eq!(error.backend(), Some("nobody"));
}

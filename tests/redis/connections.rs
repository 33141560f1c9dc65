//! Connections that break, and TLS.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use mortise::{Error, ErrorKind, Query, Store, Write};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::{assert_sound, recovered, within};
use crate::support::redis::{Proxy, RedisServer, Tls, poll};
use crate::support::{Fixture, draft, export_all, find_all, host, key};

const SECOND: Duration = Duration::from_secs(1);
const OPTIONS: &str = "deadline=1s&sweep-interval=1h";

async fn behind_a_proxy() -> (RedisServer, Proxy, Fixture) {
    let server = RedisServer::start(&[]);
    let proxy = Proxy::start(server.port()).await;
    let fixture = Fixture::on_redis(&proxy.url(), OPTIONS).await;
    (server, proxy, fixture)
}

/// Runs a write whose answer is lost.
async fn lose_answer<T: std::fmt::Debug>(
    (proxy, store): (&Proxy, &Store),
    write: impl Future<Output = Result<T, Error>>,
) {
    recovered(store).await;
    let before = proxy.cut();
    proxy.cut_next_answer();
    let error = within(SECOND, write).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Ambiguous, "{error:?}");
    assert_eq!(proxy.cut(), before + 1, "no answer was cut");
    recovered(store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_whose_answer_was_lost_is_ambiguous_and_happened_once() {
    let (server, proxy, fixture) = behind_a_proxy().await;
    let store = &fixture.store;
    let link = (&proxy, store);
    let body = async |id: &str| Some(store.load(&key(id)).await.unwrap()?.draft.body);
    // Else the answer that is lost is that the server does not know the script yet.
    store.create(draft("first", "")).await.unwrap();
    store.delete(&key("first"), None).await.unwrap();
    // Each write takes one revision: tried twice, it would have taken two, or failed otherwise.
    lose_answer(link, store.create(draft("a", "one").attribute("s", "1"))).await;
    assert_eq!(body("a").await.unwrap(), b"one");
    lose_answer(
        link,
        store.update(draft("a", "two").attribute("s", "2"), None),
    )
    .await;
    assert_eq!(body("a").await.unwrap(), b"two");
    let puts = vec![
        Write::put(draft("a", "three")),
        Write::put(draft("b", "three")),
    ];
    lose_answer(link, store.apply(puts)).await;
    assert_eq!(body("b").await.unwrap(), b"three");
    lose_answer(link, store.delete(&key("a"), None)).await;
    assert_eq!(body("a").await, None);
    assert_eq!(store.create(draft("c", "")).await.unwrap().mod_revision, 8);

    let records = export_all(store).await;
    let mut moved = records[0].clone();
    moved.draft.key.id = "imported".to_owned();
    (moved.stamp.create_revision, moved.stamp.mod_revision) = (100, 100);
    lose_answer(link, store.import(vec![moved])).await;
    assert_eq!(body("imported").await.unwrap(), b"three");
    assert_sound(&server, store).await;
    lose_answer(link, store.clear(None)).await;
    assert!(export_all(store).await.is_empty());
    assert_eq!(
        store.create(draft("a", "")).await.unwrap().mod_revision,
        101
    );
    assert_sound(&server, store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_whose_answer_was_lost_is_tried_again() {
    let (_server, proxy, fixture) = behind_a_proxy().await;
    let store = &fixture.store;
    store.create(draft("a", "one")).await.unwrap();
    for attempt in 1..=3 {
        proxy.cut_next_answer();
        let read = within(SECOND, store.load(&key("a")))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(
            (read.draft.body.as_slice(), proxy.cut()),
            (b"one".as_slice(), attempt)
        );
    }
    proxy.cut_next_answer();
    let found = within(SECOND, store.find(Query::new("task")))
        .await
        .unwrap();
    assert_eq!((found.records.len(), proxy.cut()), (1, 4));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_that_is_dead_is_unavailable_until_it_is_not() {
    let (server, proxy, fixture) = behind_a_proxy().await;
    let store = &fixture.store;
    store.create(draft("a", "one")).await.unwrap();

    proxy.cut_answers();
    let error = within(SECOND, store.load(&key("a"))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    proxy.forward();
    recovered(store).await;

    proxy.hold();
    let error = within(SECOND, store.update(draft("a", "two"), None))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Ambiguous, "{error:?}");
    for _ in 0..3 {
        let error = within(SECOND, store.load(&key("a"))).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    }
    proxy.forward();
    recovered(store).await;

    proxy.refuse();
    let error = within(SECOND, store.load(&key("a"))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    let connections = proxy.connections();
    for id in ["b", "c", "d"] {
        let error = within(SECOND, store.create(draft(id, "")))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    }
    // Pauses that grow, not a flood of connections.
    let more = proxy.connections() - connections;
    assert!(more < 200, "{more} connections in some seconds");
    proxy.forward();
    recovered(store).await;
    assert_eq!(find_all(store, Query::new("task")).await.unwrap().len(), 1);
    store.create(draft("b", "")).await.unwrap();
    assert_sound(&server, store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_time_outs_of_the_configuration_hold() {
    let (_server, proxy, fixture) = behind_a_proxy().await;
    let slow = fixture
        .open("deadline=20s&connect-timeout=300ms&command-timeout=300ms")
        .await;
    proxy.hold();
    let error = within(SECOND, slow.create(draft("a", "")))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Ambiguous, "{error:?}");
    proxy.forward();
    recovered(&slow).await;
    for option in ["connect-timeout=soon", "command-timeout=0s"] {
        let error = host()
            .build()
            .unwrap()
            .open(&fixture.url(option))
            .await
            .err()
            .unwrap();
        assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
        assert!(error.to_string().contains("timeout"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_is_verified() {
    let tls = Tls::issued();
    let server = RedisServer::start_tls(&tls, &[]);
    let ca = format!("ca-file={}&{OPTIONS}", tls.ca().display());
    let fixture = Fixture::on_redis(&server.url(), &ca).await;
    let store = &fixture.store;
    store
        .create(draft("a", "one").attribute("s", "v"))
        .await
        .unwrap();
    assert_eq!(
        store.load(&key("a")).await.unwrap().unwrap().draft.body,
        b"one"
    );
    assert_sound(&server, store).await;

    let host = host().build().unwrap();
    let by_name = format!("rediss://localhost:{}?{ca}", server.port());
    host.open(&by_name).await.unwrap();
    // Given by nobody whom the store knows.
    let stranger = format!("ca-file={}&{OPTIONS}", tls.stranger().display());
    for url in [
        format!("{}?{stranger}", server.url()),
        format!("{}?{OPTIONS}", server.url()),
    ] {
        let error = host.open(&url).await.expect_err("it opened");
        assert_eq!(error.kind(), ErrorKind::Config, "{url}: {error:?}");
    }
    let error = host
        .open(&format!("{}?ca-file=missing.pem", server.url()))
        .await
        .err()
        .unwrap();
    assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
    assert!(error.to_string().contains("missing.pem"), "{error:?}");
    // Plaintext is not what this server speaks.
    let plain = server.url().replace("rediss", "redis");
    let error = within(SECOND, host.open(&format!("{plain}?{OPTIONS}")))
        .await
        .err()
        .unwrap();
    assert!(
        matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Config),
        "{error:?}"
    );
}

/// A server that answers plaintext whatever it is told, and keeps what it was told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_sent_in_plaintext_under_rediss() {
    const PASSWORD: &str = "dummy-secret-of-teal";
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let heard: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
    let hearing = Arc::clone(&heard);
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut bytes = vec![0; 1 << 16];
            let read = client.read(&mut bytes).await.unwrap_or(0);
            bytes.truncate(read);
            // What invites to go on in plaintext.
            let _ = client.write_all(b"+OK\r\n+OK\r\n+PONG\r\n").await;
            let mut rest = vec![0; 1 << 16];
            let read = client.read(&mut rest).await.unwrap_or(0);
            bytes.extend_from_slice(&rest[..read]);
            hearing.lock().unwrap().push(bytes);
        }
    });
    let host = host().build().unwrap();
    for scheme in ["rediss", "rediss+cluster", "rediss+sentinel"] {
        let name = if scheme == "rediss+sentinel" {
            "/teal"
        } else {
            ""
        };
        let url = format!("{scheme}://teal:{PASSWORD}@127.0.0.1:{port}{name}?{OPTIONS}");
        let error = within(SECOND, host.open(&url))
            .await
            .expect_err("it opened");
        assert!(
            matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Config),
            "{scheme}: {error:?}"
        );
        let heard = poll(&format!("a connection by {scheme}"), || {
            let heard = std::mem::take(&mut *heard.lock().unwrap());
            (!heard.is_empty()).then_some(heard)
        });
        for bytes in heard {
            assert_eq!(
                bytes.first(),
                Some(&0x16),
                "{scheme}: no TLS: {}",
                bytes.escape_ascii()
            );
            let secret = PASSWORD.as_bytes();
            assert!(
                !bytes.windows(secret.len()).any(|part| part == secret),
                "{scheme}"
            );
        }
    }
}

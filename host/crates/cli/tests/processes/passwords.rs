//! Passwords of Redis: where they come from, and where they never go.

use std::fs;
use std::process::{Command, Output};

use mortise::{ErrorKind, Store, StoreConfig};

use crate::support::redis::RedisServer;
use crate::support::{draft, host, key};

/// With every character that means something in a URL.
const PASSWORD: &str = "p@ss:w/rd?&=#%20+-secret";
/// The same in a URL.
const ENCODED: &str = "p%40ss%3Aw%2Frd%3F%26%3D%23%2520%2B-secret";
/// The default user's.
const DEFAULT: &str = "default-secret";

/// A server with a user `teal`.
fn server() -> RedisServer {
    let secret = format!(">{PASSWORD}");
    let users = [
        "--requirepass",
        DEFAULT,
        "--user",
        "teal",
        "on",
        &secret,
        "~*",
        "&*",
        "+@all",
    ];
    RedisServer::start(&users)
}

async fn client(url: &str) -> Store {
    host().build().unwrap().open(url).await.unwrap()
}

/// Every text in which a password could be read by who is not meant to.
fn assert_secret(what: &str, text: &str) {
    for secret in [PASSWORD, ENCODED, DEFAULT, "-secret"] {
        assert!(!text.contains(secret), "{what} shows {secret}: {text}");
    }
}

/// Runs the command line on a store, saying all it can.
fn health(store: &str, environment: &[(&str, &str)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_mortise"))
        .args(["store", "health", "-vvv"])
        .env("MORTISE_STORE", store)
        .env("RUST_LOG", "trace")
        .env_remove("MORTISE_CONFIG")
        .envs(environment.iter().copied())
        .output()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_comes_from_the_url_a_file_or_the_environment() {
    let server = server();
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let (plain, lines) = (
        file("plain", PASSWORD),
        file("line", &format!("{PASSWORD}\n")),
    );
    let default = file("default", DEFAULT);
    let at = format!("127.0.0.1:{}", server.port());
    for (number, url) in [
        format!("redis://teal:{ENCODED}@{at}?deadline=5s"),
        format!("redis://teal@{at}?password-file={plain}"),
        format!("redis://{at}?username=teal&password-file={lines}"),
        format!("redis://:{DEFAULT}@{at}?deadline=5s"),
        format!("redis://{at}?password-file={default}"),
    ]
    .iter()
    .enumerate()
    {
        let store = client(url).await;
        store.create(draft(&number.to_string(), "")).await.unwrap();
    }
    for (url, password) in [
        (format!("redis://teal@{at}?password-env=TEAL_PWD"), PASSWORD),
        (
            format!("redis://{at}?username=teal&password-env=TEAL_PWD"),
            PASSWORD,
        ),
        (format!("redis://{at}?password-env=TEAL_PWD"), DEFAULT),
    ] {
        let output = health(&url, &[("TEAL_PWD", password)]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{url}: {said}");
        assert_secret(&url, &said);
        assert_secret(&url, &String::from_utf8_lossy(&output.stdout));
    }
    // A variable or a file that is not there is named.
    let output = health(&format!("redis://{at}?password-env=TEAL_MISSING"), &[]);
    assert_eq!(output.status.code(), Some(9));
    assert!(String::from_utf8_lossy(&output.stderr).contains("TEAL_MISSING"));
    let error = host()
        .build()
        .unwrap()
        .open(&format!("redis://{at}?password-file=missing"))
        .await;
    let error = error.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
    assert!(error.to_string().contains("missing"), "{error:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_error_shows_a_password() {
    let server = server();
    let port = server.port();
    let nobody = RedisServer::start(&[]).port();
    let secret = format!("teal:{ENCODED}");
    let wrong = "teal:wrong-secret";
    let host = host().build().unwrap();
    for (url, kind) in [
        (
            format!("redis://{wrong}@127.0.0.1:{port}"),
            ErrorKind::Config,
        ),
        (
            format!("redis://:wrong-secret@127.0.0.1:{port}"),
            ErrorKind::Config,
        ),
        (format!("redis://127.0.0.1:{port}"), ErrorKind::Config),
        (
            format!("redis://{secret}@127.0.0.1:{nobody}?deadline=1s"),
            ErrorKind::Unavailable,
        ),
        (
            format!("redis+cluster://{secret}@127.0.0.1:{nobody}?deadline=1s"),
            ErrorKind::Unavailable,
        ),
        (
            format!("redis+sentinel://{secret}@127.0.0.1:{nobody}/teal?deadline=1s"),
            ErrorKind::Unavailable,
        ),
        (
            format!("redis://{secret}@127.0.0.1:{port}?deadline=soon"),
            ErrorKind::Config,
        ),
        (
            format!("redis://{secret}@127.0.0.1:{port}?a"),
            ErrorKind::Config,
        ),
        (
            format!("redis://{secret}@127.0.0.1:{port}?namespace=a&namespace=b"),
            ErrorKind::Config,
        ),
        (
            format!("redis://{secret}@127.0.0.1:port"),
            ErrorKind::Config,
        ),
        (
            format!("redis://{secret}@127.0.0.1:{port}/zero"),
            ErrorKind::Config,
        ),
        (
            format!("redis://{secret}@127.0.0.1:{port}/0/1"),
            ErrorKind::Config,
        ),
        (format!("redis://{secret}@"), ErrorKind::Config),
        (
            format!("redis://{secret}@127.0.0.1:{port}?ca-file=a.pem"),
            ErrorKind::Config,
        ),
        (
            format!("redis://{secret}@127.0.0.1:{port}?password-env=TEAL_PWD"),
            ErrorKind::Config,
        ),
        (
            format!("redis+sentinel://{secret}@127.0.0.1:{port}"),
            ErrorKind::Config,
        ),
        (
            format!("redis://teal:%ff-secret@127.0.0.1:{port}"),
            ErrorKind::Config,
        ),
        (
            format!("Redis://{secret}@127.0.0.1:{port}"),
            ErrorKind::Config,
        ),
        (
            format!("sqlite://{secret}@127.0.0.1:{port}"),
            ErrorKind::Config,
        ),
    ] {
        let error = host
            .open(&url)
            .await
            .err()
            .unwrap_or_else(|| panic!("{url} opened"));
        assert_eq!(error.kind(), kind, "{url}: {error:?}");
        assert_secret(&url, &format!("{error} {error:?} {:?}", error.hint()));
        let output = health(&url, &[]);
        assert!(!output.status.success(), "{url}");
        assert_secret(&url, &String::from_utf8_lossy(&output.stderr));
        assert_secret(&url, &String::from_utf8_lossy(&output.stdout));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_debug_text_and_no_log_shows_a_password() {
    let mut server = server();
    let url = format!("redis://teal:{ENCODED}@127.0.0.1:{}", server.port());
    let config = StoreConfig::from_url(&url).unwrap();
    assert_secret("the configuration", &format!("{config:?} {config:#?}"));
    let output = health(&url, &[]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("opened"), "it logs nothing: {said}");
    assert_secret("the log", &said);
    // Nor does an error of a call.
    let store = client(&format!("{url}?deadline=1s")).await;
    server.kill();
    for error in [
        store.load(&key("a")).await.unwrap_err(),
        store.create(draft("a", "")).await.unwrap_err(),
    ] {
        assert_secret("a call", &format!("{error} {error:?} {:?}", error.hint()));
        // Where the server is, is the operator's business alone.
        let told = error.backend_message().unwrap_or_default();
        assert!(
            !told.contains("127.0.0.1"),
            "a guest was told an address: {told}"
        );
    }
}

//! Sessions with the official Python client.

use super::server::Server;
use crate::packages;
use crate::support::Fixture;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/mcp/session.py");

/// Holds a session; panics where it fails.
fn hold(folder: &std::path::Path, server: &[&str]) {
    let mut python = packages::python();
    let held = python.arg(SCRIPT).args(server).current_dir(folder).output();
    let held = held.unwrap();
    let (told, errors) = (&held.stdout, String::from_utf8_lossy(&held.stderr));
    assert_eq!(String::from_utf8_lossy(told), "held\n", "{errors}");
}

#[test]
fn the_python_client_holds_a_session_over_stdio() {
    for store in ["memory:", "sqlite:tasks.db"] {
        let folder = tempfile::tempdir().unwrap();
        let server = [env!("CARGO_BIN_EXE_mortise"), "mcp", "--store", store];
        hold(folder.path(), &server);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_python_client_holds_a_session_over_http() {
    for backend in ["memory", "sqlite"] {
        let fixture = Fixture::new(backend).await;
        let server = Server::start(&fixture).await;
        let url = server.url.clone();
        let folder = fixture.path().to_owned();
        let held = tokio::task::spawn_blocking(move || hold(&folder, &[&url]));
        held.await.unwrap();
    }
}

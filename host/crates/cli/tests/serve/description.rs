//! The API's description, held against what the server does.

use std::fs;

use mortise::serve::Server;

use crate::packages;
use crate::support::Fixture;

/// What an answer must be for any request that can be made of the description.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_that_can_be_made_of_it_is_answered_otherwise() {
    let fixture = Fixture::new("memory").await;
    let server = Server::new([fixture.store.clone()]).unwrap();
    let server = server.bind("127.0.0.1:0").await.unwrap();
    let description = format!("{}/openapi.json", server.url());
    tokio::spawn(server.run(std::future::pending()));
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("schemathesis.toml");
    fs::write(&config, "[parameters]\n\"path.store\" = \"memory\"\n").unwrap();
    let mut schemathesis = packages::schemathesis();
    schemathesis.arg("--config-file").arg(&config);
    schemathesis.args(["run", &description, "--checks", CHECKS]);
    schemathesis.args(["--phases", "coverage,fuzzing", "--max-examples", "10"]);
    schemathesis.args(["--suppress-health-check", "all", "--seed", "1"]);
    // It writes no lines of JSON: `http.rs` sends some that are damaged.
    schemathesis.args(["--exclude-path-regex", "import$"]);
    schemathesis.current_dir(folder.path());
    let ran = tokio::task::spawn_blocking(move || schemathesis.output().unwrap());
    let ran = ran.await.unwrap();
    let told = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success(), "{told}");
    assert!(told.contains(" passed"), "{told}");
}

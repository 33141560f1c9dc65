//! The official conformance scenarios.

use std::collections::BTreeSet;

use super::server::Server;
use crate::packages;
use crate::support::Fixture;

/// The scenarios for what is implemented.
const IMPLEMENTED: [&str; 6] = [
    "server-initialize",
    "ping",
    "logging-set-level",
    "tools-list",
    "server-sse-multiple-streams",
    "dns-rebinding-protection",
];

/// What the other scenarios need that is not there.
const NOT_IMPLEMENTED: [(&str, &str); 7] = [
    (
        "tools-call-",
        "tools that are called test_…, of the suite's own server",
    ),
    ("json-schema-2020-12", "a tool of the suite's own server"),
    (
        "server-sse-polling",
        "the tool test_reconnection of the suite's own server",
    ),
    ("elicitation-", "no tool asks the user something"),
    (
        "completion-",
        "there is nothing to complete: no prompts, no resource templates",
    ),
    ("resources-", "records are reached by tools"),
    ("prompts-", "there are none"),
];

#[tokio::test(flavor = "multi_thread")]
async fn what_is_implemented_conforms() {
    let fixture = Fixture::new("memory").await;
    let server = Server::start(&fixture).await;
    let (url, folder) = (server.url.clone(), fixture.path().to_owned());
    let run = move || {
        for scenario in IMPLEMENTED {
            let mut suite = packages::conformance();
            suite.args(["server", "--url", &url, "--scenario", scenario]);
            let ran = suite.current_dir(&folder).output();
            let ran = ran.expect("install Node with npx: apt-get install npm");
            let told = String::from_utf8_lossy(&ran.stdout);
            let errors = String::from_utf8_lossy(&ran.stderr);
            assert!(ran.status.success(), "{scenario}: {told}\n{errors}");
            assert!(!told.contains("FAILURE"), "{scenario}: {told}");
        }
    };
    tokio::task::spawn_blocking(run).await.unwrap();
}

#[test]
fn every_scenario_is_run_or_has_a_reason() {
    let mut suite = packages::conformance();
    let listed = suite.args(["list", "--server"]).output();
    let listed = listed.expect("install Node with npx: apt-get install npm");
    let listed = String::from_utf8(listed.stdout).unwrap();
    let scenarios = listed
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- "));
    let scenarios: BTreeSet<&str> = scenarios
        .filter_map(|line| line.split(' ').next())
        .collect();
    assert!(scenarios.len() > IMPLEMENTED.len(), "{listed}");
    for scenario in &scenarios {
        let missing = NOT_IMPLEMENTED.iter();
        let missing = missing
            .filter(|(prefix, _)| scenario.starts_with(prefix))
            .count();
        let run = usize::from(IMPLEMENTED.contains(scenario));
        assert_eq!(missing + run, 1, "{scenario}");
    }
}

//! Sessions of MCP over stdio: each calls tools without a rest, in a process that goes on as another program.

use std::process::Command;
use std::time::Instant;

use mortise::serve::restart::{ControlClient, Outcome, StateDir};
use serde_json::Value;
use tokio::sync::watch;

use super::figures::{Call, Ready};
use crate::by_hand::{Client, task};
use crate::process::Site;

/// A session with a task of its own in each store.
pub struct Pipe {
    client: Client,
    state: StateDir,
    task: String,
}

impl Pipe {
    /// Begins one beside the server: in its folder, with its configuration.
    pub fn begin(site: &Site, number: usize) -> Self {
        let state = site.path(&format!("pipe-{number}"));
        let mut command = Command::new(site.path("mortise"));
        command
            .current_dir(site.path(""))
            .arg("--config")
            .arg(site.path("mortise.toml"))
            .args(["mcp", "--state-dir"])
            .arg(&state);
        let mut client = Client::spawn(command);
        client.initialize();
        Self {
            client,
            state: StateDir::at(state),
            task: format!("of-pipe-{number}"),
        }
    }

    /// Where it is restarted.
    pub fn state(&self) -> StateDir {
        self.state.clone()
    }

    /// Creates its tasks, and updates and loads them until it is told to stop.
    pub fn work(mut self, stores: &[&str], stop: &watch::Receiver<bool>) -> Vec<Call> {
        let process = self.client.child().id();
        let mut calls = Vec::new();
        let mut revisions = Vec::new();
        for store in stores {
            let task = self.as_written(0);
            revisions.push(self.write("create_task", store, &format!(r#""task":{task}"#)));
        }
        let mut written = 0;
        while !*stop.borrow() {
            written += 1;
            for (store, revision) in stores.iter().zip(&mut revisions) {
                let task = self.as_written(written);
                let update = format!(r#""task":{task},"revision":{revision}"#);
                let begun = Instant::now();
                *revision = self.write("update_task", store, &update);
                calls.push(Call::since(begun));
                let load = format!(r#"{{"task_id":"{}","store":"{store}"}}"#, self.task);
                let begun = Instant::now();
                let found = self.client.ok("load_task", &load);
                calls.push(Call::since(begun));
                assert_eq!(found["revision"], *revision, "{store}");
                let expected: Value = serde_json::from_str(&task).unwrap();
                assert_eq!(found["task"], expected, "{store}");
            }
        }
        let told = self.client.events();
        for event in ["restart-ahead", "restarted"] {
            assert!(told.iter().any(|told| told == event), "{event}: {told:?}");
        }
        assert_eq!(self.client.child().id(), process);
        assert_eq!(self.client.end(), Some(0));
        calls
    }

    fn as_written(&self, written: u64) -> String {
        task(&self.task, "r-1", &format!(r#","written":{written}"#))
    }

    /// The revision that is written.
    fn write(&mut self, tool: &str, store: &str, arguments: &str) -> u64 {
        let arguments = format!(r#"{{{arguments},"store":"{store}"}}"#);
        self.client.ok(tool, &arguments)["revision"]
            .as_u64()
            .unwrap()
    }
}

/// Restarts a session.
pub async fn restart(state: &StateDir) -> Ready {
    let begun = Instant::now();
    let client = ControlClient::connect(state).await.unwrap();
    let reason = Some("a test".to_owned());
    let restart = client.restart(reason, true, true, |_| {}).await.unwrap();
    let ready = Instant::now();
    assert_eq!(restart.outcome, Some(Outcome::Done), "{restart:?}");
    Ready {
        begun,
        ready,
        restart,
    }
}

//! A server as a process, and the supervisor that starts it anew when it is gone.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use mortise::serve::restart::{ControlClient, Phase, Restart, ServerStatus, StateDir, history};
use reqwest::{Client, StatusCode};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

/// How long anything may take before a test fails.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Both kinds of stores: one keeps its records in memory, one on the disk.
const CONFIG: &str = r#"
cache-dir = "cache"

[stores.memory]
backend = "memory"

[stores.disk]
backend = "sqlite"
sqlite = { path = "tasks.db" }
"#;

/// The compiled backends, for all tests: compiling them takes longer than all else.
fn cache() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("restart-cache")
}

/// A folder with all that a server has: its program, its configuration, its state.
pub struct Site {
    folder: TempDir,
    arguments: Vec<String>,
    /// Whether it is told in the configuration where to listen.
    configured: bool,
    hold: Option<Phase>,
    /// The process that was started last. Those that took over are its descendants.
    child: Option<Child>,
    pub url: String,
    pub client: Client,
}

impl Site {
    pub async fn new() -> Self {
        Self::with(&[], None).await
    }

    /// With more arguments; `hold` is the phase at whose end a restart stays.
    pub async fn with(arguments: &[&str], hold: Option<Phase>) -> Self {
        Self::begin(tempfile::tempdir().unwrap(), arguments, hold).await
    }

    /// With a backend in its plug-in folder, which it watches.
    pub async fn watching(backend: &str, component: &[u8], hold: Option<Phase>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let plugins = folder.path().join("plugins");
        fs::create_dir(&plugins).unwrap();
        fs::write(plugins.join(format!("{backend}.wasm")), component).unwrap();
        Self::begin(folder, &["--plugin-dir", "plugins", "--watch"], hold).await
    }

    /// Told in the configuration where to listen, in a line of its own.
    pub async fn configured() -> Self {
        let mut site = Self::prepared(tempfile::tempdir().unwrap(), &[], None);
        site.configured = true;
        let serve = format!("\n[serve]\nlisten = \"{}\"\n", site.address());
        let config = site.path("mortise.toml");
        let with_address = fs::read_to_string(&config).unwrap() + &serve;
        fs::write(config, with_address).unwrap();
        site.begun().await
    }

    async fn begin(folder: TempDir, arguments: &[&str], hold: Option<Phase>) -> Self {
        Self::prepared(folder, arguments, hold).begun().await
    }

    async fn begun(mut self) -> Self {
        self.start();
        self.is_served().await;
        self
    }

    fn prepared(folder: TempDir, arguments: &[&str], hold: Option<Phase>) -> Self {
        let config = CONFIG.replace("\"cache\"", &format!("{:?}", cache()));
        fs::write(folder.path().join("mortise.toml"), config).unwrap();
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_mortise"), folder.path().join("mortise"))
            .unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = port.local_addr().unwrap();
        drop(port);
        Self {
            folder,
            arguments: arguments.iter().copied().map(str::to_owned).collect(),
            configured: false,
            hold,
            child: None,
            url: format!("http://{address}"),
            client: crate::client(),
        }
    }

    pub fn address(&self) -> &str {
        self.url.strip_prefix("http://").unwrap()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Puts another component into the place of a backend's.
    pub fn replace(&self, backend: &str, component: &[u8]) {
        let new = self.path("plugins/new");
        fs::write(&new, component).unwrap();
        fs::rename(new, self.path(&format!("plugins/{backend}.wasm"))).unwrap();
    }

    /// What the server says of a store.
    pub async fn store(&self, store: &str) -> Value {
        let url = format!("{}/v1/stores/{store}", self.url);
        let response = self.client.get(url).send().await.unwrap();
        response.json().await.unwrap()
    }

    pub fn state(&self) -> StateDir {
        StateDir::at(self.path("state"))
    }

    /// Starts the server. What it logs is added to the file `log`.
    fn start(&mut self) {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.path("log"));
        let log = log.unwrap();
        let mut command = Command::new(self.path("mortise"));
        command
            .current_dir(self.folder.path())
            .args(["-v", "--config"])
            .arg(self.path("mortise.toml"))
            .args(["serve", "--state-dir"])
            .arg(self.path("state"))
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        if !self.configured {
            command.args(["--listen", self.address()]);
        }
        if let Some(phase) = self.hold {
            command.env("MORTISE_RESTART_HOLD", phase.as_str());
        }
        self.child = Some(command.spawn().unwrap());
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// The process that serves, by its own word.
    pub fn pid(&self) -> u32 {
        self.state().pid().expect("a pid file")
    }

    pub fn restarts(&self) -> Vec<Restart> {
        history(&self.state()).unwrap()
    }

    /// The last restart, once it has an outcome.
    pub async fn ended_restart(&self) -> Restart {
        let begun = Instant::now();
        loop {
            let restart = self.restarts().pop().expect("a restart");
            if restart.outcome.is_some() {
                return restart;
            }
            assert!(begun.elapsed() < PATIENCE, "no outcome: {restart:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// What the server says of itself.
    pub async fn status(&self) -> ServerStatus {
        let client = ControlClient::connect(&self.state()).await.unwrap();
        client.status().await.unwrap()
    }

    /// Has the server restart, and waits for what comes of it.
    pub async fn restart(&self) -> mortise::Result<Restart> {
        let client = ControlClient::connect(&self.state()).await?;
        client
            .restart(Some("a test".to_owned()), true, true, |_| {})
            .await
    }

    /// Waits until the server answers.
    pub async fn is_served(&self) {
        let begun = Instant::now();
        loop {
            let ready = self.client.get(format!("{}/readyz", self.url)).send().await;
            if ready.is_ok_and(|ready| ready.status() == StatusCode::OK) {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "not served: {}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// What a supervisor does: follows the pid file, and starts the server anew when its process is gone.
    pub async fn supervise_until_served(&mut self) {
        let begun = Instant::now();
        loop {
            let ready = self.client.get(format!("{}/readyz", self.url)).send().await;
            if ready.is_ok_and(|ready| ready.status() == StatusCode::OK) {
                return;
            }
            if !is_alive(self.pid()) && self.child.as_mut().is_none_or(has_ended) {
                self.start();
            }
            assert!(begun.elapsed() < PATIENCE, "not served: {}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until a restart stays at the end of its phase.
    pub async fn is_held(&self) {
        let begun = Instant::now();
        while !self.log().contains("stays at the end of the phase") {
            assert!(begun.elapsed() < PATIENCE, "not held: {}", self.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Lets a restart that stays go on.
    pub fn release(&self) {
        fs::write(self.path("state/release"), "").unwrap();
    }

    fn record(&self, store: &str, id: &str) -> String {
        format!("{}/v1/stores/{store}/records/task/{id}", self.url)
    }

    pub async fn create(&self, store: &str, id: &str, body: &str) {
        let request = self.client.put(self.record(store, id));
        let request = request
            .header("if-none-match", "*")
            .json(&json!({ "body": body }));
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), StatusCode::CREATED, "{store} {id}");
    }

    /// A record as it is read: its revision and its body.
    pub async fn load(&self, store: &str, id: &str) -> reqwest::Result<Option<(u64, String)>> {
        let response = self.client.get(self.record(store, id)).send().await?;
        match response.status() {
            StatusCode::NOT_FOUND => return Ok(None),
            status => assert_eq!(status, StatusCode::OK, "{store} {id}"),
        }
        let record: Value = response.json().await?;
        let revision = record["mod_revision"].as_u64().unwrap();
        Ok(Some((
            revision,
            record["body"].as_str().unwrap().to_owned(),
        )))
    }

    /// Replaces a record, if it is unchanged since.
    pub async fn update(
        &self,
        store: &str,
        id: &str,
        revision: u64,
        body: &str,
    ) -> reqwest::Result<StatusCode> {
        let request = self.client.put(self.record(store, id));
        let request = request.header("if-match", format!("\"{revision}\""));
        let response = request.json(&json!({ "body": body })).send().await?;
        Ok(response.status())
    }

    /// Everything in a store, as it is exported.
    pub async fn export(&self, store: &str) -> String {
        let url = format!("{}/v1/stores/{store}/export", self.url);
        self.client
            .get(url)
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if let Some(pid) = self.state().pid() {
            kill(pid, Signal::KILL);
        }
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn has_ended(child: &mut Child) -> bool {
    child.try_wait().unwrap().is_some()
}

pub fn kill(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(pid.try_into().unwrap()).unwrap();
    // It may have ended before.
    let _ = kill_process(pid, signal);
}

/// Whether a process runs: one that ended and that nobody waited for does not.
pub fn is_alive(pid: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/stat"));
    status.is_ok_and(|status| {
        let state = status.rsplit_once(')').map(|(_, rest)| rest.trim_start());
        !state.is_some_and(|state| state.starts_with(['Z', 'X']))
    })
}

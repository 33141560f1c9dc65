//! A server as a process, and the supervisor that starts it anew when it is gone.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use mortise::serve::restart::{ControlClient, Restart, ServerStatus, StateDir, history};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use reqwest::{Certificate, Client, ClientBuilder, StatusCode};
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

/// Puts the program and its configuration into a folder.
pub fn lay_out(folder: &Path) {
    let config = CONFIG.replace("\"cache\"", &format!("{:?}", cache()));
    fs::write(folder.join("mortise.toml"), config).unwrap();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_mortise"), folder.join("mortise")).unwrap();
}

/// Puts another program into the place of the server's.
pub fn replace_program(folder: &Path, text: &str, mode: u32) {
    let (program, new) = (folder.join("mortise"), folder.join("mortise.new"));
    fs::write(&new, text).unwrap();
    fs::set_permissions(&new, fs::Permissions::from_mode(mode)).unwrap();
    fs::rename(&new, program).unwrap();
}

/// A folder with all that a server has: its program, its configuration, its state.
pub struct Site {
    folder: TempDir,
    /// More arguments of `mortise serve`.
    pub arguments: Vec<String>,
    /// More of the environment.
    pub environment: Vec<(&'static str, String)>,
    /// Whether it is told in the configuration where to listen.
    pub configured: bool,
    /// Where a restart stays: at the end of a phase, by its name; in the middle of it, with `-half` after that.
    pub hold: Option<&'static str>,
    /// How many files the server may have open.
    pub open_files: Option<u32>,
    /// The process that was started last. Those that took over are its descendants.
    child: Option<Child>,
    pub url: String,
    pub client: Client,
}

impl Site {
    pub async fn new() -> Self {
        Self::with(&[], None).await
    }

    /// With more arguments, and a place where a restart stays.
    pub async fn with(arguments: &[&str], hold: Option<&'static str>) -> Self {
        let mut site = Self::prepared();
        site.arguments = arguments.iter().copied().map(str::to_owned).collect();
        site.hold = hold;
        site.started().await
    }

    /// With a backend in its plug-in folder, which it watches, and a place where a restart stays.
    pub async fn watching(backend: &str, component: &[u8], hold: Option<&'static str>) -> Self {
        let mut site = Self::prepared();
        let plugins = site.path("plugins");
        fs::create_dir(&plugins).unwrap();
        fs::write(plugins.join(format!("{backend}.wasm")), component).unwrap();
        let arguments = ["--plugin-dir", "plugins", "--watch"];
        site.arguments = arguments.map(str::to_owned).to_vec();
        site.hold = hold;
        site.started().await
    }

    /// Told in the configuration where to listen, in a line of its own.
    pub async fn configured() -> Self {
        let mut site = Self::prepared();
        site.configured = true;
        let serve = format!("[serve]\nlisten = \"{}\"\n", site.address());
        site.configure_more(&serve);
        site.started().await
    }

    /// All that a server has, before it is started.
    pub fn prepared() -> Self {
        let folder = tempfile::tempdir().unwrap();
        lay_out(folder.path());
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = port.local_addr().unwrap();
        drop(port);
        Self {
            folder,
            arguments: Vec::new(),
            environment: Vec::new(),
            configured: false,
            hold: None,
            open_files: None,
            child: None,
            url: format!("http://{address}"),
            client: crate::raw::client(),
        }
    }

    pub async fn started(mut self) -> Self {
        self.start();
        self.is_served().await;
        self
    }

    /// What the server is configured with.
    pub fn config(&self) -> String {
        fs::read_to_string(self.path("mortise.toml")).unwrap()
    }

    pub fn configure(&self, config: &str) {
        fs::write(self.path("mortise.toml"), config).unwrap();
    }

    /// Configures more: tables, after those that are there.
    pub fn configure_more(&self, tables: &str) {
        self.configure(&format!("{}\n{tables}", self.config()));
    }

    /// Has the server speak TLS, with a new certificate that it is found with from now on.
    pub fn certify(&mut self) {
        let names = ["127.0.0.1".to_owned()];
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(names).unwrap();
        fs::write(self.path("cert.pem"), cert.pem()).unwrap();
        fs::write(self.path("key.pem"), signing_key.serialize_pem()).unwrap();
        self.url = self.url.replace("http://", "https://");
        self.client = self.clients().build().unwrap();
    }

    /// What a client of the server is made of.
    pub fn clients(&self) -> ClientBuilder {
        // A client wants it even where it never speaks TLS.
        let _ = crate::raw::client();
        match fs::read(self.path("cert.pem")) {
            Ok(pem) => Client::builder().tls_certs_only([Certificate::from_pem(&pem).unwrap()]),
            Err(_) => Client::builder(),
        }
    }

    /// Where the server listens.
    pub fn address(&self) -> &str {
        self.url.split_once("://").unwrap().1
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
    pub fn start(&mut self) {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.path("log"));
        let log = log.unwrap();
        let mut command = match self.open_files {
            None => Command::new(self.path("mortise")),
            Some(files) => {
                let mut shell = Command::new("/bin/sh");
                shell.args(["-c", &format!("ulimit -n {files}; exec \"$0\" \"$@\"")]);
                shell.arg(self.path("mortise"));
                shell
            }
        };
        command
            .current_dir(self.folder.path())
            .args(["-v", "--config"])
            .arg(self.path("mortise.toml"))
            .args(["serve", "--state-dir"])
            .arg(self.path("state"))
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .envs(self.environment.iter().cloned());
        if !self.configured {
            command.args(["--listen", self.address()]);
        }
        if let Some(place) = self.hold {
            command.env("MORTISE_RESTART_HOLD", place);
        }
        self.child = Some(command.spawn().unwrap());
    }

    /// How the process ended that was started last.
    pub async fn wait_for_child(&mut self) -> ExitStatus {
        let begun = Instant::now();
        loop {
            let child = self.child.as_mut().unwrap();
            if let Some(status) = child.try_wait().unwrap() {
                return status;
            }
            assert!(
                begun.elapsed() < PATIENCE,
                "it does not end: {}",
                self.log()
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
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

    /// Waits until a restart stays where it is to.
    pub async fn is_held(&self) {
        self.logs("a restart stays").await;
    }

    /// Waits until the log has this.
    pub async fn logs(&self, what: &str) {
        let begun = Instant::now();
        while !self.log().contains(what) {
            let log = self.log();
            assert!(begun.elapsed() < PATIENCE, "no {what:?}: {log}");
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

//! One `redis-server`.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ::redis::{Client, Cmd, FromRedisValue, RedisResult, Value, from_redis_value};

use super::process::Process;
use super::{PATIENCE, Tls, poll};

/// Where ports are taken from: below those that systems give to clients, so that none of them sits on
/// a port while its server is down, and low enough that the bus of a cluster's node, 10,000 above, is
/// below them too.
const PORTS: std::ops::Range<u16> = 10_000..22_000;

/// A `redis-server` on 127.0.0.1 that is killed when it is dropped.
///
/// The harness talks to it over a socket file and as a user of its own, so that neither TLS, nor
/// passwords, nor a proxy is in its way, and its commands are told from those of clients.
pub struct RedisServer {
    /// None while it is killed.
    process: Option<Process>,
    folder: PathBuf,
    port: u16,
    scheme: &'static str,
    arguments: Vec<String>,
}

impl RedisServer {
    /// Starts one with more configuration, as on its command line: `--appendonly yes`.
    pub fn start(configuration: &[&str]) -> Self {
        Self::start_as("redis", configuration)
    }

    /// Starts one that takes nothing but TLS.
    pub fn start_tls(tls: &Tls, configuration: &[&str]) -> Self {
        let file = |path: PathBuf| path.display().to_string();
        let (certificate, key, ca) = (file(tls.certificate()), file(tls.key()), file(tls.ca()));
        let tls = [
            "--tls-cert-file",
            &certificate,
            "--tls-key-file",
            &key,
            "--tls-ca-cert-file",
            &ca,
            "--tls-auth-clients",
            "no",
        ];
        Self::start_as("rediss", &[&tls, configuration].concat())
    }

    /// Starts a replica, and waits until it has what its master has.
    pub fn start_replica(master: &Self) -> Self {
        let port = master.port().to_string();
        let replica = Self::start(&["--replicaof", "127.0.0.1", &port]);
        poll("the replica to be in step", || {
            let replication = replica.info("replication");
            replication.contains("master_link_status:up").then_some(())
        });
        replica
    }

    fn start_as(scheme: &'static str, configuration: &[&str]) -> Self {
        let folder = tempfile::Builder::new().prefix("mortise-redis-").tempdir();
        let mut server = Self {
            process: None,
            folder: folder.unwrap().keep(),
            port: 0,
            scheme,
            arguments: configuration
                .iter()
                .map(|part| (*part).to_owned())
                .collect(),
        };
        for _ in 0..100 {
            server.port = free_port();
            match server.launch() {
                Ok(()) => return server,
                Err(log) if is_taken(&log) => {}
                Err(log) => panic!("redis-server does not start: {log}"),
            }
        }
        panic!("no port is free in {PORTS:?}");
    }

    /// Runs it on its port, and waits until it answers. Or else: its log.
    fn launch(&mut self) -> Result<(), String> {
        let folder = self.folder.display().to_string();
        let socket = self.socket().display().to_string();
        let port = self.port.to_string();
        let ports = match self.scheme {
            "rediss" => ["--port", "0", "--tls-port", &port],
            _ => ["--port", &port, "--tls-port", "0"],
        };
        let base = [
            "--bind",
            "127.0.0.1",
            "--dir",
            &folder,
            "--unixsocket",
            &socket,
            "--save",
            "",
            "--repl-diskless-sync-delay",
            "0",
            "--user",
            "harness",
            "on",
            "nopass",
            "~*",
            "&*",
            "+@all",
        ];
        let base = ports.into_iter().chain(base).map(str::to_owned);
        let arguments: Vec<_> = base.chain(self.arguments.iter().cloned()).collect();
        let _ = fs::remove_file(self.folder.join("log"));
        let process = Process::start(&self.folder, "redis-server", &arguments);
        let start = Instant::now();
        while self.try_command(&["PING"]).is_err() {
            if process.has_ended() || start.elapsed() > PATIENCE {
                let log = process.log();
                process.kill();
                return Err(log);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        self.process = Some(process);
        Ok(())
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// As a store's URL: `redis://127.0.0.1:PORT`, or `rediss:`.
    pub fn url(&self) -> String {
        format!("{}://127.0.0.1:{}", self.scheme, self.port)
    }

    /// Its folder: the append-only file, the log.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.running().pid()
    }

    fn running(&self) -> &Process {
        self.process.as_ref().expect("the server is not killed")
    }

    fn socket(&self) -> PathBuf {
        self.folder.join("redis.sock")
    }

    /// Takes it off the processor: connections stay, nothing is answered.
    pub fn stop(&self) {
        self.running().stop();
    }

    /// Lets it go on.
    pub fn cont(&self) {
        self.running().cont();
    }

    /// Kills it with SIGKILL; its folder stays.
    pub fn kill(&mut self) {
        self.process.take().expect("it runs").kill();
    }

    /// Starts it again after [`kill`](Self::kill): same port, same folder, same configuration.
    pub fn restart(&mut self) {
        assert!(self.process.is_none(), "it was not killed");
        let start = Instant::now();
        while let Err(log) = self.launch() {
            assert!(
                is_taken(&log) && start.elapsed() < PATIENCE,
                "redis-server does not start again: {log}"
            );
        }
    }

    /// What the server answers to a command, as the harness's own user.
    pub fn command<A: AsRef<[u8]>>(&self, command: &[A]) -> Value {
        self.try_command(command)
            .unwrap_or_else(|error| panic!("{}: {error}", text(command)))
    }

    /// The same, as the type that is expected.
    pub fn ask<T: FromRedisValue, A: AsRef<[u8]>>(&self, command: &[A]) -> T {
        from_redis_value(self.command(command))
            .unwrap_or_else(|error| panic!("{}: {error}", text(command)))
    }

    /// The same for commands that the server may refuse.
    pub fn try_command<A: AsRef<[u8]>>(&self, command: &[A]) -> RedisResult<Value> {
        // A user without a password takes any.
        let url = format!(
            "redis+unix://{}?user=harness&pass=any",
            self.socket().display()
        );
        let mut connection = Client::open(url)?.get_connection()?;
        connection.set_read_timeout(Some(PATIENCE))?;
        let mut request = Cmd::new();
        for part in command {
            request.arg(part.as_ref());
        }
        request.query(&mut connection)
    }

    /// The keys that match, sorted.
    pub fn keys(&self, pattern: &str) -> Vec<String> {
        let mut keys: Vec<String> = self.ask(&["KEYS", pattern]);
        keys.sort();
        keys
    }

    /// One section of `INFO`.
    pub fn info(&self, section: &str) -> String {
        // A server whose role changes lets go of its clients.
        let ask = || self.try_command(&["INFO", section]).ok();
        from_redis_value(poll("the server's INFO", ask)).expect("INFO is a text")
    }

    /// How often it ran a command since it started, or since [`reset_stats`](Self::reset_stats); what
    /// scripts run is counted too.
    pub fn calls(&self, command: &str) -> u64 {
        let stats = self.info("commandstats");
        let line = format!("cmdstat_{command}:calls=");
        stats
            .lines()
            .find_map(|text| text.strip_prefix(&line))
            .map_or(0, |rest| {
                let calls = rest.split(',').next().unwrap_or_default();
                calls.parse().unwrap()
            })
    }

    /// Has it count commands from zero.
    pub fn reset_stats(&self) {
        self.command(&["CONFIG", "RESETSTAT"]);
    }

    /// Watches what clients send from now on.
    pub fn monitor(&self) -> Monitor<'_> {
        Monitor::start(self)
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        if self.process.take().is_none() {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

/// The commands that clients send, each a round trip: those that scripts run are left out, and so are
/// the harness's own.
pub struct Monitor<'a> {
    server: &'a RedisServer,
    lines: BufReader<UnixStream>,
    seen: usize,
}

impl<'a> Monitor<'a> {
    fn start(server: &'a RedisServer) -> Self {
        let mut stream = UnixStream::connect(server.socket()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
            .write_all(b"AUTH harness any\r\nMONITOR\r\n")
            .unwrap();
        let mut lines = BufReader::new(stream);
        for _ in 0..2 {
            let mut line = String::new();
            lines.read_line(&mut line).unwrap();
            assert_eq!(line, "+OK\r\n");
        }
        Self {
            server,
            lines,
            seen: 0,
        }
    }

    /// The commands since it was asked last, each with its arguments as the server writes them:
    /// `"evalsha" "…"`.
    pub fn take(&mut self) -> Vec<String> {
        self.seen += 1;
        let end = format!("end of part {}", self.seen);
        self.server.command(&["ECHO", &end]);
        let mut commands = Vec::new();
        loop {
            let mut line = String::new();
            self.lines.read_line(&mut line).unwrap();
            // +1339518083.107412 [0 127.0.0.1:60866] "keys" "*"
            let (head, command) = line.split_once("] ").expect("a line of MONITOR");
            if command.contains(&end) {
                return commands;
            }
            if !head.contains(" unix:") && !head.ends_with(" lua") {
                commands.push(command.trim_end().to_owned());
            }
        }
    }
}

/// A port that nobody listens on, nor on the one of a cluster's bus above it.
pub(super) fn free_port() -> u16 {
    let is_free = |port| TcpListener::bind(("127.0.0.1", port)).is_ok();
    std::iter::repeat_with(|| fastrand::u16(PORTS))
        .find(|port| is_free(*port) && is_free(*port + 10_000))
        .expect("it repeats")
}

fn is_taken(log: &str) -> bool {
    log.contains("Address already in use")
}

fn text<A: AsRef<[u8]>>(command: &[A]) -> String {
    let parts = command.iter().map(|part| part.as_ref().escape_ascii());
    parts.map(|part| format!("{part} ")).collect()
}

//! A `redis-server` that lives as long as a run of the kit.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use mortise_store::inside::ErrorInside as _;
use mortise_store::{Error, ErrorKind, Operation, Result};
use tempfile::TempDir;

/// How long it may take to start.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often a start is tried: somebody may take the port before the server does.
const ATTEMPTS: u32 = 10;

/// Runs the server until stdin closes: it ends with this process, also where that is killed.
const WATCH: &str = r#"
trap '' HUP INT TERM
exec 3<&0
redis-server "$@" </dev/null >log 2>&1 3<&- &
child=$!
{ read -r word <&3; kill -KILL $child; } >/dev/null 2>&1 &
wait $child
"#;

/// A server on the loopback that keeps nothing on disk. Killed when it is dropped.
#[derive(Debug)]
pub(super) struct RedisServer {
    shell: Child,
    port: u16,
    /// Where it runs.
    folder: TempDir,
}

impl RedisServer {
    /// Starts one, and waits until it answers. Blocks.
    pub(super) fn start() -> Result<Self> {
        let failed = |what: &str, error: std::io::Error| {
            Error::new(ErrorKind::Io, Operation::Open, what).with_source(error)
        };
        if let Err(error) = Command::new("redis-server").arg("--version").output() {
            return Err(Error::config(
                "the component imports the capability redis, and there is no redis-server to check it on",
            )
            .with_hint("apt-get install redis-server")
            .with_source(error));
        }
        let mut said = String::new();
        for _ in 0..ATTEMPTS {
            let folder = tempfile::Builder::new().prefix("mortise-redis-").tempdir();
            let folder = folder.map_err(|error| failed("there is no folder for Redis", error))?;
            let port = free_port().map_err(|error| failed("no port is free", error))?;
            let shell = launch(folder.path(), port)
                .map_err(|error| failed("redis-server does not start", error))?;
            let mut server = Self {
                shell,
                port,
                folder,
            };
            if server.is_up() {
                return Ok(server);
            }
            said = server.log();
        }
        let message = format!("redis-server does not start: {}", said.trim());
        Err(Error::new(ErrorKind::Io, Operation::Open, message))
    }

    /// As a grant's URL.
    pub(super) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Whether it answers; not where it ended, or takes too long.
    fn is_up(&mut self) -> bool {
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            if self.answers() {
                return true;
            }
            if !matches!(self.shell.try_wait(), Ok(None)) {
                return false;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        false
    }

    fn answers(&self) -> bool {
        let ask = || -> std::io::Result<bool> {
            let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?;
            stream.set_read_timeout(Some(Duration::from_secs(1)))?;
            stream.write_all(b"PING\r\n")?;
            let mut answer = [0; 5];
            stream.read_exact(&mut answer)?;
            Ok(&answer == b"+PONG")
        };
        ask().unwrap_or(false)
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        // The shell sees the end of its stdin, and kills the server.
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
    }
}

fn launch(folder: &Path, port: u16) -> std::io::Result<Child> {
    Command::new("sh")
        .args(["-c", WATCH, "sh", "--port", &port.to_string()])
        .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
}

fn free_port() -> std::io::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?.port())
}

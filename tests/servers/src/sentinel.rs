//! A Sentinel, and the replica that it can put in a master's place.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use ::redis::{Client, Cmd, RedisResult, Value, from_redis_value};

use super::process::Process;
use super::server::free_port;
use super::{PATIENCE, RedisServer, poll};

/// The name under which the Sentinel knows its master.
const MASTER: &str = "teal";

/// A `redis-server --sentinel` that watches one master and its replica, and decides alone.
pub struct Sentinel {
    process: Option<Process>,
    folder: PathBuf,
    port: u16,
    replica: RedisServer,
}

impl Sentinel {
    /// Starts a replica of the master and a Sentinel, and waits until that knows them both.
    pub fn start(master: &RedisServer) -> Self {
        let replica = RedisServer::start_replica(master);
        let folder = tempfile::Builder::new()
            .prefix("mortise-sentinel-")
            .tempdir();
        let mut sentinel = Self {
            process: None,
            folder: folder.unwrap().keep(),
            port: 0,
            replica,
        };
        poll("a Sentinel on a free port", || {
            sentinel.launch(master.port())
        });
        poll("the Sentinel to know the replica", || {
            let replicas: Vec<Vec<String>> = sentinel.ask(&["SENTINEL", "REPLICAS", MASTER])?;
            let is_ready = |replica: &Vec<String>| {
                let has =
                    |name: &str, value: &str| replica.chunks(2).any(|pair| pair == [name, value]);
                has("flags", "slave") && has("master-link-status", "ok")
            };
            replicas.iter().any(is_ready).then_some(())
        });
        sentinel
    }

    /// None where another process was faster on the port.
    fn launch(&mut self, master: u16) -> Option<()> {
        self.port = free_port();
        let file = self.folder.join("sentinel.conf");
        let configuration = format!(
            "bind 127.0.0.1\nport {}\ndir {}\n\
             sentinel monitor {MASTER} 127.0.0.1 {master} 1\n\
             sentinel down-after-milliseconds {MASTER} 500\n\
             sentinel failover-timeout {MASTER} 3000\n",
            self.port,
            self.folder.display(),
        );
        fs::write(&file, configuration).unwrap();
        let arguments = [file.display().to_string(), "--sentinel".to_owned()];
        let process = Process::start(&self.folder, "redis-server", &arguments);
        poll("the Sentinel to answer", || {
            (process.has_ended() || self.try_command(&["PING"]).is_ok()).then_some(())
        });
        if process.has_ended() {
            let log = process.log();
            assert!(log.contains("in use"), "the Sentinel does not start: {log}");
            process.kill();
            return None;
        }
        self.process = Some(process);
        Some(())
    }

    /// As a store's URL: `redis+sentinel://127.0.0.1:PORT/NAME`.
    pub fn url(&self) -> String {
        format!("redis+sentinel://127.0.0.1:{}/{MASTER}", self.port)
    }

    /// The server that began as the replica.
    pub fn replica(&self) -> &RedisServer {
        &self.replica
    }

    /// Which port it calls the master's.
    pub fn master_port(&self) -> u16 {
        let address: Option<Vec<String>> =
            self.ask(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER]);
        address.unwrap()[1].parse().unwrap()
    }

    /// Makes the replica the master, and the master a replica, in an orderly way.
    pub fn fail_over(&self) {
        // It refuses as long as it has no fresh news of the replica.
        poll("the Sentinel to take the order", || {
            self.try_command(&["SENTINEL", "FAILOVER", MASTER]).ok()
        });
        self.await_failover();
    }

    /// Waits until the replica is the master, for the Sentinel and for itself.
    pub fn await_failover(&self) {
        poll("the replica to be the master", || {
            let is_master = self.replica.info("replication").contains("role:master");
            (is_master && self.master_port() == self.replica.port()).then_some(())
        });
    }

    fn ask<T: ::redis::FromRedisValue>(&self, command: &[&str]) -> Option<T> {
        from_redis_value(self.try_command(command).ok()?).ok()
    }

    fn try_command(&self, command: &[&str]) -> RedisResult<Value> {
        let client = Client::open(format!("redis://127.0.0.1:{}", self.port))?;
        let mut connection = client.get_connection_with_timeout(Duration::from_secs(1))?;
        connection.set_read_timeout(Some(PATIENCE))?;
        let mut request = Cmd::new();
        command.iter().for_each(|part| {
            request.arg(part);
        });
        request.query(&mut connection)
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        if self.process.take().is_none() {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

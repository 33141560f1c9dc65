//! The database of Teal Agents' Redis store, as that wrote it.

use std::collections::{BTreeMap, BTreeSet};

use tempfile::TempDir;

use crate::RedisServer;

const DUMP: &[u8] = include_bytes!("../../fixtures/teal-redis.rdb");

/// The database of the older store, on a server of its own.
pub struct Teal {
    /// The server.
    pub server: RedisServer,
    _folder: TempDir,
}

impl Teal {
    /// As it was.
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// On a server with more configuration.
    pub fn with(configuration: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("teal-redis.rdb"), DUMP).unwrap();
        let place = folder.path().to_str().unwrap();
        let dump = ["--dir", place, "--dbfilename", "teal-redis.rdb"];
        let server = RedisServer::start(&[&dump, configuration].concat());
        assert_eq!(server.ask::<u64, _>(&["DBSIZE"]), 353);
        Self {
            server,
            _folder: folder,
        }
    }

    /// Without the dump.
    pub fn empty() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            server: RedisServer::start(&[]),
            _folder: folder,
        }
    }

    /// Every key of the older store, with its value and its time to live.
    pub fn state(&self) -> BTreeMap<Vec<u8>, (Vec<u8>, i64)> {
        let keys: Vec<Vec<u8>> = self.server.ask(&["KEYS", "task_persistence:*"]);
        let state = keys.into_iter().map(|key| {
            let value = self.server.ask(&[b"DUMP", key.as_slice()]);
            let ends = self.server.ask(&[b"PEXPIRETIME", key.as_slice()]);
            (key, (value, ends))
        });
        state.collect()
    }

    /// The commands that the server ran since its statistics were reset.
    pub fn commands(&self) -> BTreeSet<String> {
        let stats: String = self.server.ask(&["INFO", "commandstats"]);
        let lines = stats.lines();
        lines
            .filter_map(|line| line.strip_prefix("cmdstat_")?.split(':').next())
            .map(str::to_owned)
            .collect()
    }
}

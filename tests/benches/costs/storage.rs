//! The backends, and what a store of each keeps its records in.

use std::time::Duration;

use mortise_test_servers::RedisServer;
use tempfile::TempDir;

/// How long a call may take: 64 batches of 6 MiB keep a server busy.
pub const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    Memory,
    SqliteFull,
    SqliteNormal,
    Redis,
}

impl Backend {
    pub const ALL: [Self; 4] = [
        Self::Memory,
        Self::SqliteFull,
        Self::SqliteNormal,
        Self::Redis,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::SqliteFull => "sqlite FULL",
            Self::SqliteNormal => "sqlite NORMAL",
            Self::Redis => "redis",
        }
    }
}

/// What one contestant's records are in, and nobody else's: what another writes does not slow it down. It is gone with
/// this.
pub struct Storage {
    /// Of a store that is kept here.
    pub url: String,
    /// The database's file, or the server's URL.
    pub place: String,
    _folder: TempDir,
    _server: Option<RedisServer>,
}

impl Storage {
    pub fn new(backend: Backend) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = (backend == Backend::Redis).then(|| RedisServer::start(&[]));
        let place = match &server {
            Some(server) => server.url(),
            None => folder.path().join("tasks.db").display().to_string(),
        };
        let url = match backend {
            // All that a component can have, and nearly all of it for records.
            Backend::Memory => "memory:?memory=4GiB&store-bytes=3900MiB".to_owned(),
            Backend::SqliteFull => format!("sqlite:{place}?synchronous=full"),
            Backend::SqliteNormal => format!("sqlite:{place}?synchronous=normal"),
            Backend::Redis => format!("{place}?deadline={}s", PATIENCE.as_secs()),
        };
        Self {
            url,
            place,
            _folder: folder,
            _server: server,
        }
    }
}

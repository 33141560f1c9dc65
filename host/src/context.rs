//! What the operator gave a store: its clock, its log and its storage, shared by all of its instances.

use std::sync::Arc;

use tokio::time::Instant;

use crate::capability::Capability;
use crate::capability::clock::Clock;
use crate::capability::injector::Injector;
use crate::capability::log::GuestLog;
use crate::capability::redis::Redis;
use crate::capability::sqlite::Database;
use crate::config::StoreConfig;
use crate::error::Result;
use crate::host::Host;
use crate::limits::Limits;
use crate::manifest::Manifest;
use crate::metrics::Measures;

/// What all instances of one store share.
pub(crate) struct StoreContext {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) log: GuestLog,
    pub(crate) sqlite: Option<Database>,
    pub(crate) redis: Option<Redis>,
    pub(crate) limits: Limits,
    pub(crate) measures: Arc<Measures>,
    /// Where the conformance kit runs the store.
    pub(crate) injector: Option<Arc<Injector>>,
}

impl StoreContext {
    /// Opens the storage that was granted and is asked for. Blocks where a file has to be opened;
    /// connects to nobody yet.
    pub(crate) fn open(
        host: &Host,
        name: &str,
        config: &StoreConfig,
        manifest: &Manifest,
        measures: Arc<Measures>,
    ) -> Result<Self> {
        let clock = Arc::clone(&host.0.clock);
        let wants = manifest.capabilities();
        let wants = |capability| wants.contains(&capability);
        let limits = &config.limits;
        let sqlite = match &config.sqlite {
            Some(grant) if wants(Capability::Sqlite) => {
                let measures = Arc::clone(&measures);
                Some(Database::open(grant, &config.namespace, limits, measures)?)
            }
            _ => None,
        };
        let redis = match &config.redis {
            Some(grant) if wants(Capability::Redis) => {
                let clock = Arc::clone(&clock);
                Some(Redis::new(grant, &config.namespace, limits, clock)?)
            }
            _ => None,
        };
        Ok(Self {
            log: GuestLog::new(name.to_owned()),
            limits: limits.clone(),
            clock,
            sqlite,
            redis,
            measures,
            injector: host.0.injector.clone(),
        })
    }

    /// Reaches the storage that is on a network.
    pub(crate) async fn connect(&self, deadline: Instant) -> Result<()> {
        match &self.redis {
            Some(redis) => redis.connect(deadline).await,
            None => Ok(()),
        }
    }

    /// Whether what one of the two writes, the other reads, as far as the configurations tell: a server
    /// may have two addresses.
    pub(crate) fn is_same_storage(&self, other: &Self) -> bool {
        let files = [self, other].map(|context| {
            let database = context.sqlite.as_ref()?;
            std::fs::canonicalize(database.file()).ok()
        });
        let [one, two] = files;
        if one.is_some() && one == two {
            return true;
        }
        match (&self.redis, &other.redis) {
            (Some(one), Some(two)) => one.is_same_storage(two),
            _ => false,
        }
    }
}

//! What the operator gave a store: its clock, its log and its storage, shared by all of its instances.

use std::path::Path;
use std::sync::Arc;

use mortise_capability_redis::inside::Redis;
use mortise_capability_sqlite::inside::Database;
use mortise_config::{Capability, StoreConfig};
use mortise_store::inside::{ContractError, Measures};
use mortise_store::{Clock, Limits, Result};
use tokio::time::Instant;

use crate::injector::Injector;
use crate::log::GuestLog;
use crate::manifest::Manifest;

/// What all instances of one store share.
pub struct StoreContext {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) log: Arc<GuestLog>,
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
        clock: Arc<dyn Clock>,
        injector: Option<Arc<Injector>>,
        name: &str,
        config: &StoreConfig,
        manifest: &Manifest,
        measures: Arc<Measures>,
    ) -> Result<Self> {
        let wants = manifest.capabilities();
        let wants = |capability| wants.contains(&capability);
        let limits = &config.limits;
        let sqlite = match &config.sqlite {
            Some(grant) if wants(Capability::Sqlite) => {
                let commits = Arc::clone(&measures.commits);
                Some(Database::open(grant, &config.namespace, limits, commits)?)
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
            log: Arc::new(GuestLog::new(name.to_owned())),
            limits: limits.clone(),
            clock,
            sqlite,
            redis,
            measures,
            injector,
        })
    }

    /// Of a store without storage: for a component that is asked nothing but who it is.
    pub fn without_storage(clock: Arc<dyn Clock>, name: &str, limits: &Limits) -> Self {
        Self {
            clock,
            log: Arc::new(GuestLog::new(name.to_owned())),
            sqlite: None,
            redis: None,
            limits: limits.clone(),
            measures: Arc::default(),
            injector: None,
        }
    }

    /// Reaches the storage that is on a network.
    pub async fn connect(&self, deadline: Instant) -> Result<()> {
        match &self.redis {
            Some(redis) => redis.connect(deadline).await,
            None => Ok(()),
        }
    }

    /// Removes the store from the storage that is on a network.
    ///
    /// # Errors
    ///
    /// It does not answer, or refuses to.
    pub async fn forget(&self, deadline: Instant) -> Result<(), ContractError> {
        match &self.redis {
            Some(redis) => redis.forget(deadline).await,
            None => Ok(()),
        }
    }

    /// The file of its SQLite database, where it has one.
    pub fn database_file(&self) -> Option<&Path> {
        self.sqlite.as_ref().map(Database::file)
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

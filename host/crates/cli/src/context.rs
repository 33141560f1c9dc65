//! The host and the store that the global options name.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use mortise::agent::{EntityStore, TaskStore};
use mortise::{Config, Host, Migrator, ServeConfig, Store};

use crate::cli::Global;
use crate::exit_code::CliError;

/// The configuration that is read where none is named, if it is there.
const CONFIG_FILE: &str = "mortise.toml";

/// The host, configured, and the name of the store.
pub struct Context {
    host: Host,
    /// The store that was asked for, or else the configuration's default.
    store: Option<String>,
    /// Those to be served: the one that was asked for, or else all that are configured.
    served: Vec<String>,
    serve: ServeConfig,
    /// The configuration's file, where there is one.
    config_file: Option<PathBuf>,
    /// To be closed in the end.
    opened: RefCell<Vec<Store>>,
}

impl Context {
    /// Reads the configuration and starts the host; the built-in backends are carried in it.
    pub fn new(global: Global) -> mortise::Result<Self> {
        let named = global.config.as_deref();
        let config_file = named.unwrap_or(Path::new(CONFIG_FILE)).to_owned();
        let config = config(named)?;
        let served = match &global.store {
            Some(store) => vec![store.clone()],
            None => config.stores.keys().cloned().collect(),
        };
        let serve = config.serve.clone();
        let store = global.store.or_else(|| config.default_store.clone());
        let mut builder = Host::builder().config(config);
        if let Some(folder) = global.plugin_dir {
            builder = builder.plugin_dir(folder);
        }
        for (name, component) in mortise_backends::ALL {
            builder = builder.component(*name, *component);
        }
        Ok(Self {
            host: builder.build()?,
            store,
            served,
            serve,
            config_file: config_file.exists().then_some(config_file),
            opened: RefCell::default(),
        })
    }

    /// The host.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The configuration's file, where there is one.
    pub fn config_file(&self) -> Option<PathBuf> {
        self.config_file.clone()
    }

    /// Opens the store.
    pub async fn store(&self) -> anyhow::Result<Store> {
        Ok(self.open(self.named()?).await?)
    }

    /// Opens a store that a command names itself: by URL, or by its name in the configuration.
    pub async fn open(&self, store: &str) -> mortise::Result<Store> {
        let store = self.host.open(store).await?;
        self.opened.borrow_mut().push(store.clone());
        Ok(store)
    }

    /// How stores are served.
    pub fn serve_config(&self) -> &ServeConfig {
        &self.serve
    }

    /// The name of the store that is used where a client names none.
    pub fn default_store(&self) -> Option<&str> {
        // One that was asked for is the only one, whatever it is called.
        self.store.as_deref().filter(|_| self.served.len() > 1)
    }

    /// The stores to be served, by URL or name.
    pub fn served(&self) -> &[String] {
        &self.served
    }

    /// Opens the store that was asked for, or else all that are configured.
    pub async fn stores(&self) -> anyhow::Result<Vec<Store>> {
        if self.served.is_empty() {
            self.named()?;
        }
        let mut stores = Vec::new();
        for store in &self.served {
            stores.push(self.open(store).await?);
        }
        Ok(stores)
    }

    /// The migrations of the store, which is not opened.
    pub async fn migration(&self) -> anyhow::Result<Migrator> {
        Ok(self.host.migration(self.named()?).await?)
    }

    fn named(&self) -> anyhow::Result<&str> {
        let hint =
            "add --store sqlite:tasks.db, set MORTISE_STORE, or set default-store in mortise.toml";
        let unnamed = || CliError::usage("no store is named", hint).into();
        self.store.as_deref().ok_or_else(unnamed)
    }

    /// Closes what was opened; answers the first failure.
    pub async fn close(&self) -> mortise::Result<()> {
        let mut closed = Ok(());
        for store in self.opened.take() {
            closed = closed.and(store.close().await);
        }
        closed
    }

    /// Opens the store for entities.
    pub async fn entities(&self) -> anyhow::Result<EntityStore> {
        Ok(EntityStore::new(self.store().await?))
    }

    /// Opens the store for tasks.
    pub async fn tasks(&self) -> anyhow::Result<TaskStore> {
        Ok(TaskStore::new(self.store().await?))
    }
}

fn config(named: Option<&Path>) -> mortise::Result<Config> {
    if let Some(file) = named {
        return Config::from_file(file);
    }
    let file = Path::new(CONFIG_FILE);
    if !file.exists() {
        return Ok(Config::default());
    }
    let mut config = Config::from_file(file)?;
    // What is in the cache folder is run as machine code. A folder that somebody sent, and in which
    // this program happens to be started, must not be able to bring its own.
    if config.cache_dir.take().is_some() {
        tracing::warn!(
            "the cache-dir of ./{CONFIG_FILE} is passed over: name the file with --config to have it used"
        );
    }
    Ok(config)
}

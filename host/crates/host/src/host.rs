//! The host: one engine, the backends it knows, and the stores it opens.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use mortise_config::inside::{StoreConfigInside as _, falls_back, is_served};
use mortise_config::{Config, StoreConfig, TrustedKey, is_backend_name};
use mortise_engine::inside::{Engine, Local, Registry};
use mortise_engine::{Manifest, Source, Verification};
use mortise_store::inside::{ErrorInside as _, Later, Opener, Place as _, blocking};
use mortise_store::limits::DEFAULT_MAX_INSTANCES;
use mortise_store::{Clock, Digest, Error, Result, Store, SystemClock};
use tokio::sync::watch;

/// Loads backends and opens stores. Cheap to clone; all clones are one host.
///
/// A program needs one: its engine, its compiled components and its pool of memory are shared by all
/// stores.
#[derive(Clone)]
pub struct Host(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) engine: Engine,
    stores: BTreeMap<String, StoreConfig>,
    /// The backend whose component was refused last because it has to migrate a store first.
    pub(crate) unmigrated: watch::Sender<Option<String>>,
}

impl Host {
    /// Configures a host.
    pub fn builder() -> HostBuilder {
        HostBuilder {
            registry: Registry::default(),
            cache_dir: None,
            max_instances: DEFAULT_MAX_INSTANCES,
            clock: Arc::new(SystemClock),
            config: Config::default(),
            trusted_keys: Vec::new(),
        }
    }

    /// Opens a store: by URL (`memory:`, `sqlite:tasks.db`, see [`StoreConfig`]), or by its name in the
    /// configuration. With the feature `client`, the URL of a store that a server has is one too
    /// (`http://127.0.0.1:7337/tasks`).
    ///
    /// Needs a tokio runtime with time enabled and, for Redis and for servers, with I/O: `enable_all`.
    ///
    /// # Errors
    ///
    /// `Config` (the URL, the name, the file), `Component` (the component does not fit this host),
    /// `NotGranted` (it asks for more than it is granted), `Unavailable` (its storage does not
    /// answer), `Trap`, `Deadline`.
    pub async fn open(&self, store: &str) -> Result<Store> {
        self.open_named(store).await
    }

    fn open_named<'a>(&'a self, store: &'a str) -> Later<'a, Result<Store>> {
        Box::pin(async move {
            #[cfg(feature = "client")]
            if self.is_elsewhere(store) {
                let clock = Arc::clone(self.0.engine.clock());
                return mortise_client::inside::connect_with(store, clock).await;
            }
            let config = self.store_config(store)?;
            let name = match self.0.stores.contains_key(store) {
                true => store.to_owned(),
                false => config.backend.clone(),
            };
            self.open_as(name, config).await
        })
    }

    /// Whether this is the URL of a store that a server has.
    fn is_elsewhere(&self, store: &str) -> bool {
        is_served(store) && !self.0.stores.contains_key(store)
    }

    /// The configuration of a store: by its name, or from its URL.
    pub(crate) fn store_config(&self, store: &str) -> Result<StoreConfig> {
        if let Some(config) = self.0.stores.get(store) {
            return Ok(config.clone());
        }
        if store.contains(':') {
            let config = StoreConfig::from_url(store);
            if cfg!(feature = "client") || !is_served(store) {
                return config;
            }
            return config.map_err(|error| {
                Error::config(error.message())
                    .with_hint("this program was built without the feature `client`")
            });
        }
        let known: Vec<_> = self.0.stores.keys().map(String::as_str).collect();
        let known = if known.is_empty() {
            "none".to_owned()
        } else {
            known.join(", ")
        };
        Err(Error::config(format!(
            "no store named {store:?} is configured; known: {known}"
        ))
        .with_hint("name a configured store, or write a URL such as sqlite:tasks.db"))
    }

    /// Opens a store that is configured in code. Errors as [`open`](Self::open).
    pub async fn open_with(&self, config: StoreConfig) -> Result<Store> {
        let name = config.backend.clone();
        self.open_as(name, config).await
    }

    fn open_as(&self, name: String, config: StoreConfig) -> Later<'_, Result<Store>> {
        Box::pin(async move {
            let backend = config.backend.clone();
            let instead = config.fallen_back();
            let error = match self.open_here(&name, config).await {
                Ok(local) => return Ok(Store::from(&local)),
                Err(error) => error.with_backend(&backend),
            };
            let Some(instead) = instead.filter(|_| falls_back(&error)) else {
                return Err(error);
            };
            let reason = error.with_causes();
            tracing::error!(
                store = name,
                backend,
                fallback = instead.backend,
                reason,
                "the store's backend does not open: it falls back, and records are gone when it is closed"
            );
            match self.open_here(&name, instead).await {
                Ok(local) => {
                    local.stands_in(reason);
                    Ok(Store::from(&local))
                }
                Err(fallback) => {
                    tracing::error!(store = name, error = ?fallback, "nor does what it falls back on");
                    Err(error)
                }
            }
        })
    }

    async fn open_here(&self, name: &str, config: StoreConfig) -> Result<Local> {
        let opener: Arc<dyn Opener> = Arc::new(self.clone());
        let local = self.0.engine.open(opener, name, config).await?;
        self.take_back_refusal(local.backend(), &local.digest());
        Ok(local)
    }

    /// Every backend that can be opened, by name, and where it was found.
    pub fn backends(&self) -> Result<BTreeMap<String, Source>> {
        self.0.engine.registry().list()
    }

    /// The bytes of a backend.
    ///
    /// # Errors
    ///
    /// `Config` where there is none of this name; `Component` where its file cannot be read, or is not
    /// what the name is pinned to or lacks the signature that is asked for.
    pub fn component(&self, backend: &str) -> Result<Cow<'_, [u8]>> {
        self.0.engine.registry().read(backend)
    }

    /// Where a backend was found and its bytes, also where pin or signature refuse it: to be looked at.
    ///
    /// # Errors
    ///
    /// `Config` where there is none of this name; `Component` where its file cannot be read.
    pub fn unverified(&self, backend: &str) -> Result<(Source, Cow<'_, [u8]>)> {
        self.0.engine.registry().find(backend)
    }

    /// What pins and trusted keys say about a component, if it were found there under this name.
    pub fn verify(&self, backend: &str, source: &Source, component: &[u8]) -> Verification {
        let trust = &self.0.engine.registry().trust;
        trust.verify(backend, source, component)
    }

    /// Whether this host can run a component that is granted all it asks for. Compiles it, and runs
    /// nothing of it; what is compiled now comes from the compilation cache when it is
    /// [opened](Self::open).
    ///
    /// Blocks: for some 10 ms where the component is in no cache, for seconds where it carries a
    /// language's runtime.
    ///
    /// # Errors
    ///
    /// `Component`: what is in the way.
    pub fn check(&self, component: &[u8]) -> Result<()> {
        self.0.engine.check(component)
    }

    /// Loads what opening a store would load: compiles its component where no cache has it. Opens nothing.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open), as far as they can be told without its storage.
    pub async fn prepare(&self, store: &str) -> Result<()> {
        self.load(store).await
    }

    pub(crate) fn load<'a>(&'a self, store: &'a str) -> Later<'a, Result<()>> {
        Box::pin(async move {
            if cfg!(feature = "client") && self.is_elsewhere(store) {
                return Ok(());
            }
            let config = self.store_config(store)?;
            let (engine, backend) = (self.0.engine.clone(), config.backend.clone());
            let prepared = blocking(move || {
                config.check()?;
                engine.load(&config.backend, &config.granted())?;
                Ok(())
            });
            prepared.await.map_err(|error| error.with_backend(&backend))
        })
    }

    /// The same engine and the same backends on another clock, without configured stores. Every call of
    /// a capability passes the injector.
    #[cfg(feature = "conformance")]
    pub(crate) fn for_kit(
        &self,
        clock: Arc<dyn Clock>,
        injector: Arc<mortise_engine::inside::Injector>,
    ) -> Self {
        Self(Arc::new(Inner {
            engine: self.0.engine.for_kit(clock, injector),
            stores: BTreeMap::new(),
            unmigrated: watch::Sender::default(),
        }))
    }

    /// What its open stores have measured.
    #[cfg(feature = "metrics")]
    pub fn metrics(&self) -> mortise_metrics::Metrics {
        use mortise_metrics::inside::MetricsInside as _;
        mortise_metrics::Metrics::of(Arc::new(self.clone()))
    }

    /// What a backend says about itself, without compiling or running it.
    pub fn manifest(&self, backend: &str) -> Result<Manifest> {
        Manifest::read(&self.0.engine.registry().read(backend)?)
    }
}

/// Configures a [`Host`].
pub struct HostBuilder {
    registry: Registry,
    cache_dir: Option<PathBuf>,
    max_instances: u32,
    clock: Arc<dyn Clock>,
    config: Config,
    trusted_keys: Vec<TrustedKey>,
}

impl HostBuilder {
    /// The folder in which backends are found as `NAME.wasm`. It must be there.
    #[must_use]
    pub fn plugin_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.registry.plugin_dir = Some(folder.into());
        self
    }

    /// Carries a component in the program. A file `NAME.wasm` in the plug-in folder takes precedence.
    #[must_use]
    pub fn component(
        mut self,
        name: impl Into<String>,
        bytes: impl Into<Cow<'static, [u8]>>,
    ) -> Self {
        self.registry.carried.insert(name.into(), bytes.into());
        self
    }

    /// Refuses any component under this name but the one with this digest, in the plug-in folder or
    /// carried. `mortise plugin inspect` shows a component's digest.
    #[must_use]
    pub fn pin(mut self, backend: impl Into<String>, digest: Digest) -> Self {
        self.registry.trust.pins.insert(backend.into(), digest);
        self
    }

    /// Trusts what is signed by this key, beside those of the configuration. As soon as one key is
    /// trusted, a component from the plug-in folder is loaded only with a valid minisign signature over
    /// its file, in `NAME.wasm.minisig` beside it. What the program carries is part of the program, and
    /// needs none.
    #[must_use]
    pub fn trusted_key(mut self, key: TrustedKey) -> Self {
        self.trusted_keys.push(key);
        self
    }

    /// Takes stores, folders, pins and trusted keys from `mortise.toml`. What is set by the other methods
    /// takes precedence.
    #[must_use]
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// Where compiled components are kept. Default: `mortise` in the user's cache folder.
    ///
    /// What is in this folder is run as machine code: only this user may be able to write to it.
    #[must_use]
    pub fn cache_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.cache_dir = Some(folder.into());
        self
    }

    /// How many instances run at once, all stores together. Default: 1,000.
    #[must_use]
    pub fn max_instances(mut self, count: u32) -> Self {
        self.max_instances = count;
        self
    }

    /// Where the time comes from. Default: the machine's clock.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Starts the engine. Nothing is compiled or opened yet.
    ///
    /// # Errors
    ///
    /// `Config`: the plug-in folder is not there, a component's name is none, a trusted key cannot be
    /// read, or the engine does not start.
    pub fn build(self) -> Result<Host> {
        let Self {
            mut registry,
            cache_dir,
            max_instances,
            clock,
            config,
            trusted_keys,
        } = self;
        registry.plugin_dir = registry.plugin_dir.or(config.plugin_dir);
        if let Some(folder) = &registry.plugin_dir
            && !folder.is_dir()
        {
            return Err(
                Error::config(format!("there is no plug-in folder {}", folder.display()))
                    .with_hint("make it, and put backends into it as NAME.wasm"),
            );
        }
        let carried = registry.carried.keys();
        let mut names = carried
            .chain(registry.trust.pins.keys())
            .chain(config.plugins.keys());
        if let Some(name) = names.find(|name| !is_backend_name(name)) {
            return Err(Error::config(format!(
                "{name:?} is no backend's name: it has a-z, 0-9 and -, a letter first"
            )));
        }
        for (name, plugin) in config.plugins {
            if let Some(digest) = plugin.sha256 {
                registry.trust.pins.entry(name).or_insert(digest);
            }
        }
        for key in trusted_keys.into_iter().chain(config.trusted_keys) {
            registry.trust.add_key(key)?;
        }
        if max_instances == 0 {
            return Err(Error::config("max-instances is 0, expected at least 1"));
        }
        // It is looked into again later, wherever the process works then.
        let cache_dir = cache_dir
            .or(config.cache_dir)
            .map(std::path::absolute)
            .transpose();
        let cache_dir = cache_dir.map_err(|error| {
            Error::config("the cache folder has no absolute path").with_source(error)
        })?;
        let engine = Engine::new(registry, cache_dir.as_deref(), max_instances, clock)?;
        Ok(Host(Arc::new(Inner {
            engine,
            stores: config.stores,
            unmigrated: watch::Sender::default(),
        })))
    }
}

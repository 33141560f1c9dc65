//! Running the clauses on a component.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use mortise_config::inside::StoreConfigInside as _;
use mortise_config::{Capability, SqliteGrant, StoreConfig, Synchronous};
use mortise_conformance::inside::{
    DEFAULT_CASES, START, Script, Settings, Subject, check, chosen, report,
};
use mortise_conformance::{Clause, ClauseResult, Report, Step};
use mortise_engine::inside::{Compiled, Fault, Injector, Template};
use mortise_store::inside::{ErrorInside as _, Later, blocking};
use mortise_store::limits::DEFAULT_POOLED_MEMORY;
use mortise_store::{Description, Error, ErrorKind, ManualClock, Operation, Result};
use tempfile::TempDir;

use super::redis_server::RedisServer;
use super::world::{HostWorld, Ordered, context, deadline};
use crate::host::Host;

/// What the component is called in error texts.
const NAME: &str = "under-test";
/// How many clauses run at once.
const AT_ONCE: usize = 2;
/// How long one call may take: more than an operator would allow, for the sake of slow machines.
const CALL_PATIENCE: Duration = Duration::from_secs(10);
/// No sweep but those that a clause asks for.
const NEVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// Checks whether a component keeps the contract.
#[derive(Debug, Clone)]
pub struct Kit {
    options: BTreeMap<String, String>,
    only: Vec<String>,
    settings: Settings,
}

impl Default for Kit {
    fn default() -> Self {
        Self::new()
    }
}

impl Kit {
    /// Checks every clause, without options.
    pub fn new() -> Self {
        Self {
            options: BTreeMap::new(),
            only: Vec::new(),
            settings: Settings {
                seed: 0,
                cases: DEFAULT_CASES,
                worker: None,
            },
        }
    }

    /// Sets an option of the backend, as in a store's configuration.
    #[must_use]
    pub fn option(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.options.insert(name.into(), value.into());
        self
    }

    /// Checks only clauses whose id begins with `prefix`; called again, with this one too.
    #[must_use]
    pub fn only(mut self, prefix: impl Into<String>) -> Self {
        self.only.push(prefix.into());
        self
    }

    /// Sets what the random clauses begin with: the same seed makes the same choices. Default: 0.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.settings.seed = seed;
        self
    }

    /// Sets how many random sequences of calls are compared with the model. Default: 64.
    #[must_use]
    pub fn cases(mut self, cases: u32) -> Self {
        self.settings.cases = cases;
        self
    }

    /// Sets the command, and its arguments, that starts a process for the clause `durability/kill`: one
    /// that does no more than [`run_worker`](crate::run_worker). Without, the clause is passed over.
    #[must_use]
    pub fn worker<S: Into<OsString>>(mut self, command: impl IntoIterator<Item = S>) -> Self {
        self.settings.worker = Some(command.into_iter().map(Into::into).collect());
        self
    }

    /// Checks the component. Each clause has a store and a clock of its own; `progress` is told of each
    /// when it ended, in the order of [`clauses`](mortise_conformance::clauses).
    ///
    /// Needs a multi-thread tokio runtime with time and I/O enabled, and `redis-server` where the
    /// component imports the capability `redis`.
    ///
    /// # Errors
    ///
    /// Where nothing can be checked at all. `Component`: it is none that this host can run. `Trap`,
    /// `Deadline`: it does not answer who it is. `Config`: no clause begins with a prefix, or there is no
    /// `redis-server`. `Io`: there is no place for temporary files.
    pub async fn run(
        &self,
        component: &[u8],
        mut progress: impl FnMut(&ClauseResult),
    ) -> Result<Report> {
        let chosen = chosen(&self.only)?;
        let bench = Bench::set_up(self, component).await?;
        let description = bench.describe().await?;
        let checks = chosen.into_iter().enumerate();
        let checks = checks.map(|(number, clause)| bench.check(number, clause, &description));
        let checks: Vec<_> = checks.collect();
        let mut running = futures_util::stream::iter(checks).buffered(AT_ONCE);
        let mut results = Vec::new();
        while let Some(result) = running.next().await {
            progress(&result);
            results.push(result);
        }
        drop(running);
        let digest = bench.compiled.manifest.digest;
        Ok(report(digest, description, results))
    }

    /// Runs a script that the clause `model/random` told, up to the first call that is not answered as
    /// the contract's model says. Each step is one call.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run); `Config` where a line of the script is no call; `Component` where the
    /// backend fails on the way.
    pub async fn replay(&self, component: &[u8], script: &str) -> Result<Vec<Step>> {
        let script = Script::read(script)?;
        let bench = Bench::set_up(self, component).await?;
        let description = bench.describe().await?;
        let subject = bench.subject(0, &description)?;
        script.replay(&subject).await
    }
}

/// What all clauses of one run share.
struct Bench {
    host: Host,
    compiled: Arc<Compiled>,
    options: BTreeMap<String, String>,
    settings: Settings,
    redis: Option<Arc<RedisServer>>,
}

/// Where the records of one clause are, as long as it runs.
struct Place {
    folder: TempDir,
    _redis: Option<Arc<RedisServer>>,
}

impl Bench {
    fn set_up<'a>(kit: &'a Kit, component: &'a [u8]) -> Later<'a, Result<Self>> {
        Box::pin(async move {
            let host = Host::builder()
                .component(NAME, component.to_vec())
                .build()?;
            // Compiling blocks, and so does a server that starts.
            let compiled = {
                let (engine, bytes) = (host.0.engine.clone(), component.to_vec());
                blocking(move || engine.compiler().load(&bytes, &Capability::ALL)).await?
            };
            let imports = compiled.manifest.capabilities();
            let redis = match imports.contains(&Capability::Redis) {
                true => Some(Arc::new(blocking(RedisServer::start).await?)),
                false => None,
            };
            Ok(Self {
                host,
                compiled,
                options: kit.options.clone(),
                settings: kit.settings.clone(),
                redis,
            })
        })
    }

    /// Asks an instance of its own who the backend is.
    fn describe(&self) -> Later<'_, Result<Description>> {
        Box::pin(async move {
            let clock = Arc::new(ManualClock::new(START));
            let place = self.place()?;
            let config = self.config("describe", &place);
            let host = self.host.for_kit(clock, Arc::new(Injector::default()));
            let context = context(&host, &config, &self.compiled).await?;
            let engine = self.host.0.engine.compiler().engine();
            let template = Template::new(engine, &self.compiled, &config.granted())?;
            let failed = |fault: Fault| fault.into_error(Operation::Open).with_backend(NAME);
            let memory = DEFAULT_POOLED_MEMORY.0;
            let mut instance = template.start(&context, memory).await.map_err(failed)?;
            instance.describe(deadline()).await.map_err(failed)
        })
    }

    /// Runs one clause in a world of its own.
    async fn check(
        &self,
        number: usize,
        clause: &'static Clause,
        description: &Description,
    ) -> ClauseResult {
        check(clause, self.subject(number, description)).await
    }

    fn subject(&self, number: usize, description: &Description) -> Result<Subject> {
        let clock = Arc::new(ManualClock::new(START));
        let place = self.place()?;
        let config = self.config(&format!("clause-{number}"), &place);
        let injector = Arc::new(Injector::default());
        Ok(Subject::new(HostWorld {
            host: self.host.for_kit(clock.clone(), injector.clone()),
            clock,
            compiled: Arc::clone(&self.compiled),
            description: description.clone(),
            config,
            faults: Ordered(injector),
            settings: self.settings.clone(),
            _place: Box::new(place),
        }))
    }

    fn place(&self) -> Result<Place> {
        let folder = tempfile::Builder::new().prefix("mortise-kit-").tempdir();
        Ok(Place {
            folder: folder.map_err(|error| {
                let message = "there is no folder for temporary files";
                Error::new(ErrorKind::Io, Operation::Open, message).with_source(error)
            })?,
            _redis: self.redis.clone(),
        })
    }

    /// Grants what the component imports, and nothing else.
    fn config(&self, namespace: &str, place: &Place) -> StoreConfig {
        let mut config = StoreConfig::new(NAME).namespace(namespace);
        if self
            .compiled
            .manifest
            .capabilities()
            .contains(&Capability::Sqlite)
        {
            let mut grant = SqliteGrant::new(place.folder.path().join("records.db"));
            // Nobody pulls the plug on this machine.
            grant.synchronous = Synchronous::Normal;
            config.sqlite = Some(grant);
        }
        if let Some(server) = &self.redis {
            config = config.grant_redis(server.url());
        }
        config.options.clone_from(&self.options);
        config.sweep_interval = NEVER;
        config.limits.deadline = CALL_PATIENCE;
        config
    }
}

//! The server: what it serves, and where.

use std::net::SocketAddr;
use std::os::fd::{AsFd as _, OwnedFd};
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware;
use mortise_config::ServeConfig;
use mortise_config::inside::ServeConfigInside as _;
use mortise_restart::Seat;
use mortise_restart::inside::{Part, SeatInside as _, Serving, restart_to_migrate};
use mortise_store::inside::{ErrorInside as _, Later};
use mortise_store::{Error, ErrorKind, Operation, Result, Store};
use tokio::net::{TcpListener, ToSocketAddrs, lookup_host};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::app::App;
use super::connections::Connections;
use super::limits::{ServeLimits, longest_body};
use super::tls::Tls;
use super::{openapi, request};
use crate::access::Served;
use crate::mcp::{HttpConfig, Mcp};
use crate::seat::Passing;

/// What the listening socket is called by the processes that hand it over.
const LISTENER: &str = "http";
/// How long the socket of a process that ended may stay in use.
const RELEASE: Duration = Duration::from_secs(1);

/// Stores to be served.
#[derive(Debug)]
pub struct Server {
    served: Served,
    config: ServeConfig,
    watch: Option<Watch>,
}

/// What lives as long as the server answers. Nobody locks it: that makes it one that threads may share.
struct Watch(#[expect(dead_code, reason = "it is there to be dropped")] Mutex<Box<dyn Send>>);

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Watch")
    }
}

impl Server {
    /// Serves these stores, each under its [name](Store::name).
    ///
    /// # Errors
    ///
    /// `Config`: there is none, or two have one name.
    pub fn new(stores: impl IntoIterator<Item = Store>) -> Result<Self> {
        Ok(Self {
            served: Served::new(stores)?,
            config: ServeConfig::default(),
            watch: None,
        })
    }

    /// Sets who gets in, by which certificate, and how much of the server each may take. Its address is passed over:
    /// [`bind`](Self::bind) names it.
    #[must_use]
    pub fn config(mut self, config: ServeConfig) -> Self {
        self.config = config;
        self
    }

    /// Serves this store to MCP's clients where they name none; else they are served the first.
    ///
    /// # Errors
    ///
    /// `Config`: it is not among the stores.
    pub fn default_store(mut self, name: &str) -> Result<Self> {
        self.served = self.served.with_default(name)?;
        Ok(self)
    }

    /// Sets how much it takes of its clients.
    #[must_use]
    pub fn limits(mut self, limits: ServeLimits) -> Self {
        self.config.limits = limits;
        self
    }

    /// Keeps what `Host::watch` answered as long as the server answers: from then on, the process watches that took
    /// over.
    #[must_use]
    pub fn watch(mut self, watch: impl Send + 'static) -> Self {
        self.watch = Some(Watch(Mutex::new(Box::new(watch))));
        self
    }

    /// Listens at an address. Port 0 is a free one.
    ///
    /// # Errors
    ///
    /// `Config`: the address is none; it can be reached from other machines, and there are no tokens, or no TLS to send
    /// them by ([`ServeConfig`]); the certificate cannot be used. `Io`: nobody can listen there.
    pub async fn bind(self, address: impl ToSocketAddrs + std::fmt::Debug) -> Result<BoundServer> {
        let tls = self.tls()?;
        let listener = self.listen(address).await?;
        let served = Arc::new(self.served);
        let mcp = Mcp::new(Arc::clone(&served));
        let app = App::new(served, &self.config, mcp, Passing::default());
        bound(app, listener, tls, self.watch, None)
    }

    /// Listens where the process did that had this seat before, or else at an address, as [`bind`](Self::bind) does; and
    /// takes over what that process knew. From then on the server can be restarted.
    ///
    /// # Errors
    ///
    /// Those of [`bind`](Self::bind), and of the stores; `Unavailable` where the process before gave the restart up.
    pub async fn take_over(
        self,
        mut seat: Seat,
        address: impl ToSocketAddrs + std::fmt::Debug,
    ) -> Result<BoundServer> {
        let (served, passing) = (Arc::new(self.served.clone()), Passing::default());
        let mcp = Mcp::with_restarts(Arc::clone(&served), Arc::new(passing.clone()));
        match self.ready(&mut seat, address, &mcp).await {
            Ok((listener, tls)) => {
                let app = App::new(served, &self.config, mcp, passing);
                bound(app, listener, tls, self.watch, Some(seat))
            }
            Err(error) => {
                seat.failed(error.with_causes()).await;
                Err(error)
            }
        }
    }

    /// All that can fail before calls are answered.
    async fn ready(
        &self,
        seat: &mut Seat,
        address: impl ToSocketAddrs + std::fmt::Debug,
        mcp: &Mcp,
    ) -> Result<(TcpListener, Option<Arc<Tls>>)> {
        let tls = self.tls()?;
        let listener = match seat.listener(LISTENER)? {
            Some(listener) => {
                let listener = TcpListener::from_std(listener).map_err(unusable)?;
                let inherited = listener.local_addr().map_err(unusable)?;
                self.config.check_at(inherited)?;
                warn_if_elsewhere(inherited, address).await;
                listener
            }
            None => self.listen_patiently(address).await?,
        };
        let stores: Vec<_> = self.served.iter().map(|(_, store)| store.clone()).collect();
        seat.restore(&stores, &parts(mcp)).await?;
        Ok((listener, tls))
    }

    /// What encrypts connections, where they are to be.
    fn tls(&self) -> Result<Option<Arc<Tls>>> {
        let tls = self.config.tls.as_ref();
        let tls = tls.map(|files| Tls::open(files, self.config.limits.head_timeout));
        Ok(tls.transpose()?.map(Arc::new))
    }

    /// Listens as soon as the process is gone that had the seat before.
    async fn listen_patiently(
        &self,
        address: impl ToSocketAddrs + std::fmt::Debug,
    ) -> Result<TcpListener> {
        let deadline = Instant::now() + RELEASE;
        loop {
            match self.listen(&address).await {
                Err(error) if error.kind() == ErrorKind::Io && Instant::now() < deadline => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                listening => return listening,
            }
        }
    }

    async fn listen(&self, address: impl ToSocketAddrs + std::fmt::Debug) -> Result<TcpListener> {
        let told = format!("{address:?}");
        let found = lookup_host(address).await.map_err(|error| {
            Error::config(format!("{told} is no address to listen at"))
                .with_hint("write it as 127.0.0.1:7337")
                .with_source(error)
        })?;
        let addresses: Vec<_> = found.collect();
        for address in &addresses {
            self.config.check_at(*address)?;
        }
        TcpListener::bind(&*addresses).await.map_err(|error| {
            let message = format!("nobody can listen at {told}");
            Error::new(ErrorKind::Io, Operation::Open, message).with_source(error)
        })
    }
}

/// Tells of an address that is configured by now and does not count, because the socket was handed over.
async fn warn_if_elsewhere(inherited: SocketAddr, address: impl ToSocketAddrs + std::fmt::Debug) {
    let configured = format!("{address:?}");
    let is_there = |found: SocketAddr| {
        found.ip() == inherited.ip() && [0, inherited.port()].contains(&found.port())
    };
    let found = lookup_host(address).await;
    if !found.is_ok_and(|mut found| found.any(is_there)) {
        tracing::warn!(
            listens = %inherited,
            %configured,
            "a restart does not change where the server listens: stop it, and start it anew, to have it listen where it \
             is configured"
        );
    }
}

/// What goes from process to process beside the stores.
fn parts(mcp: &Mcp) -> Vec<Arc<dyn Part>> {
    vec![Arc::new(mcp.clone())]
}

fn bound(
    app: App,
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    watch: Option<Watch>,
    seat: Option<Seat>,
) -> Result<BoundServer> {
    let address = listener.local_addr().map_err(unusable)?;
    let socket = listener.as_fd().try_clone_to_owned().map_err(unusable)?;
    Ok(BoundServer {
        app,
        listener,
        address,
        tls,
        watch,
        seat: seat.map(|seat| (seat, socket)),
    })
}

fn unusable(error: std::io::Error) -> Error {
    let message = "the listening socket cannot be used";
    Error::new(ErrorKind::Io, Operation::Open, message).with_source(error)
}

/// A server that listens, and answers as soon as it [runs](Self::run).
pub struct BoundServer {
    app: App,
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<Arc<Tls>>,
    watch: Option<Watch>,
    /// With the listening socket, to be handed over.
    seat: Option<(Seat, OwnedFd)>,
}

impl BoundServer {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it listens, as clients write it: `https://127.0.0.1:7337`.
    pub fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// Answers requests until `stop` comes to its end, or another process took over; then lets those that are under
    /// way finish, as long as [`ServeLimits::drain_deadline`] lets them. The process that took over, where one did.
    pub async fn run(self, stop: impl Future<Output = ()>) -> Option<u32> {
        let (tell, told) = oneshot::channel();
        let mut running = self.run_until(told);
        tokio::select! {
            next = &mut running => return next,
            () = stop => {}
        }
        // It fails where nobody listens any more, because the server is ending.
        let _ = tell.send(());
        running.await
    }

    /// The same, boxed, so that no other crate compiles it.
    fn run_until(self, told: oneshot::Receiver<()>) -> Later<'static, Option<u32>> {
        Box::pin(self.serve(async move {
            // It fails where the server is given up.
            let _ = told.await;
        }))
    }

    async fn serve(self, stop: impl Future<Output = ()>) -> Option<u32> {
        let Self {
            app,
            listener,
            tls,
            watch,
            seat,
            ..
        } = self;
        let connections = Connections::new(router(app.clone()), tls, app.limits.clone());
        let mut seated = seat.map(|(seat, socket)| {
            let stores = app.served.iter().map(|(_, store)| store.clone());
            let serving = Serving {
                stores: stores.collect(),
                parts: parts(&app.mcp),
                listeners: vec![(LISTENER.to_owned(), socket)],
                calls: Arc::new(app.passing.gate().clone()),
                in_place: false,
            };
            let seated = seat.sit(serving);
            app.passing.seat(&seated);
            seated.ready();
            seated
        });
        // Ends with this process's turn to serve.
        let mut asking = JoinSet::new();
        if let (Some(seated), Some(opener)) = (&seated, app.served.opener()) {
            let desk = seated.desk().clone();
            asking.spawn(async move { restart_to_migrate(&desk, &*opener).await });
        }
        let mut stop = pin!(stop);
        let stopped = connections
            .serve(listener, stop.as_mut(), &mut seated)
            .await;
        drop((watch, asking));
        let next = match &seated {
            Some(seated) if !stopped => {
                tokio::select! {
                    () = connections.linger(seated.linger()) => {}
                    () = stop => {}
                }
                seated.over().await;
                seated.taken_over_by()
            }
            _ => {
                app.passing.stop();
                None
            }
        };
        connections.end().await;
        next
    }
}

fn router(app: App) -> Router {
    let (router, _) = openapi::router().split_for_parts();
    let mut mcp = HttpConfig::default();
    // The server itself has looked at the Host, or asks for tokens.
    mcp.allowed_hosts.clear();
    router
        .route_service("/mcp", app.mcp.http_service(mcp))
        .fallback(request::no_such_path)
        .method_not_allowed_fallback(request::method_not_allowed)
        .layer(DefaultBodyLimit::max(longest_body(&app.limits)))
        .layer(middleware::from_fn_with_state(app.clone(), request::handle))
        .with_state(app)
}

//! A server over stdio: a session of MCP that goes on where the server is restarted.

use std::sync::Arc;

use mortise_restart::Seat;
use mortise_restart::inside::{Part, SeatInside as _, Serving};
use mortise_store::inside::ErrorInside as _;
use mortise_store::{Error, ErrorKind, Operation, Result, Store};

use crate::access::Served;
use crate::mcp::{Mcp, standard_io};
use crate::seat::{Passing, StdioPart};

/// Serves stores to one client of MCP, over this process's stdin and stdout, until the client closes its end or `stop`
/// comes to its end. Where this process goes on in place, so does its session.
///
/// # Errors
///
/// Those of the stores; `Io`: stdin or stdout cannot be used, or break before the session began.
pub async fn stdio(served: Served, mut seat: Seat, stop: impl Future<Output = ()>) -> Result<()> {
    let stores: Vec<Store> = served.iter().map(|(_, store)| store.clone()).collect();
    let passing = Passing::default();
    let mcp = Mcp::with_restarts(served, Arc::new(passing.clone()));
    let part = Arc::new(StdioPart::new(mcp.clone()));
    let parts: Vec<Arc<dyn Part>> = vec![Arc::clone(&part) as _];
    if let Err(error) = seat.restore(&stores, &parts).await {
        seat.failed(error.with_causes()).await;
        return Err(error);
    }
    // The client of a process that died is gone; another one begins.
    let (before, notice) = part.take().filter(|_| seat.goes_on()).unzip();
    let session = standard_io().and_then(|pipes| mcp.stdio(pipes, before, notice));
    let session = session.map_err(|error| broken("stdin or stdout cannot be used", error))?;
    part.goes_on(session.clone());
    let serving = Serving {
        stores,
        parts,
        listeners: Vec::new(),
        calls: Arc::new(session.clone()),
        in_place: true,
    };
    let seated = seat.sit(serving);
    passing.seat(&seated);
    seated.ready();
    let served = tokio::select! {
        served = session.run() => served,
        () = stop => Ok(()),
    };
    passing.stop();
    served.map_err(|error| broken("the client was not served", error))
}

fn broken(what: &str, error: std::io::Error) -> Error {
    Error::new(ErrorKind::Io, Operation::Open, what).with_source(error)
}

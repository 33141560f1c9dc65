//! The server over HTTP, at `/mcp` on the loopback, in this process.

use std::sync::{Arc, Mutex};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use mortise::serve::Served;
use mortise::serve::mcp::{
    HttpConfig, Mcp, RestartRequest, RestartStatus, RestartTicket, Restarts,
};
use tokio::net::TcpListener;

use crate::support::Fixture;

/// A server and what it serves. It ends with the runtime of the test.
pub struct Server {
    pub url: String,
    pub mcp: Mcp,
    pub restarts: Arc<Asked>,
}

/// Keeps what is asked of it.
#[derive(Default)]
pub struct Asked(pub Mutex<Vec<RestartRequest>>);

impl Server {
    pub async fn start(fixture: &Fixture) -> Self {
        let restarts = Arc::new(Asked::default());
        let served = Served::new([fixture.store.clone()]).unwrap();
        let mcp = Mcp::with_restarts(served, Arc::clone(&restarts) as _);
        let service = mcp.http_service(HttpConfig::default());
        let router: Router = Router::new().route_service("/mcp", service);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let service = TowerToHyperService::new(router.clone());
                let connection =
                    http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                // Clients come and go.
                tokio::spawn(async move { drop(connection.await) });
            }
        });
        Self {
            url: format!("http://{address}/mcp"),
            mcp,
            restarts,
        }
    }
}

impl Restarts for Asked {
    fn request(
        &self,
        request: RestartRequest,
    ) -> futures_util::future::BoxFuture<'_, Result<RestartTicket, String>> {
        let mut asked = self.0.lock().unwrap();
        let answer = match request.reason.as_str() {
            "" => Err("a restart needs a reason: say why".to_owned()),
            _ => Ok(RestartTicket {
                id: format!("restart-{}", asked.len() + 1),
                requested_at: 7,
            }),
        };
        asked.push(request);
        Box::pin(std::future::ready(answer))
    }

    fn status(&self) -> RestartStatus {
        RestartStatus {
            phase: "serving".to_owned(),
            ..RestartStatus::default()
        }
    }
}

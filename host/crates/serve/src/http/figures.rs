//! `/metrics`: what the server and its stores did, for Prometheus.

use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use mortise_config::Permission;
use mortise_metrics::{CONTENT_TYPE, Metrics};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::app::App;
use super::problem::{Answer, Refused};
use crate::access::{Access, AccessError};

/// What the route is called of a request that no route was found for.
const NO_ROUTE: &str = "none";

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(metrics))
}

/// What a server counts.
pub(super) struct Figures {
    registry: Registry,
    requests: Family<Answered, Counter>,
    durations: Family<Route, Histogram>,
    /// Of the host whose stores are served; none where they are all at other servers.
    stores: Option<Metrics>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    method: String,
    route: String,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Route {
    method: String,
    route: String,
}

impl Figures {
    pub(super) fn new(stores: Option<Metrics>) -> Self {
        let mut registry = Registry::default();
        let requests = Family::default();
        // From 0.1 ms to 26 s.
        let histogram: fn() -> Histogram = || Histogram::new(exponential_buckets(1e-4, 4.0, 10));
        let durations = Family::new_with_constructor(histogram);
        registry.register(
            "mortise_http_requests",
            "Requests that were answered, by method, route and status",
            Family::clone(&requests),
        );
        registry.register_with_unit(
            "mortise_http_request_duration",
            "How long requests took, from their heads to the heads of their answers",
            Unit::Seconds,
            Family::clone(&durations),
        );
        Self {
            registry,
            requests,
            durations,
            stores,
        }
    }

    /// A request was answered.
    pub(super) fn answered(
        &self,
        method: &Method,
        route: Option<&str>,
        status: StatusCode,
        took: Duration,
    ) {
        let route = Route {
            // Others would let a client make as many series as it likes.
            method: match route {
                Some(_) => method.to_string(),
                None => NO_ROUTE.to_owned(),
            },
            route: route.unwrap_or(NO_ROUTE).to_owned(),
        };
        let answered = Answered {
            method: route.method.clone(),
            route: route.route.clone(),
            status: status.as_u16(),
        };
        self.requests.get_or_create(&answered).inc();
        let durations = self.durations.get_or_create(&route);
        durations.observe(took.as_secs_f64());
    }
}

/// Tells what the server and its stores did, for Prometheus
///
/// With tokens, whoever asks needs one that may read every namespace.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "health",
    operation_id = "metrics",
    responses((status = 200, description = "OpenMetrics text", body = String, content_type = "application/openmetrics-text"))
)]
async fn metrics(State(app): State<App>, Extension(access): Extension<Access>) -> Answer<Response> {
    if !access.may_read_all() {
        return Err(AccessError::Store(Permission::Read).into());
    }
    let figures = &app.figures;
    let text = match &figures.stores {
        Some(stores) => stores.render_with(&figures.registry),
        None => {
            let mut text = String::new();
            prometheus_client::encoding::text::encode(&mut text, &figures.registry).map(|()| text)
        }
    };
    let text = text.map_err(|_| {
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        Refused::new("internal", status, "the figures cannot be written")
    })?;
    Ok(([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response())
}

//! What all handlers share.

use std::ops::Deref;
use std::sync::Arc;

use mortise_config::ServeConfig;
use mortise_metrics::Metrics;
use mortise_metrics::inside::MetricsInside as _;
use mortise_store::SystemClock;

use super::extract::Bodies;
use super::figures::Figures;
use super::limits::{ServeLimits, longest_bodies, longest_body};
use crate::access::{RateLimit, Served, Tokens};
use crate::mcp::Mcp;
use crate::seat::Passing;

/// What all handlers share. Cheap to clone.
#[derive(Clone)]
pub(super) struct App(Arc<Shared>);

pub(super) struct Shared {
    pub(super) served: Arc<Served>,
    pub(super) limits: ServeLimits,
    pub(super) bodies: Bodies,
    pub(super) tokens: Tokens,
    pub(super) rate: Option<RateLimit>,
    pub(super) figures: Figures,
    pub(super) mcp: Mcp,
    pub(super) passing: Passing,
}

impl App {
    pub(super) fn new(
        served: Arc<Served>,
        config: &ServeConfig,
        mcp: Mcp,
        passing: Passing,
    ) -> Self {
        let limits = config.limits.clone();
        let figures = Figures::new(served.opener().map(Metrics::of));
        Self(Arc::new(Shared {
            figures,
            mcp,
            bodies: Bodies::new(longest_body(&limits), longest_bodies(&limits)),
            tokens: Tokens::new(&config.tokens, Arc::new(SystemClock)),
            rate: RateLimit::new(&limits),
            served,
            limits,
            passing,
        }))
    }
}

impl Deref for App {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

//! What all handlers share.

use std::ops::Deref;
use std::sync::Arc;

use super::extract::Bodies;
use super::figures::Figures;
use super::limits::ServeLimits;
use super::mcp::Mcp;
use super::rate::RateLimit;
use super::restart::Passing;
use super::served::Served;
use super::tokens::Tokens;
use crate::capability::clock::SystemClock;
use crate::config::ServeConfig;

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
        let local = served.iter().find_map(|(_, store)| store.local());
        let figures = Figures::new(local.map(|local| local.0.host.metrics()));
        Self(Arc::new(Shared {
            figures,
            mcp,
            bodies: Bodies::new(limits.longest_body(), limits.longest_bodies()),
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

//! What all handlers share.

use std::ops::Deref;
use std::sync::Arc;

use super::extract::Bodies;
use super::limits::ServeLimits;
use super::served::Served;

/// What all handlers share. Cheap to clone.
#[derive(Clone)]
pub(super) struct App(Arc<Shared>);

pub(super) struct Shared {
    pub(super) served: Arc<Served>,
    pub(super) limits: ServeLimits,
    pub(super) bodies: Bodies,
}

impl App {
    pub(super) fn new(served: Arc<Served>, limits: ServeLimits) -> Self {
        Self(Arc::new(Shared {
            bodies: Bodies::new(limits.longest_body(), limits.longest_bodies()),
            served,
            limits,
        }))
    }
}

impl Deref for App {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

//! The text that a scrape gets.

use std::fmt;
use std::sync::Arc;

use mortise_store::inside::Opener;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, text};
use prometheus_client::registry::Registry;

use crate::families;
use crate::reading::Reading;

/// The media type of what is rendered: OpenMetrics text.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The metrics of all stores that a host has open, read anew each time: see their [series](crate#series).
///
/// As a [`Collector`] it goes into a registry of the program's own:
/// `registry.register_collector(Box::new(host.metrics()))`.
#[derive(Clone)]
pub struct Metrics(Arc<dyn Opener>);

/// What who opens stores asks of metrics.
pub trait MetricsInside {
    /// What the open stores have measured that this opened.
    fn of(opener: Arc<dyn Opener>) -> Self;
}

impl MetricsInside for Metrics {
    fn of(opener: Arc<dyn Opener>) -> Self {
        Self(opener)
    }
}

impl Metrics {
    /// As OpenMetrics text, whose media type is [`CONTENT_TYPE`].
    pub fn render(&self) -> String {
        self.render_with(&Registry::default()).expect(
            "what has no foreign metrics fails only where its buffer does, and a string does not",
        )
    }

    /// The same, after what a registry of the program's own has.
    ///
    /// # Errors
    ///
    /// That of a metric in the registry.
    pub fn render_with(&self, registry: &Registry) -> Result<String, fmt::Error> {
        let mut own = Registry::default();
        own.register_collector(Box::new(self.clone()));
        let mut rendered = String::new();
        text::encode_registry(&mut rendered, registry)?;
        text::encode(&mut rendered, &own)?;
        Ok(rendered)
    }
}

impl Collector for Metrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        families::encode(&Reading::all(self.0.measured()), &mut encoder)
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Metrics").finish_non_exhaustive()
    }
}

//! What stores measured, in figures, for Prometheus and whoever else reads its text format (feature `metrics`).
//!
//! [`mortise_metrics`] has the table of the series.
//!
//! ```
//! use mortise::metrics::prometheus_client::{metrics::counter::Counter, registry::Registry};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let host = mortise::Host::builder().build()?;
//! let text = host.metrics().render();
//!
//! let requests = Counter::<u64>::default();
//! let mut registry = Registry::default();
//! registry.register("acme_requests", "Requests that were answered", requests.clone());
//! let text = host.metrics().render_with(&registry)?;
//! # Ok(())
//! # }
//! ```

pub use mortise_metrics::{CONTENT_TYPE, Metrics, prometheus_client};

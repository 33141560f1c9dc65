//! What Mortise stores measured, in figures, for Prometheus and whoever else reads its text format.
//!
//! Uses: mortise-store. Never: mortise-engine, mortise-host: who opens stores hands over what they measured.
//!
//! Every store measures itself, always: that costs a call one reading of the clock and a few atomic additions. With the
//! feature `metrics` of `mortise`, `Host::metrics` shows what was measured as OpenMetrics text. It is also a collector
//! of the crate `prometheus-client`, so that a program shows these series beside its own:
//!
//! ```
//! use mortise_metrics::Metrics;
//! use mortise_metrics::prometheus_client::{metrics::counter::Counter, registry::Registry};
//!
//! # fn example(metrics: Metrics) -> Result<(), std::fmt::Error> {
//! let text = metrics.render();
//!
//! let requests = Counter::<u64>::default();
//! let mut registry = Registry::default();
//! registry.register("acme_requests", "Requests that were answered", requests.clone());
//! let text = metrics.render_with(&registry)?;
//! # Ok(())
//! # }
//! ```
//!
//! # Series
//!
//! Each has the labels `store` and `backend`. Stores of one name and backend that are open at once, such as those of
//! several namespaces, are counted together, and the series go away when the last of them is closed. An operation, or
//! a kind of error, shows once it happened.
//!
//! | series | type | unit | further labels | what it tells |
//! |---|---|---|---|---|
//! | `mortise_store_open` | gauge | stores | | how many stores are open under this name |
//! | `mortise_store_call_duration_seconds` | histogram | seconds | `operation` | the calls that ended, with an answer or an error, and how long each took; one that is refused for its arguments is none |
//! | `mortise_store_errors_total` | counter | calls | `operation`, `kind` | those of them that ended with an error, by [`ErrorKind`](mortise_store::ErrorKind) |
//! | `mortise_store_calls_given_up_total` | counter | calls | `operation` | calls whose caller went away before they ended |
//! | `mortise_store_pool_wait_seconds` | histogram | seconds | | how long calls waited until an instance was free for them; nearly all for no time |
//! | `mortise_store_instances` | gauge | instances | `state`: `idle`, `running` | the instances that wait for a call, and those that serve one |
//! | `mortise_store_instances_max` | gauge | instances | | how many may serve at once: the limit `concurrency`, or one |
//! | `mortise_store_traps_total` | counter | calls | | calls in which the component trapped |
//! | `mortise_store_breaker` | gauge | stores | `state`: `closed`, `open`, `probing` | how many stores' breakers are in this state |
//! | `mortise_store_state_lost` | gauge | stores | | how many lost their records with a trap, and were not reopened |
//! | `mortise_store_fallback` | gauge | stores | | how many stand in for a backend that did not open |
//! | `mortise_store_generation` | gauge | | | the generation of the backend that serves |
//! | `mortise_store_component_info` | info | | `digest` | its component |
//! | `mortise_store_snapshots_total` | counter | snapshots | `outcome`: `taken`, `failed` | what became of snapshots; only where one is configured |
//! | `mortise_store_snapshot_timestamp_seconds` | gauge | seconds since 1970 | | when the last one was taken since the store was opened; of several stores, the one that is longest ago |
//! | `mortise_sqlite_commit_transactions` | histogram | transactions | | how many transactions each commit took; only where the store has a SQLite database |

mod reading;

mod families;

mod exposition;

pub mod inside;

pub use exposition::{CONTENT_TYPE, Metrics};
pub use prometheus_client;

//! What the crates of this workspace ask of metrics. No promise to anybody else.
#![doc(hidden)]

pub use crate::exposition::MetricsInside;

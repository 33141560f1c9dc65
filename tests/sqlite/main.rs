//! The capability and the backend `sqlite`, and how its schemas change.

mod database;
mod migrate;

use mortise_tests as support;

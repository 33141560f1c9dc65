//! The store as a service: over HTTP, by its client, and what operators see of it.

mod access;
#[path = "../mcp/by_hand.rs"]
#[allow(dead_code, reason = "other areas use the rest of it")]
mod by_hand;
mod client;
mod description;
mod http;
mod idle;
mod logs;
mod metrics;
mod over_http;
#[path = "../mcp/packages.rs"]
#[allow(dead_code, reason = "other areas use the rest of it")]
mod packages;
#[path = "../restart/process.rs"]
#[allow(dead_code, reason = "other areas use the rest of it")]
mod process;
#[path = "../mcp/raw.rs"]
#[allow(dead_code, reason = "other areas use the rest of it")]
mod raw;
mod token;

use mortise_tests as support;

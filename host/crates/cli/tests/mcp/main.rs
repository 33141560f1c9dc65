//! The MCP server: its tools, its errors, official clients, and sessions that go on in another process.

#[allow(dead_code, reason = "other areas use the rest of it")]
mod by_hand;
mod conformance;
mod http;
#[allow(dead_code, reason = "other areas use the rest of it")]
mod packages;
mod python;
#[allow(dead_code, reason = "other areas use the rest of it")]
mod raw;
mod server;
mod stdio;
mod tools;

use mortise_tests as support;

//! The store as a service: over HTTP and MCP, by its client, and through restarts. A binary of its own, because the
//! other one takes minutes to compile.

mod http;
mod mcp;
#[allow(
    dead_code,
    reason = "each binary of tests uses some of what makes tests short"
)]
#[path = "../support/mod.rs"]
mod support;

//! The store as a service: over HTTP and MCP, by its client, and through restarts. A binary of its own, because the
//! other one takes minutes to compile.

mod access;
mod client;
mod description;
mod http;
mod logs;
mod mcp;
mod metrics;
mod over_http;
mod packages;
mod restart;
#[allow(
    dead_code,
    unused_imports,
    reason = "each binary of tests uses some of what makes tests short"
)]
#[path = "../support/mod.rs"]
mod support;
mod token;

/// A client of our own making: reqwest, without anything of ours.
fn client() -> reqwest::Client {
    // It wants one even where it never speaks TLS; the second to install it is told so.
    let _ = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::new()
}

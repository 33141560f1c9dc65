//! The MCP server: its tools, its errors, official clients, and sessions that go on in another process.

pub mod client;
mod conformance;
pub mod http;
mod python;
mod server;
mod stdio;
mod tools;

//! What a restart means to those that are served: calls over HTTP, sessions of MCP, and a session over stdio.

mod mcp;
mod passing;
mod relay;
mod stdio;

pub(crate) use passing::Passing;
pub(crate) use stdio::StdioPart;

//! Stores as a service, over HTTP and MCP.

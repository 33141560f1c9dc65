//! Stores as a service: HTTP and MCP (feature `serve`).
//!
//! ```no_run
//! # async fn example(host: mortise::Host) -> mortise::Result<()> {
//! use mortise::serve::Server;
//!
//! let store = host.open("sqlite:tasks.db").await?;
//! let server = Server::new([store])?.bind("127.0.0.1:7337").await?;
//! println!("http://{}", server.address());
//! let stop = std::future::pending(); // until a signal comes, for one
//! server.run(stop).await;
//! # Ok(())
//! # }
//! ```
//!
//! [`mortise_serve`] has the paths and the conventions.

pub use mortise_serve::*;

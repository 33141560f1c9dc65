//! Stores over HTTP.

mod app;
mod connection;
mod connections;
mod entities;
mod expect;
mod extract;
mod figures;
mod health;
mod limits;
mod openapi;
mod paging;
mod paths;
pub(crate) mod problem;
mod records;
pub(crate) mod request;
mod server;
mod stores;
mod tasks;
mod tls;
mod transfer;

pub use limits::ServeLimits;
pub use openapi::openapi;
pub use server::{BoundServer, Server};

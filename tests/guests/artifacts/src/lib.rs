//! Backends for the tests as bytes: the example of the SDK, and some that misbehave. Compiled by the build script.
//!
//! The feature `all` needs the target `wasm32-wasip2` too: `rustup target add wasm32-wasip2`.

include!(concat!(env!("OUT_DIR"), "/components.rs"));

#[cfg(feature = "all")]
#[path = "../../zoo/src/animals.rs"]
mod animals;
#[cfg(feature = "all")]
mod zoo;

#[cfg(feature = "all")]
pub use self::animals::{Animal, MARKER as ZOO_MARKER};
#[cfg(feature = "all")]
pub use self::zoo::zoo;

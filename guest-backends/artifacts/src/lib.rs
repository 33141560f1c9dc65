//! The built-in backends of Mortise as bytes: WebAssembly components, compiled by the build script.
//!
//! ```
//! for (name, component) in mortise_backends::ALL {
//!     assert!(component.starts_with(b"\0asm"), "{name}");
//! }
//! ```
//!
//! The build needs the target `wasm32-unknown-unknown`: `rustup target add wasm32-unknown-unknown`.
//! The feature `test-guests` adds the module `test_guests`, and needs `wasm32-wasip2` too.
//!
//! `cargo run -p mortise-backends --example write -- FOLDER` writes them to files.

include!(concat!(env!("OUT_DIR"), "/backends.rs"));

/// Backends for the tests: the example of the SDK, and some that misbehave.
#[cfg(feature = "test-guests")]
pub mod test_guests {
    include!(concat!(env!("OUT_DIR"), "/test_guests.rs"));

    pub use crate::animals::{Animal, MARKER as ZOO_MARKER};
    pub use crate::zoo::zoo;
}

#[cfg(feature = "test-guests")]
#[path = "../../../tests/guests/zoo/src/animals.rs"]
mod animals;
#[cfg(feature = "test-guests")]
mod zoo;

//! The built-in backends of Mortise as bytes: WebAssembly components, compiled by the build script.
//!
//! ```
//! for (name, component) in mortise_backends::ALL {
//!     assert!(component.starts_with(b"\0asm"), "{name}");
//! }
//! ```
//!
//! The build needs the target `wasm32-unknown-unknown`: `rustup target add wasm32-unknown-unknown`.
//!
//! `cargo run -p mortise-backends --example write -- FOLDER` writes them to files.

include!(concat!(env!("OUT_DIR"), "/components.rs"));

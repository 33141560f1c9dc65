//! One build for all: the features of what each package depends on, most of it through others. No code.
//!
//! Cargo compiles a dependency with the features that the selected packages ask for. So that `cargo test -p A` finds what
//! `cargo test --workspace` compiled, each package asks for the same: all by this one, all that stands on tokio by
//! `mortise-features-io`, what reads components by `mortise-features-wasm`, and a few by a line of their own in their
//! manifests. They bring hardly anything that would not be there without them. `cargo xtask check` says what is missing.

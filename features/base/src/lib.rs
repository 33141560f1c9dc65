//! One build for all: the features of what each package depends on, most of it through others.
//!
//! Cargo compiles a dependency with the features that the selected packages ask for. So that `cargo test -p A` finds what
//! `cargo test --workspace` compiled, each package asks for the same, by one of these crates: `base` for all, `io` for
//! all that stands on tokio, `wasm` for what reads components, `engine` for what runs them, `http` for what speaks HTTP,
//! `kit` for the conformance kit. They carry no code, and bring nothing that is not there without them.
//! `cargo xtask check` says what is missing.

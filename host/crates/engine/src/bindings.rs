//! The only `bindgen!`: Rust types and call stubs from `wit/`.
//!
//! Nobody but an instance and what it imports sees these types: `convert` turns them into the plain ones of
//! `mortise-store` and of the capabilities, and back.

#![allow(
    missing_docs,
    reason = "generated; every WIT item carries its own doc comment"
)]

pub(crate) mod convert;

wasmtime::component::bindgen!({
    path: "../../../wit",
    inline: "
        package mortise:host;
        /// Everything that a backend may import, and everything that it must export.
        world host {
            include mortise:persistence/backend@0.1.0;
            import mortise:persistence/sqlite@0.1.0;
            import mortise:persistence/redis@0.1.0;
        }
    ",
    imports: {
        "mortise:persistence/redis@0.1.0": async,
        "mortise:persistence/sqlite@0.1.0": async,
    },
    exports: { default: async },
    additional_derives: [PartialEq],
});

/// The optional export `schema`, which the host probes for.
pub(crate) mod schema {
    wasmtime::component::bindgen!({
        path: "../../../wit",
        inline: "
            package mortise:host;
            world with-schema { export mortise:persistence/schema@0.1.0; }
        ",
        exports: { default: async },
    });
}

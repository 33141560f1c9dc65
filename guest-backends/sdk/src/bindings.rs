//! What wit-bindgen makes of `wit/`: the only place where it is called.
//!
//! One module for what every backend needs, and one for each part that only some need: a component
//! imports and exports what its code uses and no more.

/// What every backend exports and may import.
pub mod backend {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "backend",
        // Written by hand, without a copy of the record: `lent.rs`.
        skip: ["load"],
        additional_derives: [PartialEq, Eq],
        additional_type_attributes: {
            "mortise:persistence/types@0.1.0/key": [#[derive(PartialOrd, Ord, Hash)]],
            "mortise:persistence/types@0.1.0/attribute": [#[derive(PartialOrd, Ord, Hash)]],
            "mortise:persistence/types@0.1.0/stamp": [#[derive(PartialOrd, Ord, Hash)]],
        },
        pub_export_macro: true,
        export_macro_name: "export_backend",
        default_bindings_module: "mortise_guest::__private::backend",
        generate_all,
    });
}

/// The `sqlite` capability.
pub mod sqlite {
    wit_bindgen::generate!({
        path: "../../wit",
        inline: "
            package mortise:guest-sqlite;
            world sqlite-importer {
                import mortise:persistence/sqlite@0.1.0;
            }
        ",
        additional_derives: [PartialEq],
        generate_all,
    });
}

/// The `redis` capability. Its records are those of `backend`.
pub mod redis {
    wit_bindgen::generate!({
        path: "../../wit",
        inline: "
            package mortise:guest-redis;
            world redis-importer {
                import mortise:persistence/redis@0.1.0;
            }
        ",
        with: {
            "mortise:persistence/types@0.1.0": crate::bindings::backend::mortise::persistence::types,
        },
        additional_derives: [PartialEq],
        generate_all,
    });
}

/// The export of a schema.
pub mod schema {
    wit_bindgen::generate!({
        path: "../../wit",
        inline: "
            package mortise:guest-schema;
            world schema-exporter {
                export mortise:persistence/schema@0.1.0;
            }
        ",
        additional_derives: [PartialEq, Eq],
        pub_export_macro: true,
        export_macro_name: "export_schema",
        default_bindings_module: "mortise_guest::__private::schema",
        generate_all,
    });
}

//! What wit-bindgen makes of `wit/`: the only place where it is called.
//!
//! One module for what every backend needs, and one for each part that only some need: a component
//! imports and exports what its code uses and no more.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

use self::backend::mortise::persistence::types::{Attribute, Key, Stamp};

/// What every backend exports and may import.
pub mod backend {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "backend",
        // Written by hand, without a copy of the record: `lent.rs`.
        skip: ["load"],
        additional_derives: [PartialEq, Eq],
        pub_export_macro: true,
        export_macro_name: "export_backend",
        default_bindings_module: "mortise_guest::__private::backend",
        generate_all,
    });
}

/// Orders and hashes a record of the contract field by field, as `derive` would: wit-bindgen 0.60 derives the same for
/// all types or for none.
macro_rules! in_order {
    ($($record:ident: $($field:ident),+;)+) => {
        $(impl Ord for $record {
            fn cmp(&self, other: &Self) -> Ordering {
                Ordering::Equal$(.then_with(|| self.$field.cmp(&other.$field)))+
            }
        }

        impl PartialOrd for $record {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }

        impl Hash for $record {
            fn hash<H: Hasher>(&self, state: &mut H) {
                $(self.$field.hash(state);)+
            }
        })+
    };
}

in_order! {
    Key: collection, id;
    Attribute: name, value;
    Stamp: create_revision, mod_revision, created_at, updated_at;
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

//! Makes the built-in backends. A new one is one more entry in [`GUESTS`]; the library's constants are written from it.

#![allow(
    clippy::print_stdout,
    reason = "it is how a build script talks to cargo"
)]

mod guests;

use std::path::Path;

use guests::{Guest, Target};

const GUESTS: &[Guest] = &[
    Guest {
        name: "memory",
        package: "mortise-memory",
        folder: "guest-backends/memory",
        features: "",
        target: Target::Bare,
        about: "Keeps records in its own linear memory. Imports no capability but `clock` and `log`.",
    },
    Guest {
        name: "sqlite",
        package: "mortise-sqlite",
        folder: "guest-backends/sqlite",
        features: "",
        target: Target::Bare,
        about: "Keeps records in the database behind the capability `sqlite`, which it imports.",
    },
    Guest {
        name: "redis",
        package: "mortise-redis",
        folder: "guest-backends/redis",
        features: "",
        target: Target::Bare,
        about: "Keeps records in the Redis behind the capability `redis`, which it imports.",
    },
];

fn main() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = folder.ancestors().nth(2);
    let guests: Vec<&Guest> = GUESTS.iter().collect();
    guests::make(
        root.expect("the package stands two folders below the root"),
        &guests,
    );
}

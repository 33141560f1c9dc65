//! Makes the backends of the tests. A new one is one more entry in [`GUESTS`]; the library's constants are written from
//! it.

#![allow(
    clippy::print_stdout,
    reason = "it is how a build script talks to cargo"
)]

#[path = "../../../guest-backends/artifacts/build/guests.rs"]
mod guests;

use std::path::Path;

use guests::{Guest, Target};

const GUESTS: &[Guest] = &[
    Guest {
        name: "fault",
        package: "mortise-test-fault",
        folder: "tests/guests/fault",
        features: "",
        target: Target::Bare,
        about: "Pooled; traps, hangs and floods when it is asked to.",
    },
    Guest {
        name: "fault-singleton",
        package: "mortise-test-fault",
        folder: "tests/guests/fault",
        features: "mortise-test-fault/singleton",
        target: Target::Bare,
        about: "The same as a singleton.",
    },
    Guest {
        name: "tree",
        package: "mortise-test-tree",
        folder: "tests/guests/tree",
        features: "",
        target: Target::Bare,
        about: "The example of the SDK's documentation.",
    },
    Guest {
        name: "sql-probe",
        package: "mortise-test-sql-probe",
        folder: "tests/guests/sql-probe",
        features: "",
        target: Target::Bare,
        about: "Runs the SQL that it is handed as the id of a record to load.",
    },
    Guest {
        name: "wasi-probe",
        package: "mortise-test-wasi-probe",
        folder: "tests/guests/wasi-probe",
        features: "",
        target: Target::Wasi,
        about: "Looks for what WASI gives it; imports `wasi:*`.",
    },
    Guest {
        name: "chaos",
        package: "mortise-test-chaos",
        folder: "tests/guests/chaos",
        features: "",
        target: Target::Bare,
        about: "Answers anything that the contract's types allow.",
    },
    Guest {
        name: "zoo",
        package: "mortise-test-zoo",
        folder: "tests/guests/zoo",
        features: "",
        target: Target::Bare,
        about: "Breaks nothing, but carries a number: see `zoo()`.",
    },
    Guest {
        name: "zoo-sqlite",
        package: "mortise-test-zoo",
        folder: "tests/guests/zoo",
        features: "mortise-test-zoo/sqlite",
        target: Target::Bare,
        about: "The same with its records behind `sqlite`.",
    },
];

fn main() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = folder.ancestors().nth(3);
    let all = std::env::var_os("CARGO_FEATURE_ALL").is_some();
    // Who wants no more than the demonstration gets the one that misbehaves.
    let guests = GUESTS.iter().filter(|guest| all || guest.name == "fault");
    let guests: Vec<&Guest> = guests.collect();
    guests::make(
        root.expect("the package stands three folders below the root"),
        &guests,
    );
}

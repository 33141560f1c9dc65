//! Compiles the guests to WebAssembly and makes components of them.
//!
//! A new guest is one more line in [`GUESTS`]; the library's constants are written from it.

#![allow(
    clippy::print_stdout,
    reason = "it is how a build script talks to cargo"
)]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use wit_component::ComponentEncoder;

/// One `.wasm` file to make.
struct Guest {
    /// The constant's name in lower case, and the file's.
    name: &'static str,
    /// The package that it is built from.
    package: &'static str,
    /// The package's folder, from the workspace's root.
    folder: &'static str,
    /// The features that it is built with.
    features: &'static str,
    target: Target,
    /// Whether it is left out unless the feature `test-guests` is on.
    test: bool,
    /// The constant's documentation.
    about: &'static str,
}

#[derive(Clone, Copy, PartialEq)]
enum Target {
    /// `wasm32-unknown-unknown`: a core module, which imports nothing but the contract.
    Bare,
    /// `wasm32-wasip2`: a component already, which imports WASI.
    Wasi,
}

const GUESTS: &[Guest] = &[
    Guest {
        name: "memory",
        package: "mortise-memory",
        folder: "guest-backends/memory",
        features: "",
        target: Target::Bare,
        test: false,
        about: "Keeps records in its own linear memory. Imports no capability but `clock` and `log`.",
    },
    Guest {
        name: "sqlite",
        package: "mortise-sqlite",
        folder: "guest-backends/sqlite",
        features: "",
        target: Target::Bare,
        test: false,
        about: "Keeps records in the database behind the capability `sqlite`, which it imports.",
    },
    Guest {
        name: "redis",
        package: "mortise-redis",
        folder: "guest-backends/redis",
        features: "",
        target: Target::Bare,
        test: false,
        about: "Keeps records in the Redis behind the capability `redis`, which it imports.",
    },
    Guest {
        name: "fault",
        package: "mortise-test-fault",
        folder: "tests/guests/fault",
        features: "",
        target: Target::Bare,
        test: true,
        about: "Pooled; traps, hangs and floods when it is asked to.",
    },
    Guest {
        name: "fault-singleton",
        package: "mortise-test-fault",
        folder: "tests/guests/fault",
        features: "mortise-test-fault/singleton",
        target: Target::Bare,
        test: true,
        about: "The same as a singleton.",
    },
    Guest {
        name: "tree",
        package: "mortise-test-tree",
        folder: "tests/guests/tree",
        features: "",
        target: Target::Bare,
        test: true,
        about: "The example of the SDK's documentation.",
    },
    Guest {
        name: "sql-probe",
        package: "mortise-test-sql-probe",
        folder: "tests/guests/sql-probe",
        features: "",
        target: Target::Bare,
        test: true,
        about: "Runs the SQL that it is handed as the id of a record to load.",
    },
    Guest {
        name: "wasi-probe",
        package: "mortise-test-wasi-probe",
        folder: "tests/guests/wasi-probe",
        features: "",
        target: Target::Wasi,
        test: true,
        about: "Looks for what WASI gives it; imports `wasi:*`.",
    },
    Guest {
        name: "chaos",
        package: "mortise-test-chaos",
        folder: "tests/guests/chaos",
        features: "",
        target: Target::Bare,
        test: true,
        about: "Answers anything that the contract's types allow.",
    },
    Guest {
        name: "zoo",
        package: "mortise-test-zoo",
        folder: "tests/guests/zoo",
        features: "",
        target: Target::Bare,
        test: true,
        about: "Breaks nothing, but carries a number: see `zoo()`.",
    },
    Guest {
        name: "zoo-sqlite",
        package: "mortise-test-zoo",
        folder: "tests/guests/zoo",
        features: "mortise-test-zoo/sqlite",
        target: Target::Bare,
        test: true,
        about: "The same with its records behind `sqlite`.",
    },
];

/// What changes how the host is compiled, and would break or bloat the guests.
const FOREIGN: &[&str] = &[
    "CARGO_BUILD_RUSTC_WORKSPACE_WRAPPER",
    "CARGO_BUILD_RUSTC_WRAPPER",
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_ENCODED_RUSTFLAGS",
    "CLIPPY_ARGS",
    "LLVM_PROFILE_FILE",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTC_WRAPPER",
    "RUSTFLAGS",
];

impl Target {
    fn triple(self) -> &'static str {
        match self {
            Self::Bare => "wasm32-unknown-unknown",
            Self::Wasi => "wasm32-wasip2",
        }
    }
}

fn main() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .expect("the package stands two folders below the workspace's root");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let with_tests = env::var_os("CARGO_FEATURE_TEST_GUESTS").is_some();
    let guests: Vec<&Guest> = GUESTS
        .iter()
        .filter(|guest| with_tests || !guest.test)
        .collect();

    for path in ["Cargo.toml", "Cargo.lock", "wit", "guest-backends/sdk"] {
        watch(&root.join(path));
    }
    for guest in &guests {
        watch(&root.join(guest.folder));
    }

    // Guests with the same target and features are built by one run of cargo. Those that share a
    // package and differ in features write the same file, so each run's files are taken before the next.
    let mut left = guests.clone();
    while let Some(first) = left.first().copied() {
        let (run, rest) = left
            .into_iter()
            .partition(|guest| guest.target == first.target && guest.features == first.features);
        left = rest;
        build(root, &out, &run);
        for guest in run {
            make_component(&out, guest);
        }
    }
    write_library(&out, &guests);
}

/// Has the build script run again when a file changes; of a package, its manifest or its sources. A path
/// that is not there would have it run every time.
fn watch(path: &Path) {
    let parts = ["Cargo.toml", "src", "examples"].map(|part| path.join(part));
    let is_package = parts[0].exists();
    if is_package {
        for part in parts.iter().filter(|part| part.exists()) {
            println!("cargo:rerun-if-changed={}", part.display());
        }
    } else {
        println!("cargo:rerun-if-changed={}", path.display());
    }
}

/// Compiles guests that share a target and features.
fn build(root: &Path, out: &Path, guests: &[&Guest]) {
    let Guest {
        target, features, ..
    } = guests[0];
    let triple = target.triple();
    require_target(triple);

    let mut command = Command::new(env::var_os("CARGO").expect("cargo sets CARGO"));
    command
        .current_dir(root)
        .args(["build", "--lib", "--profile", "guest", "--target", triple])
        .arg("--target-dir")
        .arg(out.join("guests"));
    for package in guests
        .iter()
        .map(|guest| guest.package)
        .collect::<BTreeSet<_>>()
    {
        command.args(["--package", package]);
    }
    if !features.is_empty() {
        command.args(["--features", features]);
    }
    // What clippy and coverage tools set for the host's build is not meant for the guests'.
    for name in FOREIGN {
        command.env_remove(name);
    }
    let status = command.status().expect("cargo can be run");
    assert!(
        status.success(),
        "cargo could not build the guests for {triple}"
    );
}

/// Fails with the command that installs it where the target's standard library is missing.
fn require_target(triple: &str) {
    let rustc = env::var_os("RUSTC").expect("cargo sets RUSTC");
    let output = Command::new(rustc)
        .args(["--print", "target-libdir", "--target", triple])
        .output()
        .expect("rustc can be run");
    let folder = String::from_utf8_lossy(&output.stdout);
    if !(output.status.success() && Path::new(folder.trim()).is_dir()) {
        fail(&format!(
            "the guests cannot be built, because the target {triple} is not installed: \
             rustup target add {triple}"
        ));
    }
}

/// Ends the build with one line, rather than with a panic and its backtrace.
#[allow(
    clippy::print_stderr,
    clippy::exit,
    reason = "it is how a build script says what is wrong"
)]
fn fail(message: &str) -> ! {
    println!("cargo:warning={message}");
    eprintln!("{message}");
    std::process::exit(1)
}

/// Writes `NAME.wasm`, a validated component.
fn make_component(out: &Path, guest: &Guest) {
    let file = out
        .join("guests")
        .join(guest.target.triple())
        .join("guest")
        .join(format!("{}.wasm", guest.package.replace('-', "_")));
    let bytes = fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let component = match guest.target {
        Target::Wasi => bytes,
        Target::Bare => ComponentEncoder::default()
            .validate(true)
            .module(&bytes)
            .and_then(|encoder| encoder.encode())
            .unwrap_or_else(|error| panic!("{} makes no component: {error:?}", guest.name)),
    };
    let file = out.join(format!("{}.wasm", guest.name));
    fs::write(&file, component).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
}

/// Writes the constants that the library includes.
fn write_library(out: &Path, guests: &[&Guest]) {
    for (file, test) in [("backends.rs", false), ("test_guests.rs", true)] {
        let mut code = String::new();
        let mut all = String::new();
        for guest in guests.iter().filter(|guest| guest.test == test) {
            let constant = guest.name.replace('-', "_").to_uppercase();
            let (name, about) = (guest.name, guest.about);
            writeln!(
                code,
                "/// `{name}`: {about}\n\
                 pub const {constant}: &[u8] = include_bytes!(concat!(env!(\"OUT_DIR\"), \"/{name}.wasm\"));"
            )
            .expect("a string takes all text");
            write!(all, "(\"{name}\", {constant}), ").expect("a string takes all text");
        }
        writeln!(
            code,
            "/// All of them, by name.\npub const ALL: &[(&str, &[u8])] = &[{all}];"
        )
        .expect("a string takes all text");
        fs::write(out.join(file), code).expect("OUT_DIR can be written to");
    }
}

//! Compiles guests to WebAssembly and makes components of them: for the build scripts of this package and of
//! `tests/guests/artifacts`.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use wit_component::ComponentEncoder;

/// One `.wasm` file to make.
pub struct Guest {
    /// The constant's name in lower case, and the file's.
    pub name: &'static str,
    /// The package that it is built from.
    pub package: &'static str,
    /// The package's folder, from the workspace's root.
    pub folder: &'static str,
    /// The features that it is built with.
    pub features: &'static str,
    /// What it is built for.
    pub target: Target,
    /// The constant's documentation.
    pub about: &'static str,
}

/// What a guest is built for.
#[derive(Clone, Copy, PartialEq)]
pub enum Target {
    /// `wasm32-unknown-unknown`: a core module, which imports nothing but the contract.
    Bare,
    /// `wasm32-wasip2`: a component already, which imports WASI.
    #[allow(dead_code, reason = "no built-in backend is one")]
    Wasi,
}

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

/// Makes the components, and writes the constants that the library includes: `components.rs` in `OUT_DIR`.
///
/// `root` is the workspace's. All builds of one target folder share what the guests are compiled from, whatever
/// package and features they are of: `guests` beside `deps`.
pub fn make(root: &Path, guests: &[&Guest]) {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    // OUT_DIR is PROFILE/build/PACKAGE-HASH/out.
    let profile = out
        .ancestors()
        .nth(3)
        .expect("OUT_DIR is below a profile's folder");
    let compiled = profile.join("guests");

    for path in ["Cargo.toml", "Cargo.lock", "wit", "guest-backends/sdk"] {
        watch(&root.join(path));
    }
    for guest in guests {
        watch(&root.join(guest.folder));
    }

    // Guests with the same target and features are built by one run of cargo. Those that share a
    // package and differ in features write the same file, so each run's files are taken before the next.
    let mut left = guests.to_vec();
    while let Some(first) = left.first().copied() {
        let (run, rest) = left
            .into_iter()
            .partition(|guest| guest.target == first.target && guest.features == first.features);
        left = rest;
        build(root, &compiled, &run);
        for guest in run {
            make_component(&compiled, &out, guest);
        }
    }
    write_library(&out, guests);
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
fn build(root: &Path, compiled: &Path, guests: &[&Guest]) {
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
        .arg(compiled);
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
fn make_component(compiled: &Path, out: &Path, guest: &Guest) {
    let file = compiled
        .join(guest.target.triple())
        .join("guest")
        .join(format!("{}.wasm", guest.package.replace('-', "_")));
    let bytes = fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let component = match guest.target {
        Target::Wasi => bytes,
        Target::Bare => ComponentEncoder::default()
            .validate(true)
            .module(&bytes)
            .and_then(|mut encoder| encoder.encode())
            .unwrap_or_else(|error| panic!("{} makes no component: {error:?}", guest.name)),
    };
    let file = out.join(format!("{}.wasm", guest.name));
    fs::write(&file, component).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
}

/// Writes the constants that the library includes.
fn write_library(out: &Path, guests: &[&Guest]) {
    let mut code = String::new();
    let mut all = String::new();
    for guest in guests {
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
    fs::write(out.join("components.rs"), code).expect("OUT_DIR can be written to");
}

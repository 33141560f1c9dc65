//! What others made to try servers out, from PyPI and npm, kept below `target/`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The official Python client.
const PYTHON_CLIENT: &str = "mcp==2.3.0";
/// What makes requests of an OpenAPI description, and holds the answers to it.
const SCHEMATHESIS: &str = "schemathesis==4.32.5";
/// The conformance suite; and a Node that it runs on, where the machine's is older.
const CONFORMANCE: &str = "@modelcontextprotocol/conformance@0.1.16";
const NODE: &str = "node@22";

fn cache() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
}

/// Python with the official client.
pub fn python() -> Command {
    static PLACE: OnceLock<PathBuf> = OnceLock::new();
    python_with(PLACE.get_or_init(|| installed(PYTHON_CLIENT)))
}

/// What tries an HTTP API out by its description.
pub fn schemathesis() -> Command {
    static PLACE: OnceLock<PathBuf> = OnceLock::new();
    let place = PLACE.get_or_init(|| installed(SCHEMATHESIS));
    let mut python = python_with(place);
    python.arg(place.join("bin/schemathesis"));
    python
}

fn python_with(place: &Path) -> Command {
    let mut python = Command::new("python3");
    python.env("PYTHONPATH", place);
    python
}

/// Where a package from PyPI is.
fn installed(package: &str) -> PathBuf {
    let place = cache().join(package);
    if !place.exists() {
        // Under its name only when it is whole.
        let half = tempfile::tempdir_in(cache()).unwrap();
        let pip = ["-m", "pip", "install", "--quiet", "--target"];
        let mut pip_install = Command::new("python3");
        pip_install.args(pip).arg(half.path()).arg(package);
        run(
            &mut pip_install,
            "install Python 3.10 or newer with pip: apt-get install python3-pip",
        );
        fs::rename(half.keep(), &place).unwrap();
    }
    place
}

/// The conformance suite's program.
pub fn conformance() -> Command {
    let mut npx = Command::new("npx");
    npx.env("npm_config_cache", cache().join("npm"));
    npx.args(["-y", "-p", NODE, "-p", CONFORMANCE, "conformance"]);
    npx
}

fn run(command: &mut Command, hint: &str) {
    let ran = command.output();
    let ran = ran.unwrap_or_else(|error| panic!("{command:?}: {error}; {hint}"));
    let told = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{command:?}: {told}; {hint}");
}

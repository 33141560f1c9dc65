//! Official clients and the conformance suite, from PyPI and npm, kept below `target/`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The official Python client.
const PYTHON_CLIENT: &str = "mcp==2.3.0";
/// The conformance suite; and a Node that it runs on, where the machine's is older.
const CONFORMANCE: &str = "@modelcontextprotocol/conformance@0.1.16";
const NODE: &str = "node@22";

fn cache() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
}

/// Python with the official client.
pub fn python() -> Command {
    static PLACE: OnceLock<PathBuf> = OnceLock::new();
    let place = PLACE.get_or_init(|| {
        let place = cache().join(PYTHON_CLIENT);
        if !place.exists() {
            // Under its name only when it is whole.
            let half = tempfile::tempdir_in(cache()).unwrap();
            let pip = ["-m", "pip", "install", "--quiet", "--target"];
            let mut pip_install = Command::new("python3");
            pip_install.args(pip).arg(half.path()).arg(PYTHON_CLIENT);
            run(
                &mut pip_install,
                "install Python 3.10 or newer with pip: apt-get install python3-pip",
            );
            fs::rename(half.keep(), &place).unwrap();
        }
        place
    });
    let mut python = Command::new("python3");
    python.env("PYTHONPATH", place);
    python
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

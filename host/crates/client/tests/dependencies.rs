//! What a program compiles that asks a server: no engine, and no database.

use std::process::Command;

/// What must not be in it.
const NEVER: [&str; 8] = [
    "wasmtime",
    "rusqlite",
    "libsqlite3-sys",
    "redis",
    "mortise",
    "mortise-engine",
    "mortise-host",
    "mortise-serve",
];

#[test]
fn a_program_that_asks_a_server_compiles_no_engine() {
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--package", "mortise-client"])
        .args(["--edges", "no-dev", "--target", "all"])
        .args(["--prefix", "none", "--format", "{p}"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&tree.stderr);
    assert!(tree.status.success(), "{errors}");
    let tree = String::from_utf8(tree.stdout).unwrap();
    let packages = tree.lines().filter_map(|line| line.split(' ').next());
    let packages: Vec<_> = packages.collect();
    // It is the tree that is meant.
    for there in ["mortise-client", "mortise-store", "reqwest"] {
        assert!(packages.contains(&there), "{there} is not in {packages:?}");
    }
    for never in NEVER {
        assert!(!packages.contains(&never), "{never} is compiled");
    }
}

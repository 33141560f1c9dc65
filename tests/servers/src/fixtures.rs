//! What other platforms left: `tests/fixtures`.

use std::fs;
use std::path::Path;

/// Copies a fixture, a file or a folder, into a folder.
pub fn copy_fixture(name: &str, to: &Path) {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures");
    copy(&fixtures.join(name), &to.join(name));
}

fn copy(from: &Path, to: &Path) {
    if !from.is_dir() {
        fs::copy(from, to).unwrap();
        return;
    }
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let name = entry.unwrap().file_name();
        copy(&from.join(&name), &to.join(&name));
    }
}

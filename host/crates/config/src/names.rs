//! The names of backends and namespaces, and the files of namespaces.

use std::path::{Path, PathBuf};

/// The namespace of a store that names none.
pub const DEFAULT_NAMESPACE: &str = "default";

/// Whether a backend can have this name: `a-z`, `0-9` and `-`, a letter first, up to 64 bytes. So it can be
/// a URL's scheme and, with `.wasm`, a file's name.
pub fn is_backend_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_lowercase())
        && name
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
        && name.len() <= 64
}

/// The file of a namespace: `tasks.db` itself for `default`, else `tasks+NAME.db` beside it, what could
/// mean something to a file system escaped in the name.
pub fn namespace_file(path: &Path, namespace: &str) -> PathBuf {
    if namespace == DEFAULT_NAMESPACE {
        return path.to_owned();
    }
    let mut escaped = String::new();
    for byte in namespace.bytes() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => escaped.push(char::from(byte)),
            _ => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let name = match path.extension() {
        Some(extension) => format!("{stem}+{escaped}.{}", extension.to_string_lossy()),
        None => format!("{stem}+{escaped}"),
    };
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_leave_the_folder() {
        for name in ["memory", "acme-2"] {
            assert!(is_backend_name(name), "{name}");
        }
        for name in ["", "../evil", "A", "a b", "2go", "a/b", "-x"] {
            assert!(!is_backend_name(name), "{name}");
        }
    }
}

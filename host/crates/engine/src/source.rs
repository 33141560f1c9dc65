//! Where a component was found.

use std::path::PathBuf;

/// Where a component was found.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Source {
    /// The file `NAME.wasm` in the plug-in folder.
    File(PathBuf),
    /// Carried by the program.
    Carried,
}

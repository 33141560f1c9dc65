//! Writes the built-in backends to `FOLDER/NAME.wasm`, and prints the paths.
#![allow(
    clippy::print_stdout,
    reason = "the paths are what the program answers"
)]

use std::path::PathBuf;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let Some(folder) = env::args_os().nth(1).map(PathBuf::from) else {
        return Err(io::Error::other("usage: write FOLDER"));
    };
    fs::create_dir_all(&folder)?;
    for (name, component) in mortise_backends::ALL {
        // A host may be watching the folder: it sees the whole file, or none.
        let path = folder.join(format!("{name}.wasm"));
        let unfinished = folder.join(format!(".{name}.wasm.{}", std::process::id()));
        fs::write(&unfinished, component)?;
        fs::rename(&unfinished, &path)?;
        println!("{}", path.display());
    }
    Ok(())
}

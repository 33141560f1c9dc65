//! Writes the animals of the zoo to `FOLDER/NAME.wasm`, and prints the paths.
#![allow(
    clippy::print_stdout,
    reason = "the paths are what the program answers"
)]

use std::path::PathBuf;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let Some(folder) = env::args_os().nth(1).map(PathBuf::from) else {
        return Err(io::Error::other("usage: write-zoo FOLDER"));
    };
    fs::create_dir_all(&folder)?;
    for (animal, component) in mortise_test_guests::zoo() {
        let path = folder.join(format!("{}.wasm", animal.name()));
        fs::write(&path, component)?;
        println!("{}", path.display());
    }
    Ok(())
}

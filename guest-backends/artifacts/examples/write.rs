//! Writes the built-in backends to `FOLDER/NAME.wasm`, and prints the paths; with the feature
//! `test-guests` those of the tests too, or, as `write FOLDER zoo`, the animals of the zoo alone.
#![allow(
    clippy::print_stdout,
    reason = "the paths are what the program answers"
)]

use std::borrow::Cow;
use std::path::PathBuf;
use std::{env, fs, io};

#[cfg(not(feature = "test-guests"))]
fn components(_zoo: bool) -> Vec<(String, Cow<'static, [u8]>)> {
    named(mortise_backends::ALL)
}

#[cfg(feature = "test-guests")]
fn components(zoo: bool) -> Vec<(String, Cow<'static, [u8]>)> {
    use mortise_backends::test_guests;

    if zoo {
        let animals = test_guests::zoo();
        return animals
            .map(|(animal, bytes)| (animal.name(), bytes.into()))
            .collect();
    }
    let mut all = named(mortise_backends::ALL);
    all.extend(named(test_guests::ALL));
    all
}

fn named(components: &[(&str, &'static [u8])]) -> Vec<(String, Cow<'static, [u8]>)> {
    let named = components.iter();
    named
        .map(|(name, bytes)| (name.to_string(), (*bytes).into()))
        .collect()
}

fn main() -> io::Result<()> {
    let Some(folder) = env::args_os().nth(1).map(PathBuf::from) else {
        return Err(io::Error::other("usage: write FOLDER [zoo]"));
    };
    let zoo = env::args_os().nth(2).is_some_and(|what| what == "zoo");
    fs::create_dir_all(&folder)?;
    for (name, component) in components(zoo) {
        // A host may be watching the folder: it sees the whole file, or none.
        let path = folder.join(format!("{name}.wasm"));
        let unfinished = folder.join(format!(".{name}.wasm.{}", std::process::id()));
        fs::write(&unfinished, component)?;
        fs::rename(&unfinished, &path)?;
        println!("{}", path.display());
    }
    Ok(())
}

//! `mortise plugin new`

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::ValueEnum;
use mortise::is_backend_name;
use serde::Serialize;

use crate::exit_code::CliError;
use crate::output::{Format, Output};

/// Lays down a folder with a small working backend, to start your own from
///
/// The folder has the name of the backend; its README.md tells how to build, test and run it. In json:
/// {"folder":…,"language":…,"files":[…]}.
#[derive(Debug, clap::Args)]
pub struct New {
    /// What the backend is written in
    #[arg(long, value_enum)]
    lang: Language,
    /// For rust, where the crate mortise-guest is: guest-backends/sdk in a checkout of Mortise;
    /// default: in the checkout that this program was built from
    #[arg(long, value_name = "DIR")]
    sdk: Option<PathBuf>,
    /// The backend's name: a-z, 0-9 and -, a letter first
    #[arg(value_parser = backend_name)]
    name: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
enum Language {
    /// Smallest and fastest; needs cargo
    Rust,
    /// Needs python3
    Python,
    /// JavaScript; needs node and npm
    Js,
}

/// A file's path in the folder, and its text.
type TextFile = (&'static str, &'static str);

/// An example of the repository. Its name, wherever it stands in a file, becomes the backend's.
struct Example {
    name: &'static str,
    files: &'static [TextFile],
}

/// Files of a folder of the repository.
macro_rules! files {
    ($folder:literal: $($file:literal),*) => {
        &[$((
            $file,
            include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../", $folder, "/", $file)),
        )),*]
    };
}

const RUST: Example = Example {
    name: "example-rs",
    files: files!("guest-backends/examples/rust-wasip2":
        ".gitignore", "Cargo.toml", "README.md", "src/lib.rs"),
};

const PYTHON: Example = Example {
    name: "example-py",
    files: files!("guest-backends/examples/python":
        ".gitignore", "README.md", "app.py", "in_memory.py", "requirements.txt", "rules.py"),
};

const JS: Example = Example {
    name: "example-js",
    files: files!("guest-backends/examples/javascript":
        ".gitignore", "README.md", "app.js", "in_memory.js", "package.json", "rules.js"),
};

/// In every folder, under `wit/`.
const CONTRACT: &[TextFile] = files!("wit": "host.wit", "store.wit", "types.wit");

/// The crate `mortise-guest` in the checkout that this program was built from.
const SDK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../guest-backends/sdk");
/// The same as the Rust example names it.
const SDK_OF_EXAMPLE: &str = "\"../../sdk\"";

impl New {
    pub fn run(self, output: &mut Output) -> anyhow::Result<()> {
        let files = self.files()?;
        let folder = Path::new(&self.name);
        match fs::create_dir(folder) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let message = format!("{} is there already", self.name);
                let hint = "choose another name, or move it out of the way";
                return Err(CliError::usage(message, hint).into());
            }
            made => made.with_context(|| format!("the folder {} cannot be made", self.name))?,
        }
        for (path, text) in &files {
            write(&folder.join(path), text)?;
        }
        self.tell(&files, output)
    }

    /// What goes into the folder, by path.
    fn files(&self) -> anyhow::Result<Vec<(String, String)>> {
        let example = self.lang.example();
        let sdk = self.sdk()?;
        let (package, library) = (example.name, example.name.replace('-', "_"));
        let own = example.files.iter().map(|(path, text)| {
            let mut text = text
                .replace(package, &self.name)
                .replace(&library, &self.name.replace('-', "_"));
            if let Some(sdk) = &sdk {
                text = text.replace(SDK_OF_EXAMPLE, sdk);
            }
            ((*path).to_owned(), text)
        });
        let contract = CONTRACT
            .iter()
            .map(|(path, text)| (format!("wit/{path}"), (*text).to_owned()));
        Ok(own.chain(contract).collect())
    }

    /// The path of `mortise-guest` as it stands in `Cargo.toml`, quotes included; none where the language
    /// does not use it.
    fn sdk(&self) -> anyhow::Result<Option<String>> {
        if self.lang != Language::Rust {
            if self.sdk.is_some() {
                let hint = "leave --sdk out: no other language uses mortise-guest";
                return Err(CliError::usage("--sdk is for --lang rust", hint).into());
            }
            return Ok(None);
        }
        let folder = self.sdk.as_deref().unwrap_or(Path::new(SDK));
        let sdk = folder
            .canonicalize()
            .ok()
            .filter(|sdk| sdk.join("Cargo.toml").is_file());
        let Some(sdk) = sdk else {
            let message = format!("the crate mortise-guest is not in {}", folder.display());
            let hint = "name guest-backends/sdk in a checkout of Mortise: --sdk DIR";
            return Err(CliError::usage(message, hint).into());
        };
        let sdk = sdk.to_str().with_context(|| {
            format!(
                "{} is no UTF-8, and so cannot stand in Cargo.toml",
                sdk.display()
            )
        })?;
        // A string of JSON is one of TOML.
        Ok(Some(serde_json::to_string(sdk)?))
    }

    fn tell(&self, files: &[(String, String)], output: &mut Output) -> anyhow::Result<()> {
        #[derive(Serialize)]
        struct Report<'a> {
            folder: &'a str,
            language: Language,
            files: Vec<&'a str>,
        }
        let report = Report {
            folder: &self.name,
            language: self.lang,
            files: files.iter().map(|(path, _)| path.as_str()).collect(),
        };
        match output.format() {
            Format::Json => output.json(&report)?,
            Format::Text => {
                for path in &report.files {
                    output.text(format_args!("{}/{path}", self.name))?;
                }
            }
        }
        output.note(format_args!(
            "{}/README.md tells how to build, test and run it",
            self.name
        ));
        Ok(())
    }
}

impl Language {
    fn example(self) -> &'static Example {
        match self {
            Self::Rust => &RUST,
            Self::Python => &PYTHON,
            Self::Js => &JS,
        }
    }
}

fn backend_name(text: &str) -> Result<String, String> {
    if is_backend_name(text) {
        return Ok(text.to_owned());
    }
    Err("expected up to 64 of a-z, 0-9 and -, a letter first".to_owned())
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(path, text))
        .with_context(|| format!("{} cannot be written", path.display()))
}

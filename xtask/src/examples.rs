//! The backends of `guest-backends/examples`, built and tested by the commands of their README files.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::root;
use crate::run::{cargo, has_program, install_targets, target_dir};

/// An example: a folder of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Example {
    Python,
    Javascript,
    RustWasip2,
}

impl Example {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Python, Self::Javascript, Self::RustWasip2];

    /// Its folder's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Python => "python",
            Self::Javascript => "javascript",
            Self::RustWasip2 => "rust-wasip2",
        }
    }

    fn folder(self) -> PathBuf {
        root().join("guest-backends/examples").join(self.name())
    }

    /// What `mortise plugin new --lang` calls it, and the end of the backend's name.
    fn language(self) -> (&'static str, &'static str) {
        match self {
            Self::Python => ("python", "py"),
            Self::Javascript => ("js", "js"),
            Self::RustWasip2 => ("rust", "rs"),
        }
    }

    /// Says what is missing on this machine; installs what rustup can.
    fn require(self) -> Result<()> {
        let (program, install) = match self {
            Self::Python => (
                "python3",
                "install Python 3.10 or newer, with its module venv",
            ),
            Self::Javascript => ("npm", "install Node.js 20 or newer"),
            Self::RustWasip2 => return install_targets(&["wasm32-wasip2"]),
        };
        let (language, _) = self.language();
        ensure!(
            has_program(program),
            "the example in {language} needs {program}: {install}"
        );
        Ok(())
    }
}

/// Those named, or all.
fn chosen(examples: &[Example]) -> &[Example] {
    if examples.is_empty() {
        &Example::ALL
    } else {
        examples
    }
}

/// Builds examples where they are, and copies each component to `target/examples/`.
pub fn build(examples: &[Example]) -> Result<()> {
    let out = root().join("target/examples");
    fs::create_dir_all(&out).with_context(|| format!("{} cannot be made", out.display()))?;
    for example in chosen(examples) {
        example.require()?;
        let folder = example.folder();
        let [build, ..] = &commands(&folder)?[..] else {
            anyhow::bail!(
                "{} has no README.md that tells how to build it",
                folder.display()
            );
        };
        shell(&folder, build, None)?;
        let (_, end) = example.language();
        let file = format!("example-{end}.wasm");
        fs::copy(folder.join(&file), out.join(&file))
            .with_context(|| format!("the build in {} left no {file}", folder.display()))?;
    }
    Ok(())
}

/// From an empty folder to a passing kit, as a user goes: `mortise plugin new`, then all that the
/// README.md in the new folder says.
pub fn test(examples: &[Example]) -> Result<()> {
    cargo(["build", "--package", "mortise-cli"])?;
    let programs = target_dir().join("debug");
    let folder = root().join("target/test-examples");
    if folder.exists() {
        fs::remove_dir_all(&folder)
            .with_context(|| format!("{} cannot be removed", folder.display()))?;
    }
    fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    for example in chosen(examples) {
        example.require()?;
        let (language, end) = example.language();
        let name = format!("fresh-{end}");
        let new = format!("mortise plugin new --lang {language} {name}");
        shell(&folder, &new, Some(&programs))?;
        for commands in commands(&folder.join(&name))? {
            shell(&folder.join(&name), &commands, Some(&programs))?;
        }
    }
    Ok(())
}

/// The blocks of shell commands in a folder's README.md.
fn commands(folder: &Path) -> Result<Vec<String>> {
    let file = folder.join("README.md");
    let text =
        fs::read_to_string(&file).with_context(|| format!("{} cannot be read", file.display()))?;
    Ok(shell_blocks(&text).map(str::to_owned).collect())
}

fn shell_blocks(text: &str) -> impl Iterator<Item = &str> {
    let blocks = text.split("```sh\n").skip(1);
    blocks.filter_map(|block| Some(block.split_once("```")?.0))
}

/// Runs commands in a folder as a user's shell would, with `programs` first on the search path. The first
/// that fails ends them.
fn shell(folder: &Path, commands: &str, programs: Option<&Path>) -> Result<()> {
    let mut command = Command::new("sh");
    command
        .args(["-e", "-x", "-u", "-c", commands])
        .current_dir(folder)
        .env_remove("CARGO_TARGET_DIR");
    if let Some(programs) = programs {
        let mut path = OsString::from(programs);
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or_default());
        command.env("PATH", path);
    }
    let status = command.status().context("sh does not start")?;
    ensure!(
        status.success(),
        "in {}: {status}, from\n{commands}",
        folder.display()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_of_shell_commands_are_found_and_no_others() {
        let text = "a\n```sh\none\ntwo\n```\nb\n```text\nno\n```\n```sh\nthree\n```\n";
        let blocks: Vec<_> = shell_blocks(text).collect();
        assert_eq!(blocks, ["one\ntwo\n", "three\n"]);
    }

    #[test]
    fn every_example_says_how_to_build_test_and_run_it() {
        for example in Example::ALL {
            let commands = commands(&example.folder()).unwrap();
            let (_, end) = example.language();
            assert_eq!(commands.len(), 3, "{end}");
            assert!(commands[0].contains("build") || commands[0].contains("componentize"));
            assert_eq!(
                commands[1],
                format!("mortise plugin test example-{end}.wasm\n")
            );
            assert!(commands[2].contains(&format!("--store example-{end}:")));
        }
    }
}

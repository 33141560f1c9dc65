//! Running cargo, rustup and apt-get.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::root;

/// Cargo in the repository, in the environment that it would have without us.
///
/// `cargo run`, which started us, set variables that tell of our package. Some build scripts are run again when one of
/// those changes, ring's among them: without this, whatever stands on ring would be compiled by `cargo xtask test`, by
/// `cargo test` after it, and so on.
pub fn cargo_command() -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(root());
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(is_of_our_package) {
            command.env_remove(name);
        }
    }
    command
}

/// Whether `cargo run` sets this variable to something about the package that it runs.
fn is_of_our_package(name: &str) -> bool {
    let prefixes = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_"];
    let names = ["CARGO_CRATE_NAME", "CARGO_PRIMARY_PACKAGE", "OUT_DIR"];
    prefixes.iter().any(|prefix| name.starts_with(prefix)) || names.contains(&name)
}

/// Runs cargo in the repository, its output going where ours goes.
pub fn cargo<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Result<()> {
    let mut command = cargo_command();
    command.args(arguments);
    if std::env::var_os("CI").is_some() {
        // Warnings are errors in CI only.
        command.env("RUSTDOCFLAGS", "--deny warnings");
    }
    let status = command.status().context("cargo does not start")?;
    let arguments = command.get_args().map(OsStr::to_string_lossy);
    let arguments: Vec<_> = arguments.collect();
    ensure!(
        status.success(),
        "`cargo {}` failed: {status}",
        arguments.join(" ")
    );
    Ok(())
}

/// Where cargo puts what it builds.
pub fn target_dir() -> PathBuf {
    let folder = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    root().join(folder.unwrap_or_else(|| "target".into()))
}

/// Runs an example that was built before, with one argument.
pub fn example(name: &str, argument: &str) -> Result<()> {
    let mut command = Command::new(target_dir().join("debug/examples").join(name));
    let status = command.arg(argument).current_dir(root()).status();
    let status = status.with_context(|| format!("the example {name} does not start"))?;
    ensure!(status.success(), "the example {name} failed: {status}");
    Ok(())
}

/// Installs the targets that are missing.
pub fn install_targets(targets: &[&str]) -> Result<()> {
    for target in targets {
        if !has_target(target)? {
            let status = Command::new("rustup")
                .args(["target", "add", target])
                .current_dir(root())
                .status()
                .with_context(|| {
                    format!("rustup does not start; install the target {target} by hand")
                })?;
            ensure!(
                status.success(),
                "`rustup target add {target}` failed: {status}"
            );
        }
    }
    Ok(())
}

/// Installs the programs that the tests run, each from the package of its name, where they are missing.
pub fn install_programs(programs: &[&str]) -> Result<()> {
    let missing: Vec<_> = programs
        .iter()
        .copied()
        .filter(|name| !has_program(name))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let command = format!("apt-get install -y {}", missing.join(" "));
    let uid = Command::new("id").arg("-u").output();
    let is_root = uid.is_ok_and(|uid| uid.stdout.trim_ascii() == b"0");
    ensure!(
        is_root && has_program("apt-get"),
        "the tests need {}: install it with `{command}`, or as your system does",
        missing.join(" and ")
    );
    let status = Command::new("apt-get")
        .args(["install", "-y"])
        .args(&missing)
        .status();
    let status = status.with_context(|| format!("`{command}` does not start"))?;
    ensure!(
        status.success(),
        "`{command}` failed: {status}; `apt-get update` may help"
    );
    Ok(())
}

/// Makes a virtual environment with what a list of requirements names, where there is none yet; the Python
/// in it.
pub fn install_python(requirements: &str) -> Result<String> {
    let folder = target_dir().join("peers");
    let python = folder.join("bin/python");
    let wanted = std::fs::read_to_string(root().join(requirements))
        .with_context(|| format!("{requirements} cannot be read"))?;
    // What was installed before is noted beside it, so that another list is installed anew.
    let note = folder.join("requirements.txt");
    if std::fs::read_to_string(&note).is_ok_and(|installed| installed == wanted) {
        return Ok(python.display().to_string());
    }
    let run = |program: &Path, arguments: &[&str]| {
        let mut command = Command::new(program);
        let status = command.args(arguments).current_dir(root()).status();
        let hint = "the benchmark needs python3 with venv and pip";
        let status = status.with_context(|| format!("{command:?} does not start: {hint}"))?;
        ensure!(status.success(), "{command:?} failed: {status}: {hint}");
        Ok(())
    };
    let place = folder.display().to_string();
    run(Path::new("python3"), &["-m", "venv", "--clear", &place])?;
    let install = [
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "-r",
    ];
    run(&python, &[&install[..], &[requirements]].concat())?;
    std::fs::write(&note, wanted)
        .with_context(|| format!("{} cannot be written", note.display()))?;
    Ok(python.display().to_string())
}

/// Whether a program is on the search path.
pub fn has_program(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(name).is_file())
}

fn has_target(target: &str) -> Result<bool> {
    let output = Command::new("rustc")
        .args(["--print", "target-libdir", "--target", target])
        .current_dir(root())
        .output()
        .context("rustc does not start")?;
    let folder = String::from_utf8_lossy(&output.stdout);
    Ok(output.status.success() && Path::new(folder.trim()).is_dir())
}

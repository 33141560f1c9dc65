//! The project's automation: `cargo xtask demo | test | check | house | wit | build-backends |
//! build-examples | test-examples | bench`.

mod arguments;
mod examples;
mod features;
mod house;
mod run;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;

use crate::arguments::Task;
use crate::run::{cargo, example, install_programs, install_python, install_targets};

#[allow(clippy::print_stderr, clippy::print_stdout, reason = "it is a program")]
fn main() -> ExitCode {
    let task = match Task::parse(std::env::args().skip(1)) {
        Ok(Some(task)) => task,
        Ok(None) => {
            print!("{}", arguments::HELP);
            return ExitCode::SUCCESS;
        }
        Err(message) => {
            eprint!("error: {message}\n\n{}", arguments::HELP);
            return ExitCode::from(2);
        }
    };
    match perform(task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn perform(task: Task) -> Result<()> {
    match task {
        Task::Demo => demo(),
        Task::Test(arguments) => test(&arguments),
        Task::Check => check(),
        Task::House => house::check(&root()),
        Task::Wit => wit(),
        Task::BuildBackends => build_backends(),
        Task::BuildExamples(examples) => examples::build(&examples),
        Task::TestExamples(examples) => examples::test(&examples),
        Task::Bench(arguments) => bench(&arguments),
    }
}

/// The repository.
fn root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest
        .parent()
        .expect("xtask is a folder of the repository")
        .to_owned()
}

/// The packages that the demonstration is made of: the library without its features, the built-in backends, and one
/// that misbehaves. No server, no tests.
const DEMO: [&str; 2] = ["mortise", "mortise-backends"];

fn demo() -> Result<()> {
    install_targets(&["wasm32-unknown-unknown"])?;
    let packages = DEMO.iter().flat_map(|package| ["--package", package]);
    let examples = ["write", "demo"].into_iter();
    let examples = examples.flat_map(|example| ["--example", example]);
    cargo(
        ["build", "--quiet"]
            .into_iter()
            .chain(packages)
            .chain(examples),
    )?;
    example("write", "target/backends")?;
    example("demo", "target/backends")
}

fn test(arguments: &[String]) -> Result<()> {
    install_targets(&["wasm32-unknown-unknown", "wasm32-wasip2"])?;
    install_programs(&["redis-server", "openssl"])?;
    wit()?;
    let arguments = arguments.iter().map(String::as_str);
    // All, unless packages are named.
    let named = |argument: &str| argument.starts_with("-p") || argument.starts_with("--package");
    let all = !arguments
        .clone()
        .take_while(|argument| *argument != "--")
        .any(named);
    let workspace = all.then_some("--workspace");
    cargo(["test"].into_iter().chain(workspace).chain(arguments))
}

fn check() -> Result<()> {
    install_targets(&["wasm32-unknown-unknown", "wasm32-wasip2"])?;
    wit()?;
    house::check(&root())?;
    features::check(&root())?;
    cargo(["fmt", "--all", "--check"])?;
    let example = "guest-backends/examples/rust-wasip2/Cargo.toml";
    cargo(["fmt", "--check", "--manifest-path", example])?;
    cargo([
        "clippy",
        "--workspace",
        "--all-targets",
        "--",
        "--deny",
        "warnings",
    ])?;
    cargo([
        "doc",
        "--workspace",
        "--no-deps",
        "--document-private-items",
    ])
}

fn wit() -> Result<()> {
    cargo(["run", "--quiet", "--package", "xtask-wit"])
}

fn build_backends() -> Result<()> {
    install_targets(&["wasm32-unknown-unknown"])?;
    cargo([
        "run",
        "--quiet",
        "--package",
        "mortise-backends",
        "--example",
        "write",
        "--",
        "target/backends",
    ])
}

fn bench(arguments: &[String]) -> Result<()> {
    install_targets(&["wasm32-unknown-unknown"])?;
    install_programs(&["redis-server", "openssl"])?;
    let python = install_python("tests/benches/peers/requirements.txt")?;
    let benchmark = ["bench", "--package", "mortise-costs", "--bench", "costs"];
    let own = ["--", "--python", &python];
    let arguments = arguments.iter().map(String::as_str);
    cargo(benchmark.into_iter().chain(own).chain(arguments))
}

//! The project's automation: `cargo xtask demo | test | check | wit | build-backends |
//! build-examples | test-examples | bench`.

mod examples;
mod run;
mod wit;

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::examples::Example;
use crate::run::{cargo, example, install_programs, install_python, install_targets};

/// Everything that the project does by command.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Builds what is missing and shows the main job on 200 real agent tasks.
    Demo,
    /// Installs what the tests need and runs all of them; arguments go to `cargo test`.
    Test {
        /// For `cargo test`, such as the name of a test.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Format, lints, documentation, the contract: what must be clean before a change lands.
    Check,
    /// Checks that the contract parses, that every item is documented, and that no release changed.
    Wit,
    /// Writes the built-in backends to `target/backends/*.wasm`.
    BuildBackends,
    /// Builds the backends of `guest-backends/examples` and writes them to `target/examples/*.wasm`.
    BuildExamples {
        /// Default: all.
        examples: Vec<Example>,
    },
    /// Lays each example down as `mortise plugin new` does, builds it, and runs the conformance kit on it.
    TestExamples {
        /// Default: all.
        examples: Vec<Example>,
    },
    /// Measures what storage through a component costs, side by side with the same by hand and with what
    /// agent platforms use today; `--help` goes to the benchmark, as all arguments.
    Bench {
        /// For the benchmark: `--quick` ends within a minute.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
}

fn main() -> Result<()> {
    match Arguments::parse().task {
        Task::Demo => demo(),
        Task::Test { arguments } => test(&arguments),
        Task::Check => check(),
        Task::Wit => wit::check(&root()),
        Task::BuildBackends => build_backends(),
        Task::BuildExamples { examples } => examples::build(&examples),
        Task::TestExamples { examples } => examples::test(&examples),
        Task::Bench { arguments } => bench(&arguments),
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

fn demo() -> Result<()> {
    // The demo has a component that misbehaves, which is one of the tests' guests. Built as the tests
    // build it, so that nothing is compiled twice.
    install_targets(&["wasm32-unknown-unknown", "wasm32-wasip2"])?;
    cargo(["build", "--quiet", "--workspace", "--examples"])?;
    example("write", "target/backends")?;
    example("demo", "target/backends")
}

fn test(arguments: &[String]) -> Result<()> {
    install_targets(&["wasm32-unknown-unknown", "wasm32-wasip2"])?;
    install_programs(&["redis-server", "openssl"])?;
    wit::check(&root())?;
    cargo(
        ["test", "--workspace"]
            .into_iter()
            .chain(arguments.iter().map(String::as_str)),
    )
}

fn check() -> Result<()> {
    install_targets(&["wasm32-unknown-unknown", "wasm32-wasip2"])?;
    wit::check(&root())?;
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
    install_targets(&["wasm32-unknown-unknown", "wasm32-wasip2"])?;
    install_programs(&["redis-server", "openssl"])?;
    let python = install_python("tests/benches/peers/requirements.txt")?;
    // Without the command line, which takes long to build and is not measured.
    let benchmark = [
        "bench",
        "--package",
        "mortise",
        "--no-default-features",
        "--features",
        "client,serve",
        "--bench",
        "costs",
        "--",
        "--python",
        &python,
    ];
    let arguments = arguments.iter().map(String::as_str);
    cargo(benchmark.into_iter().chain(arguments))
}

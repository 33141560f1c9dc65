//! The command line, as people and scripts see it.
//!
//! Each test runs the binary in a folder of its own, so that no path of this machine is in what it says.

mod address_space;
mod agents;
mod fallback;
mod importers;
mod log;
mod migrate;
mod moving;
mod new;
mod plugin;
mod quarantine;
mod store;
mod tasks;
mod teal;
mod trust;

use std::fmt::Write as _;
use std::fs;
use std::io::{Read as _, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use insta::assert_snapshot;
use tempfile::TempDir;

const FIXTURE: &str = include_str!("../../../../../tests/fixtures/teal-tasks.jsonl");

/// The command line, in a folder of its own.
struct Cli {
    folder: TempDir,
    store: &'static str,
    variables: Vec<(&'static str, String)>,
}

/// How a run ended.
struct Run {
    code: i32,
    stdout: String,
    stderr: String,
}

impl Cli {
    /// With the store `sqlite:tasks.db`.
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            store: "sqlite:tasks.db",
            variables: Vec::new(),
        }
    }

    /// With 200 tasks in it.
    fn with_fixture() -> Self {
        let cli = Self::new();
        assert_eq!(cli.feed(FIXTURE, "task create").stdout.lines().count(), 200);
        cli
    }

    /// Without a store.
    fn without_store() -> Self {
        Self {
            store: "",
            ..Self::new()
        }
    }

    /// With an environment variable.
    fn set(mut self, name: &'static str, value: impl std::fmt::Display) -> Self {
        self.variables.push((name, value.to_string()));
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn run(&self, arguments: &str) -> Run {
        self.feed("", arguments)
    }

    /// Runs it with this on stdin.
    fn feed(&self, stdin: &str, arguments: &str) -> Run {
        self.feed_bytes(stdin.as_bytes(), arguments)
    }

    fn feed_bytes(&self, stdin: &[u8], arguments: &str) -> Run {
        let mut child = self.start(arguments);
        let mut pipe = child.stdin.take().unwrap();
        let input = stdin.to_owned();
        // Who refuses its input does not read it.
        let feeder = std::thread::spawn(move || drop(pipe.write_all(&input)));
        let output = child.wait_with_output().unwrap();
        feeder.join().unwrap();
        Run {
            code: output.status.code().expect("it was not killed"),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// The program with these arguments, in the folder and with the variables.
    fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mortise"));
        command
            .args(arguments.split_whitespace())
            .current_dir(self.folder.path());
        for name in [
            "MORTISE_CONFIG",
            "MORTISE_PLUGIN_DIR",
            "RUST_LOG",
            "COLUMNS",
        ] {
            command.env_remove(name);
        }
        match self.store {
            "" => command.env_remove("MORTISE_STORE"),
            store => command.env("MORTISE_STORE", store),
        };
        let variables = self.variables.iter().map(|(name, value)| (name, value));
        command.envs(variables);
        command
    }

    fn start(&self, arguments: &str) -> Child {
        let mut command = self.command(arguments);
        let pipes = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        pipes.spawn().unwrap()
    }
}

/// What is left beside the place of a file that was not written to its end.
fn partial_files(cli: &Cli) -> Vec<String> {
    let names = fs::read_dir(cli.folder.path()).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.ends_with(".partial")).collect()
}

/// For snapshots: everything that a caller can see.
impl std::fmt::Display for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "exit code {}", self.code)?;
        for (name, text) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            if !text.is_empty() {
                write!(f, "-- {name}\n{text}")?;
            }
        }
        Ok(())
    }
}

/// A task with one request, named after it.
fn task(id: &str, status: &str) -> String {
    let item = format!(
        r#"{{"task_id":"{id}","request_id":"r-{id}","role":"user","item":{{"content_type":"text","content":"Hello,\n{id}"}},"updated":"2026-01-01T00:00:00"}}"#
    );
    format!(
        r#"{{"task_id":"{id}","session_id":"s-1","user_id":"u-1","items":[{item}],"created_at":"2026-01-01T00:00:00","last_updated":"2026-01-01T00:00:00Z","status":"{status}","extra":1.0}}"#
    )
}

/// Without the blanks that clap leaves at the ends of lines.
fn tidy(help: &str) -> String {
    let lines: Vec<_> = help.trim_end().lines().map(str::trim_end).collect();
    lines.join("\n")
}

#[test]
fn help() {
    let cli = Cli::without_store();
    assert_snapshot!("help_of_all", tidy(&cli.run("--help").to_string()));
    let mut all = String::new();
    for command in [
        "task",
        "task create",
        "task get",
        "task update",
        "task delete",
        "task list",
        "task find",
        "entity",
        "entity save",
        "entity get",
        "entity list",
        "entity delete",
        "entity reset",
        "lifecycle",
        "lifecycle show",
        "lifecycle history",
        "lifecycle event",
        "resume",
        "resume list",
        "resume claim",
        "store",
        "store health",
        "store stats",
        "store clear",
        "store copy",
        "store backup",
        "store restore",
        "store export",
        "store import",
        "store quarantine",
        "store quarantine list",
        "store quarantine show",
        "store quarantine restore",
        "store quarantine drop",
        "migrate",
        "migrate status",
        "migrate plan",
        "migrate apply",
        "migrate rollback",
        "migrate history",
        "plugin",
        "plugin list",
        "plugin inspect",
        "plugin new",
        "plugin test",
        "serve",
        "mcp",
        "restart",
        "restart status",
        "restart history",
        "token",
        "token new",
        "token hash",
    ] {
        let help = cli.run(&format!("{command} --help"));
        assert_eq!((help.code, help.stderr.as_str()), (0, ""), "{command}");
        let own = help.stdout.split("Global options:").next().unwrap();
        writeln!(all, "$ mortise {command} --help\n{}\n", tidy(own)).unwrap();
    }
    assert_snapshot!("help", all);
}

#[test]
fn a_store_that_cannot_be_opened_says_why() {
    let cli = Cli::without_store();
    assert_snapshot!(cli.run("store health"), @r"
    exit code 2
    -- stderr
    error: no store is named
    hint: add --store sqlite:tasks.db, set MORTISE_STORE, or set default-store in mortise.toml
    ");
    assert_snapshot!(cli.run("store health --store tasks"), @r#"
    exit code 9
    -- stderr
    error: configure: no store named "tasks" is configured; known: none
    hint: name a configured store, or write a URL such as sqlite:tasks.db
    "#);
    assert_snapshot!(cli.run("store health --store sqlite://host/tasks.db"), @r#"
    exit code 9
    -- stderr
    error: configure: "sqlite://host/tasks.db" names a host, but a store of sqlite has a file
    hint: write sqlite:tasks.db, or sqlite:/an/absolute/path.db
    "#);
    assert_snapshot!(cli.run("store health --store memory:?deadline=soon"), @r#"
    exit code 9
    -- stderr
    error: configure: deadline: "soon" is no duration, expected one like "250ms" or "5s", in "memory:?deadline=soon"
    "#);
    assert_snapshot!(cli.run("store health --store postgres:tasks"), @r#"
    exit code 9
    -- stderr
    error: configure: "postgres:tasks" names a file, which only sqlite:FILE does
    hint: grant any other backend a database as ?sqlite=FILE
    "#);
    assert_snapshot!(cli.run("store health --store sqlite:"), @r"
    exit code 9
    -- stderr
    error: open (backend sqlite): the component asks for capabilities that it was not granted: sqlite
    hint: grant it in the store's configuration, or in its URL: `?sqlite=…`
    ");
    assert_snapshot!(cli.run("store health --store memory:?colour=red"), @r#"
    exit code 6
    -- stderr
    error: open (backend memory): the call breaks a rule: unknown option \"colour\"; known: max-page-bytes, max-store-bytes
    "#);
    assert_snapshot!(cli.run("store health --store memory: --plugin-dir nowhere"), @r"
    exit code 9
    -- stderr
    error: configure: there is no plug-in folder nowhere
    hint: make it, and put backends into it as NAME.wasm
    ");
    assert_snapshot!(cli.run("store health --store memory: --config nowhere.toml"), @r"
    exit code 9
    -- stderr
    error: configure: nowhere.toml cannot be read
    caused by: No such file or directory (os error 2)
    ");
    fs::write(cli.path("mortise.toml"), "[stores.x]\nbackend = 7\n").unwrap();
    assert_snapshot!(cli.run("store health"), @r"
    exit code 9
    -- stderr
    error: configure: mortise.toml is not understood
    caused by: TOML parse error at line 2, column 11
        |
      2 | backend = 7
        |           ^
      invalid type: integer `7`, expected a string
    ");
}

#[test]
fn the_configuration_names_the_default_store() {
    let cli = Cli::without_store();
    let text = "default-store = 'work'\ncache-dir = 'cache'\n\
                [stores.work]\nbackend = 'sqlite'\nsqlite = { path = 'work.db' }\n\
                [stores.scratch]\nbackend = 'memory'\n";
    fs::write(cli.path("mortise.toml"), text).unwrap();
    assert_snapshot!(cli.run("store health -q"), @r"
    exit code 0
    -- stdout
    healthy: store work, backend sqlite 0.1.0, namespace default, durable, pooled
    ");
    assert_snapshot!(cli.run("store health -q --store scratch"), @r"
    exit code 0
    -- stdout
    healthy: store scratch, backend memory 0.1.0, namespace default, not durable, singleton
    ");
    assert!(
        !cli.path("cache").exists(),
        "machine code was taken from a folder that nobody named"
    );
    fs::rename(cli.path("mortise.toml"), cli.path("other.toml")).unwrap();
    assert_snapshot!(cli.run("store health --config other.toml"), @r#"
    exit code 0
    -- stdout
    healthy: store work, backend sqlite 0.1.0, namespace default, durable, pooled
    "#);
    assert!(cli.path("cache").exists());
}

#[test]
fn a_closed_stdout_ends_it_quietly() {
    let cli = Cli::with_fixture();
    for arguments in [
        "task list --all --format json",
        "store export",
        "task list --all",
        "--help",
    ] {
        let mut child = cli.start(arguments);
        drop(child.stdout.take());
        let mut said = String::new();
        child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut said)
            .unwrap();
        let status = child.wait().unwrap();
        assert_eq!((status.code(), said.as_str()), (Some(0), ""), "{arguments}");
    }
}

#[test]
fn what_is_wrong_with_the_arguments_is_said() {
    let cli = Cli::new();
    assert_snapshot!(cli.run("task list --limit 0"), @r"
    exit code 2
    -- stderr
    error: invalid value '0' for '--limit <N>': 0 is not in 1..18446744073709551615

    For more information, try '--help'.
    ");
    assert_snapshot!(cli.run("task list --all --limit 5"), @r"
    exit code 2
    -- stderr
    error: the argument '--all' cannot be used with '--limit <N>'

    Usage: mortise task list --all --store <URL|NAME>

    For more information, try '--help'.
    ");
    assert_snapshot!(cli.run("task frobnicate"), @r"
    exit code 2
    -- stderr
    error: unrecognized subcommand 'frobnicate'

    Usage: mortise task [OPTIONS] <COMMAND>

    For more information, try '--help'.
    ");
    assert!(
        !cli.path("tasks.db").exists(),
        "a store was opened all the same"
    );
}

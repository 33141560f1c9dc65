//! The command line, as people and scripts see it.
//!
//! Each test runs the binary in a folder of its own, so that no path of this machine is in what it says.

use std::fmt::Write as _;
use std::fs;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use insta::assert_snapshot;
use tempfile::TempDir;

const FIXTURE: &str = include_str!("fixtures/teal-tasks.jsonl");
/// A request that two tasks of the fixture carry.
const SHARED_REQUEST: &str = "1807c658-8cbf-4f73-b207-9c09915b87d9";

/// The command line, in a folder of its own.
struct Cli {
    folder: TempDir,
    store: &'static str,
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
        Self { folder: tempfile::tempdir().unwrap(), store: "sqlite:tasks.db" }
    }

    /// With 200 tasks in it.
    fn with_fixture() -> Self {
        let cli = Self::new();
        assert_eq!(cli.feed(FIXTURE, "task create").stdout.lines().count(), 200);
        cli
    }

    /// Without a store.
    fn without_store() -> Self {
        Self { store: "", ..Self::new() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn run(&self, arguments: &str) -> Run {
        self.feed("", arguments)
    }

    /// Runs it with this on stdin.
    fn feed(&self, stdin: &str, arguments: &str) -> Run {
        let mut child = self.start(arguments);
        let mut pipe = child.stdin.take().unwrap();
        let input = stdin.to_owned();
        // Who refuses its input does not read it.
        let feeder = std::thread::spawn(move || drop(pipe.write_all(input.as_bytes())));
        let output = child.wait_with_output().unwrap();
        feeder.join().unwrap();
        Run {
            code: output.status.code().expect("it was not killed"),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    fn start(&self, arguments: &str) -> Child {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mortise"));
        command.args(arguments.split_whitespace()).current_dir(self.folder.path());
        for name in ["MORTISE_CONFIG", "MORTISE_PLUGIN_DIR", "RUST_LOG", "COLUMNS"] {
            command.env_remove(name);
        }
        match self.store {
            "" => command.env_remove("MORTISE_STORE"),
            store => command.env("MORTISE_STORE", store),
        };
        let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        pipes.spawn().unwrap()
    }
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

#[test]
fn help() {
    let cli = Cli::without_store();
    assert_snapshot!(cli.run("--help"), @"");
    let mut all = String::new();
    for command in [
        "task", "task create", "task get", "task update", "task delete", "task list", "task find",
        "store", "store health", "store stats", "store clear", "store export", "store import",
        "plugin", "plugin list", "plugin inspect",
    ] {
        let help = cli.run(&format!("{command} --help"));
        assert_eq!((help.code, help.stderr.as_str()), (0, ""), "{command}");
        let own = help.stdout.split("Global options:").next().unwrap();
        writeln!(all, "$ mortise {command} --help\n{}\n", own.trim_end()).unwrap();
    }
    assert_snapshot!("help", all);
}

#[test]
fn a_task_is_created_shown_updated_and_deleted() {
    let cli = Cli::new();
    assert_snapshot!(cli.feed(&task("t-1", "Running"), "task create"), @"");
    assert_snapshot!(cli.run("task get t-1"), @"");
    assert_snapshot!(cli.run("task get t-1 --format json"), @"");
    assert_snapshot!(cli.feed(&task("t-1", "Paused"), "task update --revision 1"), @"");
    assert_snapshot!(cli.run("task find --request-id r-t-1 --all"), @"");
    assert_snapshot!(cli.run("task delete t-1 --revision 2 --format json"), @"");
    assert_snapshot!(cli.run("task get t-1"), @"");
    assert_snapshot!(cli.run("task find --request-id r-t-1"), @"");
    assert_snapshot!(cli.run("task delete t-1"), @"");
}

#[test]
fn an_update_of_a_stale_revision_is_a_conflict() {
    let cli = Cli::new();
    cli.feed(&task("t-1", "Running"), "task create");
    assert_snapshot!(cli.feed(&task("t-1", "Paused"), "task update --format json"), @"");
    assert_snapshot!(cli.feed(&task("t-1", "Failed"), "task update - --revision 1"), @"");
    assert_snapshot!(cli.run("task delete t-1 --revision 1"), @"");
    assert!(cli.run("task get t-1").stdout.contains("Paused"));
}

#[test]
fn a_stream_stops_at_the_first_task_that_fails() {
    let cli = Cli::new();
    let stream = [task("a", "Running"), task("b", "Running"), task("a", "Failed"), task("c", "Paused")];
    assert_snapshot!(cli.feed(&stream.join("\n"), "task create"), @"");
    assert_snapshot!(cli.feed(&format!("{}\n{{\"task_id\":1}}", task("d", "Paused")), "task create -"), @"");
    assert_snapshot!(cli.feed("{\"task_id\":", "task create"), @"");
    assert_snapshot!(cli.feed("[]", "task create"), @"");
    assert_snapshot!(cli.run("task create tasks.jsonl"), @"");
    assert_snapshot!(cli.run("task list"), @"");
}

#[test]
fn an_update_takes_exactly_one_task() {
    let cli = Cli::new();
    assert_snapshot!(cli.feed("", "task update"), @"");
    assert_snapshot!(cli.feed(&task("a", "Running").repeat(2), "task update"), @"");
    assert_snapshot!(cli.feed(&task("a", "Running"), "task update"), @"");
}

#[test]
fn real_tasks_come_back_as_they_were() {
    let cli = Cli::with_fixture();
    let list = cli.run("task list --all --format json");
    assert_eq!((list.code, list.stderr.as_str()), (0, ""));
    for ((number, line), listed) in (1..).zip(FIXTURE.lines()).zip(list.stdout.lines()) {
        assert_eq!(listed, format!(r#"{{"revision":{number},"task":{line}}}"#));
    }
    assert_eq!(list.stdout.lines().count(), 200);
    for (status, count) in
        [("Canceled", 18), ("Completed", 94), ("Failed", 22), ("Paused", 25), ("Running", 41), ("Odd", 0)]
    {
        let list = cli.run(&format!("task list --all --status {status} --format json"));
        assert_eq!(list.stdout.lines().count(), count, "{status}");
    }
}

#[test]
fn the_oldest_task_of_a_request_is_found_first() {
    let cli = Cli::with_fixture();
    let find = format!("task find --request-id {SHARED_REQUEST}");
    assert!(cli.run(&find).stdout.starts_with("task          0459d387-cf56-4266-a80a-1564f860cddb\n"));
    assert_snapshot!(cli.run(&format!("{find} --all")), @"");
}

#[test]
fn a_list_goes_on_after_its_cursor() {
    let cli = Cli::with_fixture();
    let mut ids = Vec::new();
    let mut after = String::new();
    loop {
        let list = cli.run(&format!("task list --newest-first --limit 60 --format json {after}"));
        let mut lines: Vec<serde_json::Value> =
            list.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let next = lines.pop_if(|line| line.get("next").is_some());
        ids.extend(lines.iter().map(|line| line["task"]["task_id"].as_str().unwrap().to_owned()));
        let Some(next) = next else { break };
        assert_eq!(lines.len(), 60);
        after = format!("--after {}", next["next"].as_str().unwrap());
    }
    let fixture: Vec<serde_json::Value> =
        FIXTURE.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let expected: Vec<_> =
        fixture.iter().rev().map(|task| task["task_id"].as_str().unwrap()).collect();
    assert_eq!(ids, expected);
    insta::with_settings!({ filters => vec![("--after [0-9a-f]+", "--after [cursor]")] }, {
        assert_snapshot!(cli.run("task list --limit 2"), @"");
    });
    assert_snapshot!(cli.run("task list --limit 1 --after nonsense"), @"");
}

#[test]
fn an_export_of_an_import_is_the_export() {
    let cli = Cli::with_fixture();
    assert_snapshot!(cli.run("store export one.jsonl"), @"");
    assert_snapshot!(cli.run("store import one.jsonl --store sqlite:other.db"), @"");
    let (one, two) = (fs::read_to_string(cli.path("one.jsonl")).unwrap(), cli.run("store export --store sqlite:other.db"));
    assert!(two.stdout == one, "the exports differ");
    assert_eq!(two.stderr, "");
    assert_snapshot!(cli.feed(&one, "store import --format json"), @"");
    assert_snapshot!(cli.run("store stats --store sqlite:other.db"), @"");
    assert_eq!(partial_files(&cli), Vec::<String>::new());
}

/// What an interrupted export leaves beside its place.
fn partial_files(cli: &Cli) -> Vec<String> {
    let names = fs::read_dir(cli.folder.path()).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.ends_with(".partial")).collect()
}

#[test]
fn a_damaged_export_is_refused_by_line() {
    let cli = Cli::with_fixture();
    let export = cli.run("store export").stdout;
    let empty = Cli::new();
    let head = |lines: usize| export.lines().take(lines).map(|line| format!("{line}\n")).collect::<String>();
    assert_snapshot!(empty.feed(&head(3), "store import"), @"");
    assert_snapshot!(empty.feed(&(head(4) + "{\"id\":7}\n"), "store import"), @"");
    assert_snapshot!(empty.feed(FIXTURE, "store import"), @"");
    assert_snapshot!(empty.feed("", "store import"), @"");
    assert_eq!(empty.run("store stats").stdout, "");
    empty.feed(&task("140781fd-9e94-42bf-a6c0-f7bdfd829108", "Paused"), "task create");
    assert_snapshot!(empty.feed(&export, "store import"), @"");
}

#[test]
fn an_export_takes_its_place_only_once_it_is_whole() {
    let cli = Cli::new();
    cli.feed(&task("a", "Running"), "task create");
    assert_snapshot!(cli.run("store export missing/out.jsonl"), @"");
    assert_snapshot!(cli.run("store export ."), @"");
    fs::write(cli.path("out.jsonl"), "what was there").unwrap();
    assert_snapshot!(cli.run("store export out.jsonl --format json"), @"");
    assert!(fs::read_to_string(cli.path("out.jsonl")).unwrap().ends_with("{\"end\":{\"records\":1}}\n"));
    assert_eq!(partial_files(&cli), Vec::<String>::new());
}

#[test]
fn health_counts_and_clear() {
    let cli = Cli::new();
    cli.feed(&(task("a", "Running") + &task("b", "Running")), "task create");
    assert_snapshot!(cli.run("store health"), @"");
    assert_snapshot!(cli.run("store health --format json --store memory:"), @"");
    assert_snapshot!(cli.run("store stats --format json"), @"");
    assert_snapshot!(cli.run("store clear"), @"");
    assert_snapshot!(cli.run("store clear --collection job --yes"), @"");
    assert_snapshot!(cli.run("store clear --yes --format json"), @"");
}

#[test]
fn a_store_that_cannot_be_opened_says_why() {
    let cli = Cli::without_store();
    assert_snapshot!(cli.run("store health"), @"");
    assert_snapshot!(cli.run("store health --store tasks"), @"");
    assert_snapshot!(cli.run("store health --store sqlite://host/tasks.db"), @"");
    assert_snapshot!(cli.run("store health --store memory:?deadline=soon"), @"");
    assert_snapshot!(cli.run("store health --store postgres:tasks"), @"");
    assert_snapshot!(cli.run("store health --store sqlite:"), @"");
    assert_snapshot!(cli.run("store health --store memory:?colour=red"), @"");
    assert_snapshot!(cli.run("store health --store memory: --plugin-dir nowhere"), @"");
    assert_snapshot!(cli.run("store health --store memory: --config nowhere.toml"), @"");
    fs::write(cli.path("mortise.toml"), "[stores.x]\nbackend = 7\n").unwrap();
    assert_snapshot!(cli.run("store health"), @"");
}

#[test]
fn the_configuration_names_the_default_store() {
    let cli = Cli::without_store();
    let text = "default-store = 'work'\ncache-dir = 'cache'\n\
                [stores.work]\nbackend = 'sqlite'\nsqlite = { path = 'work.db' }\n\
                [stores.scratch]\nbackend = 'memory'\n";
    fs::write(cli.path("mortise.toml"), text).unwrap();
    assert_snapshot!(cli.run("store health -q"), @"");
    assert_snapshot!(cli.run("store health -q --store scratch"), @"");
    assert!(!cli.path("cache").exists(), "machine code was taken from a folder that nobody named");
    fs::rename(cli.path("mortise.toml"), cli.path("other.toml")).unwrap();
    assert_snapshot!(cli.run("store health --config other.toml"), @"");
    assert!(cli.path("cache").exists());
}

#[test]
fn components_are_inspected() {
    let cli = Cli::without_store();
    fs::create_dir(cli.path("plugins")).unwrap();
    fs::write(cli.path("plugins/broken.wasm"), "no component").unwrap();
    let probe = mortise_backends::test_guests::ALL.iter().find(|(name, _)| *name == "wasi-probe");
    fs::write(cli.path("plugins/probe.wasm"), probe.unwrap().1).unwrap();
    let filters = vec![("sha256:[0-9a-f]{64}", "sha256:[digest]"), (r"\d+ bytes", "[size] bytes")];
    insta::with_settings!({ filters => filters }, {
        assert_snapshot!(cli.run("plugin inspect sqlite"), @"");
        assert_snapshot!(cli.run("plugin inspect memory"), @"");
    });
    assert_snapshot!(cli.run("plugin list"), @"");
    assert_snapshot!(cli.run("plugin list --plugin-dir plugins"), @"");
    assert_snapshot!(cli.run("plugin list --plugin-dir plugins --format json"), @"");
    assert_snapshot!(cli.run("plugin inspect plugins/broken.wasm"), @"");
    assert_snapshot!(cli.run("plugin inspect plugins/missing.wasm"), @"");
    assert_snapshot!(cli.run("plugin inspect postgres"), @"");
    let probe = cli.run("plugin inspect plugins/probe.wasm");
    assert!(probe.stdout.contains("wasi       yes"), "{probe}");
    assert!(probe.stdout.contains("runs here  yes\n"), "{probe}");
}

/// A component that is none of ours: an empty one.
#[test]
fn a_component_that_would_not_run_says_why() {
    let cli = Cli::without_store();
    fs::write(cli.path("empty.wasm"), b"\0asm\x0d\0\x01\0").unwrap();
    assert_snapshot!(cli.run("plugin inspect empty.wasm"), @"");
    let json = cli.run("plugin inspect empty.wasm --format json").stdout;
    let report: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(report["runs"], false);
    assert_eq!(report["size"], 8);
}

#[test]
fn a_closed_stdout_ends_it_quietly() {
    let cli = Cli::with_fixture();
    for arguments in ["task list --all --format json", "store export", "task list --all", "--help"] {
        let mut child = cli.start(arguments);
        drop(child.stdout.take());
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        let status = child.wait().unwrap();
        assert_eq!((status.code(), said.as_str()), (Some(0), ""), "{arguments}");
    }
}

#[test]
fn a_closed_stdout_does_not_keep_tasks_from_being_created() {
    let cli = Cli::new();
    let mut child = cli.start("task create");
    drop(child.stdout.take());
    child.stdin.take().unwrap().write_all(FIXTURE.as_bytes()).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(cli.run("store stats").stdout.contains("200"));
}

/// Text from a task cannot drive the reader's terminal.
#[test]
fn control_characters_are_shown() {
    let cli = Cli::new();
    let odd = task("odd", "Running").replace("Running", "\\u001b[2J");
    cli.feed(&odd, "task create");
    assert_snapshot!(cli.run("task list"), @"");
    assert!(cli.run("task get odd --format json").stdout.contains("\\u001b[2J"));
}

#[test]
fn what_is_wrong_with_the_arguments_is_said() {
    let cli = Cli::new();
    assert_snapshot!(cli.run("task list --limit 0"), @"");
    assert_snapshot!(cli.run("task list --all --limit 5"), @"");
    assert_snapshot!(cli.run("task frobnicate"), @"");
    assert!(Path::new(env!("CARGO_BIN_EXE_mortise")).is_file());
    assert!(!cli.path("tasks.db").exists(), "a store was opened all the same");
}

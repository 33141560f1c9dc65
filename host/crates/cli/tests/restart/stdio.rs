//! Restarts of a session over stdio: the process stays, and with it the pipes; the program is another one.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use mortise::serve::restart::{Outcome, Phase, Restart, StateDir, Trigger, history};
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use super::process::{PATIENCE, kill, lay_out, replace_program};
use crate::by_hand::{Called, Client, task};

const PHASES: [Phase; 5] = [
    Phase::Start,
    Phase::Drain,
    Phase::Snapshot,
    Phase::Restore,
    Phase::Commit,
];
const STORES: [&str; 2] = ["memory", "disk"];

/// A folder with a program, its configuration and its state.
struct Desk {
    folder: TempDir,
    arguments: Vec<&'static str>,
    hold: Option<Phase>,
}

impl Desk {
    fn new(arguments: &[&'static str], hold: Option<Phase>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        lay_out(folder.path());
        Self {
            folder,
            arguments: arguments.to_vec(),
            hold,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A session that began.
    fn session(&self) -> Client {
        let mut command = Command::new(self.path("mortise"));
        command
            .current_dir(self.folder.path())
            .args(["-v", "mcp", "--state-dir", "state"])
            .args(&self.arguments)
            .stderr(fs::File::create(self.path("log")).unwrap());
        if let Some(phase) = self.hold {
            command.env("MORTISE_RESTART_HOLD", phase.as_str());
        }
        let mut client = Client::spawn(command);
        client.initialize();
        client
    }

    fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap()
    }

    fn restarts(&self) -> Vec<Restart> {
        history(&StateDir::at(self.path("state"))).unwrap()
    }

    /// The restart of this number, once it has an outcome.
    fn ended(&self, number: usize) -> Restart {
        until(|| {
            let restart = self.restarts().into_iter().nth(number - 1)?;
            restart.outcome.is_some().then_some(restart)
        })
    }

    /// Whether all of so many restarts came to an end.
    fn are_over(&self, number: usize) -> bool {
        let restarts = self.restarts();
        restarts.len() == number && restarts.iter().all(|restart| restart.outcome.is_some())
    }

    /// Waits until a restart stays at the end of its phase.
    fn is_held(&self) {
        until(|| {
            let held = self.log().contains("a restart stays");
            held.then_some(())
        });
    }
}

/// What comes of it, as soon as something does.
fn until<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "it does not come");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The process that a process started.
fn child_of(parent: u32) -> u32 {
    let processes = fs::read_dir("/proc").unwrap().map(Result::unwrap);
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let mut children = pids.filter(|pid| {
        let status = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let fields = status
            .rsplit_once(')')
            .map(|(_, rest)| rest.split_whitespace());
        fields.and_then(|mut fields| fields.nth(1)) == Some(&parent.to_string())
    });
    children.next().expect("a child")
}

fn create(client: &mut Client, store: &str, id: &str) {
    let task = task(id, "r-1", "");
    client.ok(
        "create_task",
        &format!(r#"{{"task":{task},"store":"{store}"}}"#),
    );
}

fn load(client: &mut Client, store: &str, id: &str) -> Called {
    client.call(
        "load_task",
        &format!(r#"{{"task_id":"{id}","store":"{store}"}}"#),
    )
}

#[test]
fn a_session_goes_on_in_the_same_process() {
    let desk = Desk::new(&[], None);
    let mut client = desk.session();
    let pid = client.child().id();
    for number in 1..=3 {
        let id = format!("t-{number}");
        for store in STORES {
            create(&mut client, store, &id);
        }
        let ticket = client.ok("restart_server", r#"{"reason":"a test"}"#);
        assert_eq!(ticket["id"], number.to_string());
        let restart = desk.ended(number);
        assert_eq!(restart.outcome, Some(Outcome::Done), "{}", desk.log());
        assert_eq!((restart.from, restart.to), (pid, Some(pid)));
        assert_eq!(restart.request.trigger, Trigger::Tool);
        assert_eq!(restart.request.by, "by hand");
        let phases = restart.phases.iter().map(|entry| entry.phase);
        assert_eq!(phases.collect::<Vec<_>>(), PHASES);
        for store in STORES {
            for earlier in 1..=number {
                let loaded = load(&mut client, store, &format!("t-{earlier}"));
                assert!(!loaded.failed, "{store}: {loaded:?}");
            }
        }
        let status = client.ok("restart_status", "{}");
        assert_eq!(status["phase"], "serving", "{status}");
        assert_eq!(status["last"]["succeeded"], true, "{status}");
        assert_eq!(client.events(), ["restart-ahead", "restarted"]);
    }
    assert_eq!(client.child().id(), pid);
    assert_eq!(client.end(), Some(0));
}

#[test]
fn what_a_client_sends_without_waiting_is_answered_once() {
    const RESTARTS: usize = 4;
    const LAST: u64 = 0;
    const FIRST: u64 = 1_000;
    let desk = Desk::new(&["--restart-max", "100"], None);
    let mut client = desk.session();
    let pid = client.child().id();
    // All of it fits into the pipe or waits there: nobody reads on while the program changes.
    let mut writer = client.take_stdin();
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let writing = std::thread::spawn(move || {
        let mut next = FIRST;
        while !stopped.load(Ordering::Relaxed) {
            let task = task(&format!("t-{next}"), "r", "");
            let line = format!(
                r#"{{"jsonrpc":"2.0","id":{next},"method":"tools/call","params":{{"name":"create_task","arguments":{{"task":{task},"store":"memory"}}}}}}"#
            );
            writeln!(writer, "{line}").unwrap();
            next += 1;
        }
        // Whoever reads its answer knows that there is nothing after it.
        writeln!(writer, r#"{{"jsonrpc":"2.0","id":{LAST},"method":"ping"}}"#).unwrap();
        (writer, FIRST..next)
    });
    let mut ids = Vec::new();
    let mut answer = |client: &mut Client| {
        let message = client.next();
        match message["id"].as_u64() {
            Some(LAST) => return None,
            Some(id) => {
                assert!(!Called::read(&message).failed, "{message}");
                ids.push(id);
            }
            None => assert_eq!(message["method"], "notifications/message"),
        }
        Some(ids.len() as u64)
    };
    let mut restarts = 0;
    while restarts < RESTARTS || !desk.are_over(restarts) {
        if desk.are_over(restarts) {
            kill(pid, Signal::HUP);
            restarts += 1;
            until(|| (desk.restarts().len() == restarts).then_some(()));
        }
        answer(&mut client);
    }
    stop.store(true, Ordering::Relaxed);
    let mut answered = 0;
    while let Some(count) = answer(&mut client) {
        answered = count;
    }
    let (writer, sent) = writing.join().unwrap();
    while answered < sent.end - FIRST {
        answered = answer(&mut client).unwrap();
    }
    ids.sort_unstable();
    assert_eq!(ids, sent.clone().collect::<Vec<_>>());
    client.give_back(writer);
    for number in 1..=restarts {
        let restart = desk.ended(number);
        assert_eq!(restart.outcome, Some(Outcome::Done), "{}", desk.log());
        assert_eq!(restart.request.trigger, Trigger::Signal);
    }
    let mut listed = 0;
    let mut cursor = String::new();
    loop {
        let arguments = format!(r#"{{"store":"memory","limit":100{cursor}}}"#);
        let page = client.ok("list_tasks", &arguments);
        listed += page["tasks"].as_array().unwrap().len() as u64;
        match &page["next"] {
            Value::String(next) => cursor = format!(r#","after":"{next}""#),
            _ => break,
        }
    }
    assert_eq!(listed, sent.end - FIRST);
}

#[test]
fn a_program_that_cannot_go_on_leaves_the_one_that_serves() {
    let desk = Desk::new(
        &["--restart-start-deadline", "2s", "--restart-max", "100"],
        None,
    );
    let config = fs::read_to_string(desk.path("mortise.toml")).unwrap();
    let program = fs::read_link(desk.path("mortise")).unwrap();
    let mut client = desk.session();
    for store in STORES {
        create(&mut client, store, "t-1");
    }
    let broken = [
        (
            "#!/bin/sh\necho no message\nexit 3\n",
            0o755,
            "ended: exit status: 3",
        ),
        (
            "#!/bin/sh\nexec sleep 100\n",
            0o755,
            "does not report Warm within 2s",
        ),
        ("no program", 0o644, "does not start"),
    ];
    let mut number = 0;
    let mut serves_on = |client: &mut Client, expected: &str| {
        client.ok("restart_server", r#"{"reason":"a test"}"#);
        number += 1;
        let restart = desk.ended(number);
        let Some(Outcome::GivenUp(why)) = restart.outcome else {
            panic!("{restart:?}")
        };
        assert!(why.contains(expected), "{why}");
        for store in STORES {
            assert!(!load(client, store, "t-1").failed);
        }
    };
    for (text, mode, expected) in broken {
        replace_program(desk.folder.path(), text, mode);
        serves_on(&mut client, expected);
        // It came to nothing before calls had to wait.
        until(|| {
            client.ok("restart_status", "{}");
            (client.events().last()? == "restart-failed").then_some(())
        });
    }
    fs::remove_file(desk.path("mortise")).unwrap();
    std::os::unix::fs::symlink(program, desk.path("mortise")).unwrap();
    let renamed = config.replace("[stores.memory]", "[stores.other]");
    fs::write(desk.path("mortise.toml"), renamed).unwrap();
    serves_on(&mut client, "has the records of store memory");
    fs::write(desk.path("mortise.toml"), config).unwrap();
    client.ok("restart_server", r#"{"reason":"a test"}"#);
    assert_eq!(desk.ended(5).outcome, Some(Outcome::Done), "{}", desk.log());
    assert!(!load(&mut client, "memory", "t-1").failed);
}

#[test]
fn the_process_that_shows_what_it_can_is_killed_and_the_session_goes_on() {
    for phase in PHASES {
        let desk = Desk::new(&[], Some(phase));
        let mut client = desk.session();
        create(&mut client, "memory", "t-1");
        client.ok("restart_server", r#"{"reason":"a test"}"#);
        desk.is_held();
        let shows = child_of(client.child().id());
        kill(shows, Signal::KILL);
        let restart = desk.ended(1);
        let Some(Outcome::GivenUp(why)) = &restart.outcome else {
            panic!("{phase}: {restart:?}")
        };
        assert!(why.contains("signal: 9"), "{phase}: {why}");
        assert!(!load(&mut client, "memory", "t-1").failed, "{phase}");
        assert!(!desk.path("state/restart.snapshot").exists(), "{phase}");
    }
}

#[test]
fn the_process_is_killed_and_the_next_session_finds_what_was_there() {
    for phase in PHASES {
        let desk = Desk::new(&[], Some(phase));
        let mut client = desk.session();
        for store in STORES {
            create(&mut client, store, "t-1");
        }
        client.ok("restart_server", r#"{"reason":"a test"}"#);
        desk.is_held();
        let pid = client.child().id();
        client.child().kill().unwrap();
        client.child().wait().unwrap();
        // What the client of a server does that is gone: it begins again.
        let mut client = desk.session();
        assert!(!load(&mut client, "disk", "t-1").failed, "{phase}");
        let kept = !load(&mut client, "memory", "t-1").failed;
        assert_eq!(kept, phase >= Phase::Snapshot, "{phase}: {}", desk.log());
        let restart = desk.ended(1);
        let Some(Outcome::Interrupted(what)) = &restart.outcome else {
            panic!("{phase}: {restart:?}")
        };
        let expected = format!("process {pid} ended in phase {phase}");
        assert!(what.contains(&expected), "{phase}: {what}");
        assert!(client.events().is_empty(), "{phase}");
    }
}

#[test]
fn the_command_waits_for_what_comes_of_it() {
    let desk = Desk::new(&[], None);
    let mut client = desk.session();
    let mut command = Command::new(desk.path("mortise"));
    command.args(["restart", "--reason", "a test", "--state-dir"]);
    let asked = command.arg(desk.path("state")).output().unwrap();
    assert!(asked.status.success(), "{asked:?}");
    let restart = desk.ended(1);
    assert_eq!(restart.outcome, Some(Outcome::Done), "{}", desk.log());
    assert_eq!(restart.request.trigger, Trigger::Command);
    client.ok("list_stores", "{}");
}

#[test]
fn a_folder_of_its_own_is_gone_with_the_session() {
    let desk = Desk::new(&[], None);
    let mut command = Command::new(desk.path("mortise"));
    command.current_dir(desk.folder.path()).arg("mcp");
    command.env("XDG_STATE_HOME", desk.path("home"));
    let mut client = Client::spawn(command);
    client.initialize();
    create(&mut client, "memory", "t-1");
    client.ok("restart_server", r#"{"reason":"a test"}"#);
    until(|| {
        let status = client.ok("restart_status", "{}");
        (status["last"]["succeeded"] == true).then_some(())
    });
    assert!(!load(&mut client, "memory", "t-1").failed);
    assert_eq!(fs::read_dir(desk.path("home/mortise")).unwrap().count(), 1);
    assert_eq!(client.end(), Some(0));
    assert_eq!(fs::read_dir(desk.path("home/mortise")).unwrap().count(), 0);
}

//! A process that never outlives the test process.
//!
//! A shell starts it and waits on a pipe that only the test process holds open. When the pipe closes,
//! because the test is done, panicked, or was killed, the shell kills its child with SIGKILL, and
//! removes the folder unless it was told to keep it. The child is the shell's own, so that its id cannot
//! have been given to another process meanwhile.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::poll;

/// `$1` is the folder, the rest the command. A terminal's signals go to the test process alone.
const WATCH: &str = r#"
trap '' HUP INT TERM
folder=$1
shift
exec 3<&0
"$@" </dev/null >>"$folder/log" 2>&1 3<&- &
child=$!
{ read -r word <&3; kill -KILL $child; [ "$word" = keep ]; } >/dev/null 2>&1 &
watch=$!
echo $child
wait $child
: >"$folder/ended"
wait $watch || rm -rf "$folder"
"#;

/// A running process, its folder, and the log in it.
pub struct Process {
    shell: Child,
    pid: u32,
    folder: PathBuf,
}

impl Process {
    /// Starts a program in a folder that it has for itself.
    ///
    /// # Panics
    ///
    /// If the program is not installed.
    pub fn start(folder: &Path, program: &str, arguments: &[String]) -> Self {
        let path = std::env::var_os("PATH").unwrap_or_default();
        assert!(
            std::env::split_paths(&path).any(|folder| folder.join(program).is_file()),
            "{program} is not installed: apt-get install {program}"
        );
        let _ = fs::remove_file(folder.join("ended"));
        let mut shell = Command::new("sh")
            .args(["-c", WATCH, "sh"])
            .arg(folder)
            .arg(program)
            .args(arguments)
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(shell.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        Self {
            shell,
            pid: line.trim().parse().expect("the shell names its child"),
            folder: folder.to_owned(),
        }
    }

    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Whether it ended by itself.
    pub fn has_ended(&self) -> bool {
        self.folder.join("ended").exists()
    }

    /// What it said so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    /// Takes it off the processor (SIGSTOP).
    pub fn stop(&self) {
        self.signal("-STOP");
        // The signal is sent, but may not be delivered yet.
        poll("the process to stop", || {
            let Ok(stat) = fs::read_to_string(format!("/proc/{}/stat", self.pid)) else {
                return Some(()); // Not on Linux.
            };
            let state = stat.rsplit(')').next().unwrap_or_default();
            state.trim_start().starts_with('T').then_some(())
        });
    }

    /// Lets it go on (SIGCONT).
    pub fn cont(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let pid = self.pid.to_string();
        let status = Command::new("kill").args([signal, &pid]).status().unwrap();
        assert!(status.success(), "kill {signal} {pid}: {status}");
    }

    /// Kills it (SIGKILL), and keeps its folder.
    pub fn kill(mut self) {
        // Nobody reads it if the shell was killed from outside.
        let _ = self.shell.stdin.as_mut().unwrap().write_all(b"keep\n");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
    }
}

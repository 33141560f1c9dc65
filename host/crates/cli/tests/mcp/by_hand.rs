//! `mortise mcp` and a client that writes its lines by hand.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

/// What a client says first.
pub const INITIALIZE: &str = r#"{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"by hand","version":"1"}}"#;

/// A session with the binary.
pub struct Client {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
    last_id: u64,
    /// What the server told without having been asked.
    notices: Vec<Value>,
}

/// How a tool's call ended.
#[derive(Debug)]
pub struct Called {
    /// Whether it failed.
    pub failed: bool,
    /// Its text, which is JSON.
    pub text: String,
    /// The same as a value.
    pub structured: Value,
}

impl Client {
    /// A session that did not begin yet, in a folder.
    pub fn start(folder: &Path, arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mortise"));
        command.arg("mcp").args(arguments).current_dir(folder);
        Self::spawn(command)
    }

    /// A session that did not begin yet, with the program that a command starts.
    pub fn spawn(mut command: Command) -> Self {
        for name in ["MORTISE_CONFIG", "MORTISE_PLUGIN_DIR", "MORTISE_STORE"] {
            command.env_remove(name);
        }
        let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = pipes.spawn().unwrap();
        Self {
            stdin: child.stdin.take(),
            stdout: BufReader::new(child.stdout.take().unwrap()),
            child,
            last_id: 0,
            notices: Vec::new(),
        }
    }

    /// A session that began.
    pub fn initialized(folder: &Path, arguments: &[&str]) -> Self {
        let mut client = Self::start(folder, arguments);
        client.initialize();
        client
    }

    pub fn initialize(&mut self) -> Value {
        let about = self.request("initialize", INITIALIZE)["result"].take();
        self.line(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
        about
    }

    /// For who writes lines of its own, from another thread.
    pub fn take_stdin(&mut self) -> ChildStdin {
        self.stdin.take().unwrap()
    }

    pub fn give_back(&mut self, stdin: ChildStdin) {
        self.stdin = Some(stdin);
    }

    pub fn line(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().unwrap();
        writeln!(stdin, "{line}").unwrap();
    }

    /// The next message of the server.
    pub fn next(&mut self) -> Value {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
    }

    /// The answer to a request.
    pub fn request(&mut self, method: &str, params: &str) -> Value {
        self.last_id += 1;
        let id = self.last_id;
        self.line(&format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{params}}}"#
        ));
        loop {
            let message = self.next();
            if message["method"] == "notifications/message" {
                self.notices.push(message["params"]["data"].clone());
                continue;
            }
            assert_eq!(message["id"], json!(id), "{message}");
            return message;
        }
    }

    /// The events that the server told of since this was asked last, as far as they came before an answer.
    pub fn events(&mut self) -> Vec<String> {
        let notices = self.notices.drain(..);
        let events = notices.map(|notice| notice["event"].as_str().unwrap().to_owned());
        events.collect()
    }

    /// Calls a tool with arguments as they are written.
    pub fn call(&mut self, tool: &str, arguments: &str) -> Called {
        let params = format!(r#"{{"name":"{tool}","arguments":{arguments}}}"#);
        Called::read(&self.request("tools/call", &params))
    }

    /// What a call answers that succeeds.
    pub fn ok(&mut self, tool: &str, arguments: &str) -> Value {
        let called = self.call(tool, arguments);
        assert!(!called.failed, "{tool} {arguments}: {called:?}");
        called.structured
    }

    /// The problem of a call that fails, after a look at its kind.
    pub fn fails(&mut self, tool: &str, arguments: &str, kind: &str) -> Value {
        let called = self.call(tool, arguments);
        assert!(called.failed, "{tool} {arguments}: {called:?}");
        let problem = called.structured;
        assert_eq!(problem["kind"], kind, "{tool} {arguments}: {problem}");
        assert_eq!(problem["type"], format!("urn:mortise:problem:{kind}"));
        problem
    }

    /// Closes stdin; the exit code.
    pub fn end(mut self) -> Option<i32> {
        drop(self.stdin.take());
        self.child.wait().unwrap().code()
    }

    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // Where it ended already there is nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Called {
    pub fn read(answer: &Value) -> Self {
        let result = &answer["result"];
        let text = result["content"][0]["text"].as_str();
        let text = text.unwrap_or_else(|| panic!("no text in {answer}"));
        let structured = result["structuredContent"].clone();
        Self {
            failed: result["isError"].as_bool().unwrap(),
            text: text.to_owned(),
            structured,
        }
    }
}

/// A task as JSON.
pub fn task(id: &str, request: &str, more: &str) -> String {
    format!(
        r#"{{"task_id":"{id}","session_id":"s-1","user_id":"u-1","items":[{{"task_id":"{id}","request_id":"{request}","role":"user","item":{{"content_type":"text","content":"hi"}},"updated":"2026-01-01T00:00:00Z"}}],"created_at":"2026-01-01T00:00:00Z","last_updated":"2026-01-01T00:00:00Z","status":"Running"{more}}}"#
    )
}

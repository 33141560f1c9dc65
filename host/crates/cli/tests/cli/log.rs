//! A log that cannot be written: its disk is full, or its reader is gone.

use std::fs::File;
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::Cli;

/// The program in the folder, with a stderr on which every write fails.
fn without_log(cli: &Cli, store: &str, arguments: &str) -> Command {
    let mut command = cli.command(&format!("--store {store} -vvv {arguments}"));
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(File::options().write(true).open("/dev/full").unwrap());
    command
}

fn code(mut command: Command) -> Option<i32> {
    command.status().unwrap().code()
}

#[test]
fn a_command_does_what_it_was_asked_and_exits_as_ever() {
    let cli = Cli::without_store();
    let store = "sqlite:tasks.db";
    assert_eq!(code(without_log(&cli, store, "store stats")), Some(0));
    let nobody = "http://127.0.0.1:1/tasks";
    assert_eq!(code(without_log(&cli, nobody, "store health")), Some(7));
}

#[test]
fn a_server_goes_on_answering() {
    let cli = Cli::without_store();
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let serve = format!("serve --listen {address} --state-dir state");
    let mut server = without_log(&cli, "memory:", &serve).spawn().unwrap();
    let url = format!("http://{address}/memory");
    let deadline = Instant::now() + Duration::from_secs(60);
    while code(without_log(&cli, &url, "store health")) != Some(0) {
        let ended = server.try_wait().unwrap();
        assert!(ended.is_none(), "the server ended: {ended:?}");
        assert!(Instant::now() < deadline, "the server does not answer");
        std::thread::sleep(Duration::from_millis(100));
    }
    server.kill().unwrap();
    server.wait().unwrap();
}

//! `mortise token`, as operators see it.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use insta::assert_snapshot;
use mortise::serve::Token;
use mortise::{Config, Namespaces, Permission, TokenConfig};

/// How a run ended.
struct Run {
    code: i32,
    stdout: String,
    stderr: String,
}

/// Runs `mortise token` in a folder with this on stdin.
fn run_in(folder: &Path, arguments: &[&str], stdin: &str) -> Run {
    let mut child = Command::new(env!("CARGO_BIN_EXE_mortise"))
        .arg("token")
        .args(arguments)
        .current_dir(folder)
        .env_remove("MORTISE_CONFIG")
        .env_remove("RUST_LOG")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Who takes no input may have ended by now.
    let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
    let output = child.wait_with_output().unwrap();
    Run {
        code: output.status.code().unwrap(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

fn run(arguments: &[&str], stdin: &str) -> Run {
    run_in(tempfile::tempdir().unwrap().path(), arguments, stdin)
}

/// What the lines say, once they are pasted.
fn pasted(lines: &str) -> TokenConfig {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mortise.toml");
    std::fs::write(&file, lines).unwrap();
    let mut tokens = Config::from_file(&file).unwrap().serve.tokens;
    assert_eq!(tokens.len(), 1);
    tokens.remove(0)
}

fn new(more: &[&str]) -> Run {
    let arguments = [
        "new",
        "--name",
        "ci",
        "--namespace",
        "acme",
        "--may",
        "read,write",
    ];
    run(&[&arguments, more].concat(), "")
}

#[test]
fn a_new_token_is_shown_once_and_its_hash_is_pasted() {
    let made = new(&[]);
    assert_eq!(made.code, 0, "{}", made.stderr);
    let token: Token = made.stdout.trim_end().parse().unwrap();
    assert_eq!(made.stdout, format!("{}\n", token.reveal()));
    assert!(!made.stderr.contains(token.reveal()));
    let hash = token.sha256().to_string();
    assert_snapshot!(made.stderr.replace(&hash, "HASH"), @r##"
    # for mortise.toml; the token itself is shown this once, and kept nowhere
    [[serve.tokens]]
    name = "ci"
    sha256 = "HASH"
    namespaces = ["acme"]
    may = ["read", "write"]
    "##);
    let config = pasted(&made.stderr);
    assert_eq!(config.sha256, token.sha256());
    let hashed = run(&["hash"], &made.stdout);
    assert_eq!((hashed.code, hashed.stdout), (0, format!("{hash}\n")));
}

#[test]
fn a_program_gets_both_in_one_object() {
    let arguments = ["--expires-in", "90d", "--format", "json"];
    let before = jiff::Timestamp::now().as_second();
    let made = new(&arguments);
    assert_eq!((made.code, made.stderr.as_str()), (0, ""));
    let object: serde_json::Value = serde_json::from_str(&made.stdout).unwrap();
    let token: Token = object["token"].as_str().unwrap().parse().unwrap();
    assert_eq!(object["sha256"], token.sha256().to_string());
    let config = pasted(object["config"].as_str().unwrap());
    let expected = TokenConfig::new(
        "ci",
        token.sha256(),
        Namespaces::named(["acme"]).unwrap(),
        [Permission::Read, Permission::Write],
        config.expires_at,
    );
    assert_eq!(config, expected.unwrap());
    let lives = config.expires_at.unwrap() / 1000 - before as u64;
    assert!((90 * 86_400..=90 * 86_400 + 60).contains(&lives), "{lives}");
    let hashed = run(&["hash", "--format", "json"], token.reveal());
    let hashed: serde_json::Value = serde_json::from_str(&hashed.stdout).unwrap();
    assert_eq!(hashed["sha256"], object["sha256"]);
}

#[test]
fn a_token_is_made_where_the_configuration_waits_for_one() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mortise.toml");
    std::fs::write(&file, "[serve]\nlisten = \"0.0.0.0:7337\"\n").unwrap();
    assert!(Config::from_file(&file).is_err());
    let arguments = ["new", "--name", "ops", "--may", "operate"];
    let made = run_in(folder.path(), &arguments, "");
    assert_eq!(made.code, 0, "{}", made.stderr);
    let config = pasted(&made.stderr);
    assert_eq!(config.namespaces, Namespaces::default());
}

#[test]
fn what_lets_nobody_in_is_refused() {
    let mut all = String::new();
    for arguments in [
        &["new", "--name", "ci", "--may", "read"][..],
        &["new", "--name", "c i", "--may", "operate"],
        &["new", "--name", "ci", "--may", "admin"],
        &[
            "new",
            "--name",
            "ci",
            "--may",
            "read",
            "--namespace",
            "*",
            "--namespace",
            "a",
        ],
        &[
            "new",
            "--name",
            "ci",
            "--may",
            "operate",
            "--expires-in",
            "soon",
        ],
        &[
            "new",
            "--name",
            "ci",
            "--may",
            "operate",
            "--expires-in",
            "-1d",
        ],
        &[
            "new",
            "--name",
            "ci",
            "--may",
            "operate",
            "--expires-in",
            "9000y",
        ],
    ] {
        let refused = run(arguments, "");
        assert_eq!(refused.stdout, "");
        all += &format!("exit code {}\n{}\n", refused.code, refused.stderr);
    }
    assert_snapshot!(all, @r#"
    exit code 9
    error: configure: the token "ci" allows to read or write, but in no namespace
    hint: write namespaces = ["default"], or "*" for every one

    exit code 9
    error: configure: "c i" is no name of a token: it has 1 to 64 of a-z, A-Z, 0-9, -, _ and .

    exit code 2
    error: invalid value 'admin' for '--may <MAY>'
      [possible values: read, write, operate]

    For more information, try '--help'.

    exit code 9
    error: configure: namespaces has "*" among others, expected it alone: it stands for every one

    exit code 2
    error: invalid value 'soon' for '--expires-in <TIME>': "soon" is no time, expected one like "90d" or "12h"

    For more information, try '--help'.

    exit code 2
    error: invalid value '-1d' for '--expires-in <TIME>': "-1d" is not ahead, expected one like "90d"

    For more information, try '--help'.

    exit code 2
    error: the token would expire after the year 9999
    hint: leave --expires-in out: it is then valid for ever
    "#);
}

#[test]
fn what_is_no_token_is_not_hashed() {
    for stdin in ["", "hunter2\n", "mortise_secret\n", "\u{0}"] {
        let refused = run(&["hash"], stdin);
        assert_eq!(
            (refused.code, refused.stdout.as_str()),
            (6, ""),
            "{stdin:?}"
        );
        assert_eq!(
            refused.stderr,
            "error: stdin\n\
             caused by: configure: this is no token, expected mortise_ and 43 characters of base64url\n\
             hint: make one with `mortise token new`\n"
        );
    }
}

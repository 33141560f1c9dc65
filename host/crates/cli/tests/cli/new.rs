//! `mortise plugin new`. That what it lays down can be built and keeps the contract is seen by `cargo xtask
//! test-examples`, which needs Python and Node.js.

use std::fs;

use insta::assert_snapshot;

use super::{Cli, Run};

/// The text of every file that a run has laid down, by the path that it printed.
fn laid_down(cli: &Cli, run: &Run) -> Vec<(String, String)> {
    let paths = run.stdout.lines();
    paths
        .map(|path| (path.to_owned(), fs::read_to_string(cli.path(path)).unwrap()))
        .collect()
}

#[test]
fn each_language_has_its_files() {
    let cli = Cli::without_store();
    assert_snapshot!(cli.run("plugin new --lang rust acme-rust"), @r"
    exit code 0
    -- stdout
    acme-rust/.gitignore
    acme-rust/Cargo.toml
    acme-rust/README.md
    acme-rust/src/lib.rs
    acme-rust/wit/host.wit
    acme-rust/wit/store.wit
    acme-rust/wit/types.wit
    -- stderr
    acme-rust/README.md tells how to build, test and run it
    ");
    assert_snapshot!(cli.run("plugin new --lang python acme-python"), @r"
    exit code 0
    -- stdout
    acme-python/.gitignore
    acme-python/README.md
    acme-python/app.py
    acme-python/in_memory.py
    acme-python/requirements.txt
    acme-python/rules.py
    acme-python/wit/host.wit
    acme-python/wit/store.wit
    acme-python/wit/types.wit
    -- stderr
    acme-python/README.md tells how to build, test and run it
    ");
    assert_snapshot!(cli.run("plugin new --lang js acme-js --format json"), @r#"
    exit code 0
    -- stdout
    {"folder":"acme-js","language":"js","files":[".gitignore","README.md","app.js","in_memory.js","package.json","rules.js","wit/host.wit","wit/store.wit","wit/types.wit"]}
    -- stderr
    acme-js/README.md tells how to build, test and run it
    "#);
}

#[test]
fn the_name_stands_wherever_the_examples_stood() {
    let cli = Cli::without_store();
    for language in ["rust", "python", "js"] {
        let name = format!("acme-{language}");
        let run = cli.run(&format!("plugin new --lang {language} {name}"));
        for (path, text) in laid_down(&cli, &run) {
            for example in ["example-", "example_"] {
                assert!(!text.contains(example), "{path} is named after the example");
            }
            let contract = path.contains("/wit/");
            assert!(
                !contract || text.contains("package mortise:persistence@"),
                "{path}"
            );
        }
        let readme = fs::read_to_string(cli.path(&name).join("README.md")).unwrap();
        assert!(
            readme.contains(&format!("mortise plugin test {name}.wasm")),
            "{readme}"
        );
    }
    let readme = fs::read_to_string(cli.path("acme-rust/README.md")).unwrap();
    assert!(
        readme.contains("release/acme_rust.wasm acme-rust.wasm"),
        "{readme}"
    );
    let app = fs::read_to_string(cli.path("acme-python/app.py")).unwrap();
    assert!(app.contains("name=\"acme-python\""), "{app}");
    let app = fs::read_to_string(cli.path("acme-js/app.js")).unwrap();
    assert!(app.contains("name: 'acme-js'"), "{app}");
}

#[test]
fn rust_finds_the_sdk() {
    let cli = Cli::without_store();
    let sdk = format!("{}/../../../guest-backends/sdk", env!("CARGO_MANIFEST_DIR"));
    let sdk = fs::canonicalize(sdk).unwrap();
    for (name, option) in [
        ("acme", String::new()),
        ("acme-2", format!(" --sdk {}", sdk.display())),
    ] {
        cli.run(&format!("plugin new --lang rust {name}{option}"));
        let manifest = fs::read_to_string(cli.path(name).join("Cargo.toml")).unwrap();
        let wanted = format!("mortise-guest = {{ path = {:?} }}", sdk.to_str().unwrap());
        assert!(manifest.contains(&wanted), "{manifest}");
    }
    assert_snapshot!(cli.run("plugin new --lang rust --sdk nowhere acme-3"), @r"
    exit code 2
    -- stderr
    error: the crate mortise-guest is not in nowhere
    hint: name guest-backends/sdk in a checkout of Mortise: --sdk DIR
    ");
    assert_snapshot!(cli.run("plugin new --lang js --sdk nowhere acme-3"), @r"
    exit code 2
    -- stderr
    error: --sdk is for --lang rust
    hint: leave --sdk out: no other language uses mortise-guest
    ");
    assert!(!cli.path("acme-3").exists());
}

#[test]
fn what_is_there_is_left_alone_and_bad_names_are_refused() {
    let cli = Cli::without_store();
    fs::create_dir(cli.path("acme")).unwrap();
    assert_snapshot!(cli.run("plugin new --lang python acme"), @r"
    exit code 2
    -- stderr
    error: acme is there already
    hint: choose another name, or move it out of the way
    ");
    assert_eq!(fs::read_dir(cli.path("acme")).unwrap().count(), 0);
    assert_snapshot!(cli.run("plugin new --lang python Acme_2"), @r"
    exit code 2
    -- stderr
    error: invalid value 'Acme_2' for '<NAME>': expected up to 64 of a-z, 0-9 and -, a letter first

    For more information, try '--help'.
    ");
    assert_snapshot!(cli.run("plugin new --lang python ../acme"), @r"
    exit code 2
    -- stderr
    error: invalid value '../acme' for '<NAME>': expected up to 64 of a-z, 0-9 and -, a letter first

    For more information, try '--help'.
    ");
    assert_snapshot!(cli.run("plugin new --lang cobol acme-2"), @r"
    exit code 2
    -- stderr
    error: invalid value 'cobol' for '--lang <LANG>'
      [possible values: rust, python, js]

    For more information, try '--help'.
    ");
    assert_eq!(fs::read_dir(cli.path("")).unwrap().count(), 1);
}

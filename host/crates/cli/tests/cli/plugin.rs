//! `mortise plugin`

use std::fs;

use insta::assert_snapshot;

use super::Cli;

#[test]
fn components_are_inspected() {
    let cli = Cli::without_store();
    fs::create_dir(cli.path("plugins")).unwrap();
    fs::write(cli.path("plugins/broken.wasm"), "no component").unwrap();
    let probe = mortise_test_guests::ALL
        .iter()
        .find(|(name, _)| *name == "wasi-probe");
    fs::write(cli.path("plugins/probe.wasm"), probe.unwrap().1).unwrap();
    let filters = vec![
        ("sha256:[0-9a-f]{64}", "sha256:[digest]"),
        (r"\d+ bytes", "[size] bytes"),
    ];
    insta::with_settings!({ filters => filters }, {
        assert_snapshot!(cli.run("plugin inspect sqlite"), @r"
        exit code 0
        -- stdout
        component  sqlite
        contract   0.1.0
        runs here  yes, once it is granted sqlite
        grants     sqlite
        wasi       no
        size       [size] bytes
        digest     sha256:[digest]
        pin        none
        signature  not asked
        imports
          mortise:persistence/types@0.1.0
          mortise:persistence/clock@0.1.0
          mortise:persistence/log@0.1.0
          mortise:persistence/sqlite@0.1.0
        exports
          mortise:persistence/lifecycle@0.1.0
          mortise:persistence/store@0.1.0
          mortise:persistence/transfer@0.1.0
          mortise:persistence/schema@0.1.0
        ");
        assert_snapshot!(cli.run("plugin inspect memory"), @r"
        exit code 0
        -- stdout
        component  memory
        contract   0.1.0
        runs here  yes
        grants     none
        wasi       no
        size       [size] bytes
        digest     sha256:[digest]
        pin        none
        signature  not asked
        imports
          mortise:persistence/types@0.1.0
          mortise:persistence/clock@0.1.0
          mortise:persistence/log@0.1.0
        exports
          mortise:persistence/lifecycle@0.1.0
          mortise:persistence/store@0.1.0
          mortise:persistence/transfer@0.1.0
        ");
    });
    assert_snapshot!(cli.run("plugin list"), @r"
    exit code 0
    -- stdout
    backend  contract  grants  source
    memory   0.1.0     -       built-in
    redis    0.1.0     redis   built-in
    sqlite   0.1.0     sqlite  built-in
    ");
    assert_snapshot!(cli.run("plugin list --plugin-dir plugins"), @r"
    exit code 0
    -- stdout
    backend  contract  grants  source
    broken   refused   -       plugins/broken.wasm
    memory   0.1.0     -       built-in
    probe    0.1.0     -       plugins/probe.wasm
    redis    0.1.0     redis   built-in
    sqlite   0.1.0     sqlite  built-in
    -- stderr
    broken: open: the file is no Wasm at all, expected a component
    ");
    assert_snapshot!(cli.run("plugin list --plugin-dir plugins --format json"), @r#"
    exit code 0
    -- stdout
    {"name":"broken","source":"plugins/broken.wasm","contract":null,"grants":[],"error":"open: the file is no Wasm at all, expected a component","refused":null}
    {"name":"memory","source":"built-in","contract":"0.1.0","grants":[],"error":null,"refused":null}
    {"name":"probe","source":"plugins/probe.wasm","contract":"0.1.0","grants":[],"error":null,"refused":null}
    {"name":"redis","source":"built-in","contract":"0.1.0","grants":["redis"],"error":null,"refused":null}
    {"name":"sqlite","source":"built-in","contract":"0.1.0","grants":["sqlite"],"error":null,"refused":null}
    "#);
    assert_snapshot!(cli.run("plugin inspect plugins/broken.wasm"), @r"
    exit code 9
    -- stderr
    error: open: the file is no Wasm at all, expected a component
    ");
    assert_snapshot!(cli.run("plugin inspect plugins/missing.wasm"), @r"
    exit code 1
    -- stderr
    error: plugins/missing.wasm cannot be read
    caused by: No such file or directory (os error 2)
    ");
    assert_snapshot!(cli.run("plugin inspect postgres"), @r#"
    exit code 9
    -- stderr
    error: open: there is no backend named "postgres"; known: memory, redis, sqlite
    hint: configure a plug-in folder
    "#);
    let probe = cli.run("plugin inspect plugins/probe.wasm");
    assert!(probe.stdout.contains("wasi       yes"), "{probe}");
    assert!(probe.stdout.contains("runs here  yes\n"), "{probe}");
}

/// A component that is none of ours: an empty one.
#[test]
fn a_component_that_would_not_run_says_why() {
    let cli = Cli::without_store();
    fs::write(cli.path("empty.wasm"), b"\0asm\x0d\0\x01\0").unwrap();
    assert_snapshot!(cli.run("plugin inspect empty.wasm"), @r"
    exit code 0
    -- stdout
    component  empty.wasm
    contract   none
    runs here  no: open: the component is no backend for this host: it lacks mortise:persistence/lifecycle@0.1.0, mortise:persistence/store@0.1.0, mortise:persistence/transfer@0.1.0; it exports nothing of mortise:persistence
    grants     none
    wasi       no
    size       8 bytes
    digest     sha256:24eaf3439a60c96764c4f2c92a0a81b52bd4fe5d5b91f090184a0f6486b1bf29
    pin        none
    signature  not asked
    imports
    exports
    ");
    let json = cli.run("plugin inspect empty.wasm --format json").stdout;
    let report: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(report["runs"], false);
    assert_eq!(report["size"], 8);
}

/// A backend that keeps nothing, in a file.
fn cli_with_fault() -> Cli {
    let cli = Cli::without_store();
    let mut guests = mortise_test_guests::ALL.iter();
    let fault = guests.find(|(name, _)| *name == "fault").unwrap();
    fs::write(cli.path("fault.wasm"), fault.1).unwrap();
    cli
}

#[test]
fn a_backend_that_breaks_the_contract_is_told_how() {
    let cli = cli_with_fault();
    let run = cli.run("plugin test fault.wasm --only health --only values/empty-body --only delete/stale --junit report.xml");
    assert_snapshot!(run, @r"
    exit code 10
    -- stdout
    group   clause      verdict
    health  answers     held
    values  empty-body  failed
    delete  stale       failed

    values/empty-body
      promise  an empty body is kept, and is not an absent record
      found    load finds no record values/empty-body/a, which was written
      again    mortise plugin test fault.wasm --only values/empty-body -vv

    delete/stale
      promise  a deletion that expects another revision is a conflict with the current record, and removes nothing
      found    load finds no record delete/stale/a, which was written
      again    mortise plugin test fault.wasm --only delete/stale -vv

    3 clauses: 1 held, 2 failed, 0 skipped as not applicable
    -- stderr
    error: fault.wasm breaks 2 of 3 promises
    hint: mend the backend, and check one clause with --only ID; wit/ has the contract
    ");
    let report = fs::read_to_string(cli.path("report.xml")).unwrap();
    assert!(
        report.starts_with("<?xml") && report.contains(r#"failures="2""#),
        "{report}"
    );
}

#[test]
fn the_verdicts_are_json_lines() {
    let cli = cli_with_fault();
    let run = cli.run("plugin test fault.wasm --only isolation --only health --format json");
    let lines: Vec<serde_json::Value> = run
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let verdict = |line: &serde_json::Value| (line["clause"].clone(), line["verdict"].clone());
    assert_eq!(verdict(&lines[0]), ("health/answers".into(), "held".into()));
    assert_eq!(
        verdict(&lines[1]),
        ("isolation/collections".into(), "failed".into())
    );
    assert!(
        lines[1]["found"]
            .as_str()
            .unwrap()
            .contains("load finds no")
    );
    let summary = &lines[3];
    assert_eq!(
        (&summary["component"], &summary["backend"]),
        (&"fault.wasm".into(), &"fault".into())
    );
    assert_eq!(
        (&summary["held"], &summary["failed"]),
        (&1.into(), &2.into())
    );
    assert_eq!(run.code, 10, "{run}");
}

#[test]
fn a_backend_that_keeps_the_contract_is_done() {
    let cli = Cli::without_store();
    assert_snapshot!(cli.run("plugin test memory --only isolation --only batch/empty"), @r"
    exit code 0
    -- stdout
    group      clause       verdict
    batch      empty        held
    isolation  collections  held
               namespaces   skipped: the backend is a singleton: each of its stores has records of its own

    3 clauses: 2 held, 0 failed, 1 skipped as not applicable
    ");
    assert_snapshot!(cli.run("plugin test memory --only paper"), @r#"
    exit code 9
    -- stderr
    error: configure: no clause's id begins with "paper"
    hint: see them all: mortise plugin test --list
    "#);
    assert_snapshot!(cli.run("plugin test memory --only health --option color"), @r"
    exit code 2
    -- stderr
    error: invalid value 'color' for '--option <NAME=VALUE>': expected NAME=VALUE

    For more information, try '--help'.
    ");
}

#[test]
fn the_clauses_are_listed() {
    let cli = Cli::without_store();
    let listed = cli.run("plugin test --list").to_string();
    for start in [
        "values/empty-body ",
        "find/after-update ",
        "transfer/statistics ",
    ] {
        assert!(
            listed.lines().any(|line| line.starts_with(start)),
            "{listed}"
        );
    }
    let head: Vec<_> = listed.lines().take(5).collect();
    assert_snapshot!(head.join("\n"), @r"
    exit code 0
    -- stdout
    clause                        promise
    describe/stable               describe answers the same on every instance, before and after open
    describe/uses-no-capability   describe calls no capability
    ");
    assert_snapshot!(cli.run("plugin test"), @r"
    exit code 2
    -- stderr
    error: the following required arguments were not provided:
      <FILE|NAME>

    Usage: mortise plugin test <FILE|NAME>

    For more information, try '--help'.
    ");
}

#[test]
fn a_script_is_run_again_call_by_call() {
    let cli = cli_with_fault();
    let script = "{\"create\":{\"key\":[\"a\",\"1\"],\"body\":\"one\"}}\n{\"load\":[\"a\",\"1\"]}\n\"health\"\n";
    fs::write(cli.path("script"), script).unwrap();
    assert_snapshot!(cli.run("plugin test memory --replay script"), @r#"
    exit code 0
    -- stdout
    {"create":{"key":["a","1"],"body":"one"}}
      answer   revision 2/2 at +0/+0
    {"load":["a","1"]}
      answer   {a/1 "one" revision 2/2 at +0/+0}
    "health"
      answer   ok
    "#);
    assert_snapshot!(cli.run("plugin test fault.wasm --replay script"), @r#"
    exit code 10
    -- stdout
    {"create":{"key":["a","1"],"body":"one"}}
      answer   revision 2/2 at +0/+0
    {"load":["a","1"]}
      answer   none
      expected {a/1 "one" revision 2/2 at +0/+0}
    -- stderr
    error: call 2 is not answered as the contract says
    hint: mend the backend, and run the script again
    "#);
    fs::write(cli.path("script"), "\"health\"\n{}").unwrap();
    assert_snapshot!(cli.run("plugin test memory --replay script"), @r#"
    exit code 9
    -- stderr
    error: configure: line 2 of the script is no call
    caused by: expected value at line 1 column 2
    hint: each line is a call, such as {"load":["COLLECTION","ID"]}
    "#);
}

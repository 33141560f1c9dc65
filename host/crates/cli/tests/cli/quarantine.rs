//! `mortise store quarantine`

use std::fs;

use insta::assert_snapshot;

use super::{Cli, task};

/// A store with the good task `good`, and the records `torn` and `noise`, which are no JSON.
fn damaged() -> Cli {
    let cli = Cli::new();
    let export = r#"{"format":"mortise-export","version":1,"contract":"0.1.0"}
{"collection":"task","id":"torn","body":"{\"task_id\":\n\"to","attributes":[["status","Running"],["request-id","r-torn"]],"create_revision":3,"mod_revision":7,"created_at":5,"updated_at":6}
{"collection":"task","id":"noise","body_base64":"AP8K","attributes":[],"create_revision":4,"mod_revision":4,"created_at":5,"updated_at":6}
{"end":{"records":2}}
"#;
    let imported = cli.feed(export, "store import");
    assert_eq!(
        imported.stdout, "imported 2 records\n",
        "{}",
        imported.stderr
    );
    cli.feed(&task("good", "Running"), "task create");
    cli
}

/// What time it is differs from run to run.
fn settings() -> insta::Settings {
    let mut settings = insta::Settings::clone_current();
    settings.add_filter(r"\d{4}-\d\d-\d\dT[\d:.]+Z", "[time]");
    settings.add_filter(r#""set_aside_at":\d{13}"#, r#""set_aside_at":[ms]"#);
    settings
}

#[test]
fn a_corrupt_task_is_told_listed_shown_and_restored() {
    let _settings = settings().bind_to_scope();
    let cli = damaged();
    assert_snapshot!(cli.run("store quarantine list"), @r"
    exit code 0
    ");
    assert_snapshot!(cli.run("task get torn"), @r"
    exit code 10
    -- stderr
    error: load task/torn (backend sqlite): the record is no JSON; it was set aside as 7
    caused by: EOF while parsing a string at line 2 column 3
    hint: see what was set aside: Store::quarantine, or `mortise store quarantine list`
    ");
    assert_snapshot!(cli.run("task list"), @r"
    exit code 0
    -- stdout
    task  status   revision  items  last updated          session
    good  Running  8         1      [time]  s-1
    -- stderr
    [time] ERROR mortise_agent::decode: a corrupt record was left out error=Corrupt: find task/noise (backend sqlite): the record is no JSON; it was set aside as 4: expected value at line 1 column 1
    ");
    assert_snapshot!(cli.run("store quarantine list"), @r"
    exit code 0
    -- stdout
    entry  record      set aside                 reason
    7      task/torn   [time]  the body is no JSON: EOF while parsing a string at line 2 column 3
    4      task/noise  [time]  the body is no JSON: expected value at line 1 column 1
    ");
    assert_snapshot!(cli.run("store quarantine list --format json"), @r#"
    exit code 0
    -- stdout
    {"id":"7","collection":"task","record_id":"torn","reason":"the body is no JSON: EOF while parsing a string at line 2 column 3","set_aside_at":[ms],"attributes":[["status","Running"],["request-id","r-torn"]]}
    {"id":"4","collection":"task","record_id":"noise","reason":"the body is no JSON: expected value at line 1 column 1","set_aside_at":[ms],"attributes":[]}
    "#);
    assert_snapshot!(cli.run("store quarantine show 7"), @r#"
    exit code 0
    -- stdout
    entry         7
    record        task/torn
    set aside     [time]
    reason        the body is no JSON: EOF while parsing a string at line 2 column 3
    attribute     status=Running
    attribute     request-id=r-torn
    body          15 bytes

      {"task_id":
      "to
    "#);
    assert_snapshot!(cli.run("store quarantine show 7 --format json"), @r#"
    exit code 0
    -- stdout
    {"id":"7","collection":"task","record_id":"torn","reason":"the body is no JSON: EOF while parsing a string at line 2 column 3","set_aside_at":[ms],"attributes":[["status","Running"],["request-id","r-torn"]],"body":"{\"task_id\":\n\"to"}
    "#);
    assert_snapshot!(cli.run("store quarantine show 4"), @r"
    exit code 0
    -- stdout
    entry         4
    record        task/noise
    set aside     [time]
    reason        the body is no JSON: expected value at line 1 column 1
    body          3 bytes, no text: write them to a file with --output
    ");
    assert_snapshot!(cli.run("store quarantine show 4 --format json"), @r#"
    exit code 0
    -- stdout
    {"id":"4","collection":"task","record_id":"noise","reason":"the body is no JSON: expected value at line 1 column 1","set_aside_at":[ms],"attributes":[],"body_base64":"AP8K"}
    "#);
    assert_snapshot!(cli.run("store quarantine show 5"), @r"
    exit code 3
    -- stderr
    error: there is no entry 5 in quarantine
    ");

    fs::write(cli.path("mended.json"), task("torn", "Paused")).unwrap();
    assert_snapshot!(cli.run("store quarantine restore 7 --body mended.json"), @r"
    exit code 0
    -- stdout
    restored task/torn  revision 13
    ");
    assert_snapshot!(cli.run("task find --request-id r-torn"), @r"
    exit code 0
    -- stdout
    task          torn
    revision      13
    status        Paused
    session       s-1
    user          u-1
    created       2026-01-01T00:00:00
    last updated  [time]
    items         1

    2026-01-01T00:00:00  user  request r-torn
      Hello,
      torn
    ");
    assert_snapshot!(cli.run("store quarantine restore 7"), @r"
    exit code 3
    -- stderr
    error: load mortise.quarantine/7 (backend sqlite): there is no such entry in quarantine
    ");
}

#[test]
fn the_bytes_of_an_entry_come_as_they_were_stored() {
    let cli = damaged();
    cli.run("task list");
    assert_snapshot!(cli.run("store quarantine show 4 --output noise.bin --format json"), @r#"
    exit code 0
    -- stdout
    {"written":3}
    "#);
    assert_eq!(fs::read(cli.path("noise.bin")).unwrap(), b"\0\xff\n");
    let stdout = cli.run("store quarantine show 7 --output -").stdout;
    assert_eq!(stdout, "{\"task_id\":\n\"to");
    assert_snapshot!(cli.run("store quarantine show 4 --output missing/noise.bin"), @r"
    exit code 1
    -- stderr
    error: missing/noise.bin cannot be written
    caused by: No such file or directory (os error 2)
    ");
}

#[test]
fn what_is_not_wanted_back_is_dropped() {
    let cli = damaged();
    cli.run("task list");
    cli.feed(&task("torn", "Running"), "task create");
    assert_snapshot!(cli.run("store quarantine restore 7"), @r"
    exit code 4
    -- stderr
    error: apply, write 0 task/torn (backend sqlite): the record is there already
    hint: delete the record that is there, or drop the entry
    ");
    assert_snapshot!(cli.run("store quarantine drop 7"), @r"
    exit code 2
    -- stderr
    error: nothing was removed: nobody can be asked
    hint: add --yes to go on without being asked
    ");
    assert_snapshot!(cli.run("store quarantine drop 7 --yes"), @r"
    exit code 0
    -- stdout
    dropped 7
    ");
    assert_snapshot!(cli.run("store quarantine drop 7 --yes"), @r"
    exit code 3
    -- stderr
    error: delete mortise.quarantine/7 (backend sqlite): there is no such record
    ");
    assert_snapshot!(cli.run("store quarantine drop 4 --yes --format json"), @r#"
    exit code 0
    -- stdout
    {"dropped":"4"}
    "#);
    assert_snapshot!(cli.feed("{}", "store quarantine restore 4 --body -"), @r"
    exit code 3
    -- stderr
    error: load mortise.quarantine/4 (backend sqlite): there is no such entry in quarantine
    ");
    assert_snapshot!(cli.run("store stats"), @r"
    exit code 0
    -- stdout
    collection  records  body bytes
    task        2        620
    ");
}

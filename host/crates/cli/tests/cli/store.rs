//! `mortise store`

use std::fs;

use insta::assert_snapshot;

use super::{Cli, FIXTURE, partial_files, task};

#[test]
fn an_export_of_an_import_is_the_export() {
    let cli = Cli::with_fixture();
    assert_snapshot!(cli.run("store export one.jsonl"), @r"
    exit code 0
    -- stdout
    exported 200 records to one.jsonl
    ");
    assert_snapshot!(cli.run("store import one.jsonl --store sqlite:other.db"), @r"
    exit code 0
    -- stdout
    imported 200 records
    ");
    let one = fs::read_to_string(cli.path("one.jsonl")).unwrap();
    let two = cli.run("store export --store sqlite:other.db");
    assert!(two.stdout == one, "the exports differ");
    assert_eq!(two.stderr, "");
    assert_snapshot!(cli.feed(&one, "store import --format json"), @r#"
    exit code 0
    -- stdout
    {"imported":200}
    "#);
    assert_snapshot!(cli.run("store stats --store sqlite:other.db"), @r"
    exit code 0
    -- stdout
    collection  records  body bytes
    task        200      513963
    ");
    assert_eq!(partial_files(&cli), Vec::<String>::new());
}

#[test]
fn a_damaged_export_is_refused_by_line() {
    let cli = Cli::with_fixture();
    let export = cli.run("store export").stdout;
    let empty = Cli::new();
    let head = |lines| export.split_inclusive('\n').take(lines).collect::<String>();
    assert_snapshot!(empty.feed(&head(3), "store import"), @r#"
    exit code 6
    -- stderr
    error: import: line 4: the file ends without the trailer of an export, expected {"end":…}: it was cut off; 0 records were imported before
    "#);
    assert_snapshot!(empty.feed(&(head(4) + "{\"id\":7}\n"), "store import"), @r"
    exit code 6
    -- stderr
    error: import: line 5: expected a record: invalid type: integer `7`, expected a string at column 7; 0 records were imported before
    ");
    assert_snapshot!(empty.feed(FIXTURE, "store import"), @r"
    exit code 6
    -- stderr
    error: import: line 1: expected the header of an export: missing field `format` at column 3375; 0 records were imported before
    ");
    assert_snapshot!(empty.feed("", "store import"), @r"
    exit code 6
    -- stderr
    error: import: line 1: the file is empty, expected the header of an export; 0 records were imported before
    ");
    assert_eq!(empty.run("store stats").stdout, "");
    empty.feed(
        &task("140781fd-9e94-42bf-a6c0-f7bdfd829108", "Paused"),
        "task create",
    );
    assert_snapshot!(empty.feed(&export, "store import"), @r"
    exit code 5
    -- stderr
    error: import task/140781fd-9e94-42bf-a6c0-f7bdfd829108 (backend sqlite): the batch of lines 2 to 201 failed; 0 records were imported before
    caused by: import task/140781fd-9e94-42bf-a6c0-f7bdfd829108 (backend sqlite): the record is another one than expected: it was changed last by revision 1
    hint: import into a store that is empty, or has the same records
    ");
}

#[test]
fn an_export_takes_its_place_only_once_it_is_whole() {
    let cli = Cli::new();
    cli.feed(&task("a", "Running"), "task create");
    assert_snapshot!(cli.run("store export missing/out.jsonl"), @r"
    exit code 1
    -- stderr
    error: missing/out.jsonl cannot be written
    caused by: No such file or directory (os error 2)
    ");
    assert_snapshot!(cli.run("store export ."), @r"
    exit code 1
    -- stderr
    error: . cannot be written
    caused by: Is a directory (os error 21)
    ");
    fs::write(cli.path("out.jsonl"), "what was there").unwrap();
    assert_snapshot!(cli.run("store export out.jsonl --format json"), @r#"
    exit code 0
    -- stdout
    {"exported":1}
    "#);
    assert!(
        fs::read_to_string(cli.path("out.jsonl"))
            .unwrap()
            .contains("\n{\"end\":{\"records\":1,\"sha256\":\"")
    );
    assert_eq!(partial_files(&cli), Vec::<String>::new());
}

#[test]
fn health_counts_and_clear() {
    let cli = Cli::new();
    cli.feed(
        &(task("a", "Running") + &task("b", "Running")),
        "task create",
    );
    assert_snapshot!(cli.run("store health"), @r"
    exit code 0
    -- stdout
    healthy: store sqlite, backend sqlite 0.1.0, namespace default, durable, pooled
    ");
    assert_snapshot!(cli.run("store health --format json --store memory:"), @r#"
    exit code 0
    -- stdout
    {"healthy":true,"store":"memory","backend":"memory","version":"0.1.0","namespace":"default","durable":false,"instances":"singleton","breaker":"closed","traps":0,"last_trap":null,"state_lost":false,"fallback":null,"refused":null}
    "#);
    assert_snapshot!(cli.run("store stats --format json"), @r#"
    exit code 0
    -- stdout
    {"collection":"task","records":2,"body_bytes":596}
    "#);
    assert_snapshot!(cli.run("store clear"), @r"
    exit code 2
    -- stderr
    error: nothing was removed: nobody can be asked
    hint: add --yes to go on without being asked
    ");
    assert_snapshot!(cli.run("store clear --collection job --yes"), @r"
    exit code 0
    -- stdout
    removed 0 records
    ");
    assert_snapshot!(cli.run("store clear --yes --format json"), @r#"
    exit code 0
    -- stdout
    {"removed":2}
    "#);
}

//! Moving in from files of other platforms: `store import --from …`.

use std::fs;

use insta::assert_snapshot;
use mortise_test_servers::copy_fixture;

use super::{Cli, task};

/// A folder with a copy of each sample in it.
fn with_samples() -> Cli {
    let cli = Cli::new();
    for name in [
        "teal-tasks.jsonl",
        "supervaizer-entities.json",
        "orchestrator.db",
        "orchestrator-files",
    ] {
        copy_fixture(name, cli.folder.path());
    }
    cli
}

#[test]
fn jobs_and_cases_move_in() {
    let cli = with_samples();
    let import = "store import --from tinydb supervaizer-entities.json";
    assert_snapshot!(cli.run(&format!("{import} --dry-run")), @r"
    exit code 0
    -- stdout
    what                  count
    case read             60
      would be created    60
      unchanged           0
      would be skipped    0
      status awaiting     5
      status cancelled    6
      status cancelling   1
      status completed    31
      status failed       2
      status in_progress  12
      status stopped      3
      scheduled updates   16
      to be resumed       18
      updates             179
    job read              20
      would be created    20
      unchanged           0
      would be skipped    0
      status awaiting     3
      status cancelled    2
      status cancelling   1
      status completed    6
      status failed       2
      status in_progress  4
      status stopped      2
      responses           26
      to be resumed       8
    server-info read      1
      would be created    1
      unchanged           0
      would be skipped    0
    ");
    assert_eq!(cli.run("store stats").stdout, "");
    assert_snapshot!(cli.run(&format!("{import} --format json")), @r#"
    exit code 0
    -- stdout
    {"dry_run":false,"collections":{"case":{"read":60,"created":60,"unchanged":0,"skipped":0,"by":{"status":{"awaiting":5,"cancelled":6,"cancelling":1,"completed":31,"failed":2,"in_progress":12,"stopped":3}},"counts":{"scheduled_updates":16,"to_be_resumed":18,"updates":179}},"job":{"read":20,"created":20,"unchanged":0,"skipped":0,"by":{"status":{"awaiting":3,"cancelled":2,"cancelling":1,"completed":6,"failed":2,"in_progress":4,"stopped":2}},"counts":{"responses":26,"to_be_resumed":8}},"server-info":{"read":1,"created":1,"unchanged":0,"skipped":0,"by":{},"counts":{}}},"skipped":[]}
    "#);
    let cases = cli.run("entity list case --by job_id=2b1413c0-1bac-4f2f-b65c-f61ead0a3f4e");
    assert_eq!(cases.stdout.lines().count(), 1 + 6, "{cases}");
    let resumed = cli.run("resume list job");
    assert_eq!(resumed.stdout.lines().count(), 1 + 8, "{resumed}");
}

#[test]
fn tasks_and_their_parts_move_in() {
    let cli = with_samples();
    assert_snapshot!(cli.run("store import --from orchestrator-files orchestrator-files"), @r"
    exit code 0
    -- stdout
    what                           count
    artifact read                  4
      created                      4
      unchanged                    0
      skipped                      0
      subtasks                     4
    subtask read                   21
      created                      21
      unchanged                    0
      skipped                      0
      specialist type architect    2
      specialist type debugger     4
      specialist type documenter   3
      specialist type implementer  1
      specialist type researcher   4
      specialist type reviewer     4
      specialist type tester       3
      status active                4
      status archived              1
      status blocked               3
      status completed             8
      status failed                2
      status pending               3
      artifacts                    12
      dependencies                 10
      with completed at            9
      with results                 11
    task-breakdown read            8
      created                      8
      unchanged                    0
      skipped                      0
      complexity moderate          2
      complexity simple            4
      complexity very_complex      2
      archived                     2
    ");
    let db = cli.run("store import --from orchestrator-db orchestrator.db");
    assert_eq!((db.code, db.stderr.as_str()), (0, ""), "{db}");
    let stats = cli.run("store stats");
    assert_snapshot!(stats, @r"
    exit code 0
    -- stdout
    collection              records  body bytes
    architectural-decision  2        1935
    artifact                4        4022
    file-operation          4        2139
    subtask                 92       60959
    task-breakdown          28       7168
    ");
    let again = cli.run("store import --from orchestrator-db orchestrator.db");
    assert!(again.stdout.contains("subtask read"), "{again}");
    assert_eq!(cli.run("store stats").stdout, stats.stdout);
}

#[test]
fn lines_of_tasks_move_in_from_a_file_or_a_pipe() {
    let cli = with_samples();
    assert_snapshot!(cli.run("store import --from teal-jsonl teal-tasks.jsonl"), @r"
    exit code 0
    -- stdout
    what                             count
    task read                        200
      created                        200
      unchanged                      0
      skipped                        0
      content type image             12
      content type text              951
      role assistant                 447
      role user                      516
      status Canceled                18
      status Completed               94
      status Failed                  22
      status Paused                  25
      status Running                 41
      chat history messages          301
      items                          963
      items with chat history        50
      items with pending tool calls  50
      request ids                    474
      request pairs                  479
      without items                  2
    ");
    let lines = format!(
        "{}\n{{\"task_id\":\n{}\n",
        task("new", "Running"),
        task("newer", "Paused")
    );
    assert_snapshot!(cli.feed(&lines, "store import --from teal-jsonl - --strict"), @r"
    exit code 6
    -- stderr
    error: import: the import stopped; 0 records were created before
    caused by: import: line 2: the line is no JSON: EOF while parsing a value at column 11
    hint: mend it in the source, or import without being strict
    ");
    assert_snapshot!(cli.feed(&lines, "store import --from teal-jsonl -"), @r"
    exit code 6
    -- stdout
    what                             count
    task read                        3
      created                        2
      unchanged                      0
      skipped                        1
      content type text              2
      role user                      2
      status Paused                  1
      status Running                 1
      chat history messages          0
      items                          2
      items with chat history        0
      items with pending tool calls  0
      request ids                    2
      request pairs                  2
      without items                  0

    skipped  reason
    line 2   the line is no JSON: EOF while parsing a value at column 11
    -- stderr
    error: not everything was imported: 1 skipped
    hint: they are as they were in the source; mend them there and import again
    ");
    assert_eq!(cli.run("task get newer").code, 0);
}

#[test]
fn what_is_no_such_source_is_said() {
    let cli = Cli::new();
    fs::write(cli.path("list.json"), "[]").unwrap();
    fs::create_dir(cli.path("folder")).unwrap();
    for (arguments, code, part) in [
        ("--from tinydb", 2, "takes a path here"),
        (
            "--from tinydb nowhere.json",
            1,
            "nowhere.json cannot be read, expected a TinyDB file",
        ),
        ("--from tinydb list.json", 6, "expected a TinyDB file"),
        ("--from tinydb folder", 6, "it is no file"),
        (
            "--from tinydb list.json --expiry drop",
            2,
            "is for --from teal-redis",
        ),
        ("--from teal-jsonl nowhere.jsonl", 1, "nowhere.jsonl"),
        (
            "--from orchestrator-db list.json",
            6,
            "expected the SQLite file",
        ),
        ("--from orchestrator-files folder", 6, "it has no tasks"),
        ("--from orchestrator-files list.json", 6, "it is no folder"),
        (
            "--from teal-redis redis://a --strict",
            2,
            "takes no --strict",
        ),
        ("--strict list.json", 2, "--from <KIND>"),
    ] {
        let run = cli.run(&format!("store import {arguments}"));
        assert!(
            run.code == code && run.stderr.contains(part) && run.stdout.is_empty(),
            "{arguments}: {run}"
        );
    }
    assert_eq!(cli.run("store stats").stdout, "");
}

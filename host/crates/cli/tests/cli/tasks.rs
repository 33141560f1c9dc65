//! `mortise task`

use std::io::Write as _;

use insta::assert_snapshot;

use super::{Cli, FIXTURE, task};

/// A request that two tasks of the fixture carry.
const SHARED_REQUEST: &str = "1807c658-8cbf-4f73-b207-9c09915b87d9";

#[test]
fn a_task_is_created_shown_updated_and_deleted() {
    let cli = Cli::new();
    assert_snapshot!(cli.feed(&task("t-1", "Running"), "task create"), @r"
    exit code 0
    -- stdout
    t-1  revision 1
    ");
    assert_snapshot!(cli.run("task get t-1"), @r"
    exit code 0
    -- stdout
    task          t-1
    revision      1
    status        Running
    session       s-1
    user          u-1
    created       2026-01-01T00:00:00
    last updated  2026-01-01T00:00:00Z
    items         1

    2026-01-01T00:00:00  user  request r-t-1
      Hello,
      t-1
    ");
    assert_snapshot!(cli.run("task get t-1 --format json"), @r#"
    exit code 0
    -- stdout
    {"revision":1,"task":{"task_id":"t-1","session_id":"s-1","user_id":"u-1","items":[{"task_id":"t-1","request_id":"r-t-1","role":"user","item":{"content_type":"text","content":"Hello,\nt-1"},"updated":"2026-01-01T00:00:00"}],"created_at":"2026-01-01T00:00:00","last_updated":"2026-01-01T00:00:00Z","status":"Running","extra":1.0}}
    "#);
    assert_snapshot!(cli.feed(&task("t-1", "Paused"), "task update --revision 1"), @r"
    exit code 0
    -- stdout
    t-1  revision 2
    ");
    assert_snapshot!(cli.run("task find --request-id r-t-1 --all"), @r"
    exit code 0
    -- stdout
    task  status  revision  items  last updated          session
    t-1   Paused  2         1      2026-01-01T00:00:00Z  s-1
    ");
    assert_snapshot!(cli.run("task delete t-1 --revision 2 --format json"), @r#"
    exit code 0
    -- stdout
    {"deleted":"t-1"}
    "#);
    assert_snapshot!(cli.run("task get t-1"), @r"
    exit code 3
    -- stderr
    error: there is no task t-1
    ");
    assert_snapshot!(cli.run("task find --request-id r-t-1"), @r"
    exit code 3
    -- stderr
    error: there is no task with a request r-t-1
    ");
    assert_snapshot!(cli.run("task delete t-1"), @r"
    exit code 3
    -- stderr
    error: delete task/t-1 (backend sqlite): there is no such record
    ");
}

#[test]
fn an_update_of_a_stale_revision_is_a_conflict() {
    let cli = Cli::new();
    cli.feed(&task("t-1", "Running"), "task create");
    assert_snapshot!(cli.feed(&task("t-1", "Paused"), "task update --format json"), @r#"
    exit code 0
    -- stdout
    {"task_id":"t-1","revision":2}
    "#);
    assert_snapshot!(cli.feed(&task("t-1", "Failed"), "task update - --revision 1"), @r"
    exit code 5
    -- stderr
    error: update task/t-1 (backend sqlite): the record is another one than expected: it was changed last by revision 2
    hint: load it again, apply the change to what is there, and retry
    ");
    assert_snapshot!(cli.run("task delete t-1 --revision 1"), @r"
    exit code 5
    -- stderr
    error: delete task/t-1 (backend sqlite): the record is another one than expected: it was changed last by revision 2
    hint: load it again, apply the change to what is there, and retry
    ");
    assert!(cli.run("task get t-1").stdout.contains("Paused"));
}

#[test]
fn a_stream_stops_at_the_first_task_that_fails() {
    let cli = Cli::new();
    let stream = [
        task("a", "Running"),
        task("b", "Running"),
        task("a", "Failed"),
        task("c", "Paused"),
    ];
    assert_snapshot!(cli.feed(&stream.join("\n"), "task create"), @r"
    exit code 4
    -- stdout
    a  revision 1
    b  revision 2
    -- stderr
    error: task 3 of stdin (a) failed; 2 were created before
    caused by: create task/a (backend sqlite): the record is there already
    ");
    assert_snapshot!(cli.feed(&format!("{}\n{{\"task_id\":1}}", task("d", "Paused")), "task create -"), @r"
    exit code 6
    -- stdout
    d  revision 3
    -- stderr
    error: task 2 of stdin is not understood; 1 were created
    caused by: field `task_id`: invalid type: integer `1`, expected a string at line 1 column 1
    ");
    assert_snapshot!(cli.feed("{\"task_id\":", "task create"), @r"
    exit code 6
    -- stderr
    error: task 1 of stdin is not understood; 0 were created
    caused by: EOF while parsing a value at line 1 column 11
    ");
    assert_snapshot!(cli.feed("[]", "task create"), @r"
    exit code 6
    -- stderr
    error: task 1 of stdin is not understood; 0 were created
    caused by: invalid type: sequence, expected a JSON object at line 1 column 1
    ");
    assert_snapshot!(cli.run("task create tasks.jsonl"), @r"
    exit code 1
    -- stderr
    error: tasks.jsonl cannot be opened
    caused by: No such file or directory (os error 2)
    ");
    assert_snapshot!(cli.run("task list"), @r"
    exit code 0
    -- stdout
    task  status   revision  items  last updated          session
    a     Running  1         1      2026-01-01T00:00:00Z  s-1
    b     Running  2         1      2026-01-01T00:00:00Z  s-1
    d     Paused   3         1      2026-01-01T00:00:00Z  s-1
    ");
}

#[test]
fn an_update_takes_exactly_one_task() {
    let cli = Cli::new();
    assert_snapshot!(cli.feed("", "task update"), @r"
    exit code 6
    -- stderr
    error: stdin is empty
    hint: give one task as JSON
    ");
    assert_snapshot!(cli.feed(&task("a", "Running").repeat(2), "task update"), @r"
    exit code 6
    -- stderr
    error: stdin has more than one task
    hint: update one task at a time
    ");
    assert_snapshot!(cli.feed(&task("a", "Running"), "task update"), @r"
    exit code 3
    -- stderr
    error: update task/a (backend sqlite): there is no such record
    ");
}

#[test]
fn real_tasks_come_back_as_they_were() {
    let cli = Cli::with_fixture();
    let list = cli.run("task list --all --format json");
    assert_eq!((list.code, list.stderr.as_str()), (0, ""));
    for ((number, line), listed) in (1..).zip(FIXTURE.lines()).zip(list.stdout.lines()) {
        assert_eq!(listed, format!(r#"{{"revision":{number},"task":{line}}}"#));
    }
    assert_eq!(list.stdout.lines().count(), 200);
    for (status, count) in [
        ("Canceled", 18),
        ("Completed", 94),
        ("Failed", 22),
        ("Paused", 25),
        ("Running", 41),
        ("Odd", 0),
    ] {
        let list = cli.run(&format!("task list --all --status {status} --format json"));
        assert_eq!(list.stdout.lines().count(), count, "{status}");
    }
}

#[test]
fn the_oldest_task_of_a_request_is_found_first() {
    let cli = Cli::with_fixture();
    let find = format!("task find --request-id {SHARED_REQUEST}");
    assert!(
        cli.run(&find)
            .stdout
            .starts_with("task          0459d387-cf56-4266-a80a-1564f860cddb\n")
    );
    assert_snapshot!(cli.run(&format!("{find} --all")), @r"
    exit code 0
    -- stdout
    task                                  status     revision  items  last updated                      session
    0459d387-cf56-4266-a80a-1564f860cddb  Paused     174       3      2025-06-23T15:29:16.714370        67cb0266-0ac4-4152-915c-4975b5bd0866
    c90edec7-8b19-45b8-a3cb-770c1646c2d5  Completed  185       6      2025-06-25T03:39:44.810285+05:30  e2278a15-8911-4935-bc5f-d3a652f0ae39
    ");
}

#[test]
fn a_list_goes_on_after_its_cursor() {
    let cli = Cli::with_fixture();
    let mut ids = Vec::new();
    let mut after = String::new();
    loop {
        let list = cli.run(&format!(
            "task list --newest-first --limit 60 --format json {after}"
        ));
        let mut lines: Vec<serde_json::Value> = list
            .stdout
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let next = lines.pop_if(|line| line.get("next").is_some());
        ids.extend(
            lines
                .iter()
                .map(|line| line["task"]["task_id"].as_str().unwrap().to_owned()),
        );
        let Some(next) = next else { break };
        assert_eq!(lines.len(), 60);
        after = format!("--after {}", next["next"].as_str().unwrap());
    }
    let fixture: Vec<serde_json::Value> = FIXTURE
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let expected: Vec<_> = fixture
        .iter()
        .rev()
        .map(|task| task["task_id"].as_str().unwrap())
        .collect();
    assert_eq!(ids, expected);
    insta::with_settings!({ filters => vec![("--after [0-9a-f]+", "--after [cursor]")] }, {
        assert_snapshot!(cli.run("task list --limit 2"), @r"
        exit code 0
        -- stdout
        task                                  status     revision  items  last updated                session
        140781fd-9e94-42bf-a6c0-f7bdfd829108  Completed  1         8      2025-06-02T13:15:59.560580  aba0cba2-2609-475e-a9c3-84f2bdcf4f57
        6b47c784-4290-4aa5-b82d-2c48f7b6494d  Paused     2         4      2025-06-02T18:34:34.174245  15956b97-74c3-45fb-8a67-dd4bc72d5028
        -- stderr
        there are more: add --all, or --after [cursor]
        ");
    });
    assert_snapshot!(cli.run("task list --limit 1 --after nonsense"), @r"
    exit code 6
    -- stderr
    error: find (backend sqlite): the call breaks a rule: the cursor is garbled, or belongs to another query
    ");
}

/// Text from a task cannot drive the reader's terminal.
#[test]
fn control_characters_are_shown() {
    let cli = Cli::new();
    let odd = task("odd", "Running").replace("Running", "\\u001b[2J");
    cli.feed(&odd, "task create");
    assert_snapshot!(cli.run("task list"), @r#"
    exit code 0
    -- stdout
    task  status     revision  items  last updated          session
    odd   \u{1b}[2J  1         1      2026-01-01T00:00:00Z  s-1
    "#);
    assert!(
        cli.run("task get odd --format json")
            .stdout
            .contains("\\u001b[2J")
    );
}

#[test]
fn a_closed_stdout_does_not_keep_tasks_from_being_created() {
    let cli = Cli::new();
    let mut child = cli.start("task create");
    drop(child.stdout.take());
    child
        .stdin
        .take()
        .unwrap()
        .write_all(FIXTURE.as_bytes())
        .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(cli.run("store stats").stdout.contains("200"));
}

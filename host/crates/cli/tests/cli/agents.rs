//! `mortise entity`, `mortise lifecycle`, `mortise resume`

use std::fs;

use insta::assert_snapshot;

use super::Cli;

/// What time it is differs from run to run.
fn settings() -> insta::Settings {
    let mut settings = insta::Settings::clone_current();
    settings.add_filter(r"\d{4}-\d\d-\d\dT[\d:.]+Z", "[time]");
    settings.add_filter(r#""until":\d{13}"#, r#""until":[ms]"#);
    settings
}

#[test]
fn entities_are_saved_shown_listed_and_deleted() {
    let _settings = settings().bind_to_scope();
    let cli = Cli::new();
    assert_snapshot!(cli.feed(r#"{"id":"j-1","name":"Screening","status":"stopped","cost":0.10}
{"id":"j-2","name":"Outreach",
 "status":"in_progress","case_ids":["c-1", "c-2"]}
"#, "entity save job"), @r"
    exit code 0
    -- stdout
    j-1  revision 1
    j-2  revision 2
    ");
    assert_snapshot!(cli.feed(r#"{"id":"j-1","cost":0.25}"#, "entity save job - --format json"), @r#"
    exit code 0
    -- stdout
    {"id":"j-1","revision":3}
    "#);
    assert_snapshot!(cli.run("entity get job j-1"), @r"
    exit code 0
    -- stdout
    revision  3
    id        j-1
    name      Screening
    status    stopped
    cost      0.25
    ");
    assert_snapshot!(cli.run("entity get job j-2 --format json"), @r#"
    exit code 0
    -- stdout
    {"id":"j-2","revision":2,"entity":{"id":"j-2","name":"Outreach","status":"in_progress","case_ids":["c-1","c-2"]}}
    "#);
    assert_snapshot!(cli.run("entity list job"), @r"
    exit code 0
    -- stdout
    id   status       revision
    j-1  stopped      3
    j-2  in_progress  2
    ");
    assert_snapshot!(cli.run("entity list job --by status=stopped --format json"), @r#"
    exit code 0
    -- stdout
    {"id":"j-1","revision":3,"entity":{"id":"j-1","name":"Screening","status":"stopped","cost":0.25}}
    "#);
    assert_snapshot!(cli.run("entity list job --by status=stopped --by name=Outreach"), @r"
    exit code 0
    ");
    assert_snapshot!(cli.run("entity list job --newest-first --limit 1 --quiet"), @r"
    exit code 0
    -- stdout
    id   status       revision
    j-2  in_progress  2
    ");
    assert_snapshot!(cli.run("entity delete job j-2"), @r"
    exit code 0
    -- stdout
    deleted j-2
    ");
    assert_snapshot!(cli.run("entity delete job j-2"), @r"
    exit code 3
    -- stderr
    error: there is no job j-2
    ");
    assert_snapshot!(cli.run("entity get job j-2"), @r"
    exit code 3
    -- stderr
    error: there is no job j-2
    ");
    assert_snapshot!(cli.run("entity reset job"), @r"
    exit code 2
    -- stderr
    error: nothing was removed: nobody can be asked
    hint: add --yes to go on without being asked
    ");
    assert_snapshot!(cli.run("entity reset job --yes --format json"), @r#"
    exit code 0
    -- stdout
    {"removed":1}
    "#);
    assert_snapshot!(cli.run("store stats"), @r"
    exit code 0
    ");
}

#[test]
fn what_is_no_entity_is_refused() {
    let _settings = settings().bind_to_scope();
    let cli = Cli::new();
    assert_snapshot!(cli.feed(r#"{"id":"x"} {"name":"n"} {"id":"y"}"#, "entity save job"), @r#"
    exit code 6
    -- stdout
    x  revision 1
    -- stderr
    error: entity 2 of stdin failed; 1 were saved
    caused by: update: the entity of the collection "job" has no id
    hint: give it a field "id" with a text of 1 to 1,024 bytes
    "#);
    assert_snapshot!(cli.feed(r#"{"id":"z"} [1]"#, "entity save job"), @r"
    exit code 6
    -- stdout
    z  revision 2
    -- stderr
    error: entity 2 of stdin is not understood; 1 were saved
    caused by: invalid type: sequence, expected a JSON object at line 1 column 12
    ");
    assert_snapshot!(cli.run("entity list job --by status"), @r"
    exit code 2
    -- stderr
    error: invalid value 'status' for '--by <FIELD=VALUE>': expected FIELD=VALUE

    For more information, try '--help'.
    ");
    assert_snapshot!(cli.run("entity list job"), @r"
    exit code 0
    -- stdout
    id  status  revision
    x           1
    z           2
    ");
}

#[test]
fn an_entity_is_led_through_its_states() {
    let _settings = settings().bind_to_scope();
    let cli = Cli::new();
    assert_snapshot!(cli.feed(r#"{"id":"j-1","name":"Screening","status":"stopped","cost":0.10}
{"id":"j-2","name":"Outreach",
 "status":"in_progress","case_ids":["c-1", "c-2"]}
"#, "entity save job"), @r"
    exit code 0
    -- stdout
    j-1  revision 1
    j-2  revision 2
    ");
    assert_snapshot!(cli.run("lifecycle show job j-1"), @r"
    exit code 0
    -- stdout
    j-1: stopped
    event       leads to
    start_work  in_progress
    ");
    assert_snapshot!(cli.run("lifecycle event job j-1 start_work --by ann"), @r"
    exit code 0
    -- stdout
    j-1: stopped to in_progress
    ");
    assert_snapshot!(cli.run("lifecycle event job j-1 input_received"), @r#"
    exit code 5
    -- stderr
    error: update job/j-1 (backend sqlite): the event "input_received" does not lead on from "in_progress"; expected successfully_done, awaiting_on_input, cancel_requested, error_encountered
    "#);
    assert_snapshot!(cli.run("lifecycle event job j-1 fly"), @r#"
    exit code 5
    -- stderr
    error: update job/j-1 (backend sqlite): its lifecycle does not know the event "fly"; expected successfully_done, awaiting_on_input, cancel_requested, error_encountered
    "#);
    assert_snapshot!(cli.run("lifecycle event job j-1 successfully_done --format json"), @r#"
    exit code 0
    -- stdout
    {"entity":"j-1","from":"in_progress","event":"successfully_done","to":"completed","by":"mortise","at":"[time]"}
    "#);
    assert_snapshot!(cli.run("lifecycle event job j-1 start_work"), @r#"
    exit code 5
    -- stderr
    error: update job/j-1 (backend sqlite): "completed" is final, and the event "start_work" does not leave it
    "#);
    assert_snapshot!(cli.run("lifecycle show job j-1 --format json"), @r#"
    exit code 0
    -- stdout
    {"id":"j-1","state":"completed","final":true,"events":[]}
    "#);
    assert_snapshot!(cli.run("lifecycle history job j-1"), @r"
    exit code 0
    -- stdout
    at                        from         event              to           by
    [time]  stopped      start_work         in_progress  ann
    [time]  in_progress  successfully_done  completed    mortise
    ");
    assert_snapshot!(cli.run("lifecycle history job j-1 --format json"), @r#"
    exit code 0
    -- stdout
    {"entity":"j-1","from":"stopped","event":"start_work","to":"in_progress","by":"ann","at":"[time]"}
    {"entity":"j-1","from":"in_progress","event":"successfully_done","to":"completed","by":"mortise","at":"[time]"}
    "#);
    assert_snapshot!(cli.run("lifecycle event job j-9 start_work"), @r"
    exit code 3
    -- stderr
    error: update job/j-9 (backend sqlite): there is no such record
    ");
    assert_snapshot!(cli.run("lifecycle show job j-9"), @r"
    exit code 3
    -- stderr
    error: there is no job j-9
    ");
    assert_snapshot!(cli.run("lifecycle show job"), @r"
    exit code 2
    -- stderr
    error: the following required arguments were not provided:
      <ID>

    Usage: mortise lifecycle show --store <URL|NAME> <COLLECTION> <ID>

    For more information, try '--help'.
    ");
}

#[test]
fn machines_are_shown_and_brought_along() {
    let _settings = settings().bind_to_scope();
    let cli = Cli::new();
    assert_snapshot!(cli.run("lifecycle show"), @r"
    exit code 0
    -- stdout
    machine  entity
    initial  stopped
    running  in_progress, awaiting, cancelling
    final    completed, failed, cancelled

    from         event                 to
    stopped      start_work            in_progress
    in_progress  successfully_done     completed
    in_progress  awaiting_on_input     awaiting
    in_progress  cancel_requested      cancelling
    in_progress  error_encountered     failed
    awaiting     timeout_or_error      failed
    awaiting     input_received        in_progress
    awaiting     cancel_while_waiting  cancelling
    cancelling   cancel_confirmed      cancelled
    ");
    assert_snapshot!(cli.run("lifecycle show --machine agent-task"), @r"
    exit code 0
    -- stdout
    machine  agent-task
    initial  Running
    running  Running, Paused
    final    Completed, Failed, Canceled

    from     event     to
    Running  pause     Paused
    Running  complete  Completed
    Running  fail      Failed
    Running  cancel    Canceled
    Paused   resume    Running
    Paused   fail      Failed
    Paused   cancel    Canceled
    ");
    assert_snapshot!(cli.run("lifecycle show --machine a2a-task"), @r"
    exit code 0
    -- stdout
    machine  a2a-task
    initial  submitted
    running  submitted, working, input-required, auth-required
    final    completed, failed, canceled, rejected

    from            event          to
    submitted       start          working
    submitted       require_input  input-required
    submitted       require_auth   auth-required
    submitted       complete       completed
    submitted       fail           failed
    submitted       cancel         canceled
    submitted       reject         rejected
    working         require_input  input-required
    working         require_auth   auth-required
    working         complete       completed
    working         fail           failed
    working         cancel         canceled
    working         reject         rejected
    input-required  receive_input  working
    input-required  fail           failed
    input-required  cancel         canceled
    auth-required   receive_auth   working
    auth-required   fail           failed
    auth-required   cancel         canceled
    ");
    fs::write(cli.path("order.json"), r#"{"name":"order","initial":"open","running":["open"],"final":["shipped"],"transitions":[["open","ship","shipped"]]}"#).unwrap();
    assert_snapshot!(cli.run("lifecycle show --machine order.json --format json"), @r#"
    exit code 0
    -- stdout
    {"name":"order","status":"status","initial":"open","running":["open"],"final":["shipped"],"transitions":[["open","ship","shipped"]]}
    "#);
    assert_snapshot!(cli.feed(r#"{"id":"o-1","status":"open"}"#, "entity save order"), @r"
    exit code 0
    -- stdout
    o-1  revision 1
    ");
    assert_snapshot!(cli.run("lifecycle event order o-1 ship --machine order.json"), @r"
    exit code 0
    -- stdout
    o-1: open to shipped
    ");
    fs::write(cli.path("flawed.json"), r#"{"name":"flawed","initial":"open","running":[],"final":["open"],"transitions":[["open","ship","shipped"]]}"#).unwrap();
    assert_snapshot!(cli.run("lifecycle show --machine flawed.json"), @r#"
    exit code 6
    -- stderr
    error: flawed.json is no state machine
    caused by: the state machine "flawed": "open" is final, but "ship" leaves it
    "#);
    assert_snapshot!(cli.run("lifecycle show --machine nowhere.json"), @r"
    exit code 1
    -- stderr
    error: nowhere.json is neither entity, agent-task nor a2a-task, nor a file that can be read
    caused by: No such file or directory (os error 2)
    ");
}

#[test]
fn what_was_running_is_listed_and_claimed() {
    let _settings = settings().bind_to_scope();
    let cli = Cli::new();
    assert_snapshot!(cli.feed(r#"{"id":"j-1","name":"Screening","status":"stopped","cost":0.10}
{"id":"j-2","name":"Outreach",
 "status":"in_progress","case_ids":["c-1", "c-2"]}
"#, "entity save job"), @r"
    exit code 0
    -- stdout
    j-1  revision 1
    j-2  revision 2
    ");
    assert_snapshot!(cli.feed(r#"{"id":"j-3","status":"awaiting"}"#, "entity save job"), @r"
    exit code 0
    -- stdout
    j-3  revision 3
    ");
    assert_snapshot!(cli.run("resume list job"), @r"
    exit code 0
    -- stdout
    id   state        revision  owner  until
    j-2  in_progress  2
    j-3  awaiting     3
    ");
    assert_snapshot!(cli.run("resume claim job j-2 --owner host-1 --lease 1h"), @r"
    exit code 0
    -- stdout
    j-2 is host-1's until [time]
    ");
    assert_snapshot!(cli.run("resume claim job j-2 --owner host-2"), @r"
    exit code 5
    -- stderr
    error: job j-2 is host-1's until [time]
    hint: claim it again when the lease ran out
    ");
    assert_snapshot!(cli.run("resume claim job j-1 --owner host-2"), @r"
    exit code 5
    -- stderr
    error: job j-1 is stopped, and not to be resumed
    hint: `resume list` shows what is running
    ");
    assert_snapshot!(cli.run("resume claim job j-9 --owner host-2"), @r"
    exit code 3
    -- stderr
    error: there is no job j-9
    ");
    assert_snapshot!(cli.run("resume list job --format json"), @r#"
    exit code 0
    -- stdout
    {"id":"j-2","state":"in_progress","revision":2,"owner":"host-1","until":[ms]}
    {"id":"j-3","state":"awaiting","revision":3,"owner":null,"until":null}
    "#);
    assert_snapshot!(cli.run("resume list job --any-state"), @r"
    exit code 0
    -- stdout
    id   state        revision  owner   until
    j-1  stopped      1
    j-2  in_progress  2         host-1  [time]
    j-3  awaiting     3
    ");
    assert_snapshot!(cli.run("resume list job --state stopped"), @r"
    exit code 0
    -- stdout
    id   state    revision  owner  until
    j-1  stopped  1
    ");
    assert_snapshot!(cli.run("resume list job --limit 1 --format json"), @r#"
    exit code 0
    -- stdout
    {"id":"j-2","state":"in_progress","revision":2,"owner":"host-1","until":[ms]}
    {"next":"1:"}
    "#);
    assert_snapshot!(cli.run("resume claim job --owner host-2 --lease 1h --format json"), @r#"
    exit code 0
    -- stdout
    {"id":"j-3","owner":"host-2","until":[ms],"revision":3,"entity":{"id":"j-3","status":"awaiting"}}
    "#);
    assert_snapshot!(cli.run("resume claim job --owner host-3"), @r"
    exit code 0
    -- stderr
    nothing was running that nobody has
    ");
    assert_snapshot!(cli.run("resume claim job --owner host-3 --lease never"), @r#"
    exit code 2
    -- stderr
    error: invalid value 'never' for '--lease <DURATION>': "never" is no duration, expected one like "250ms" or "5s"

    For more information, try '--help'.
    "#);
}

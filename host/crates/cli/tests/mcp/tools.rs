//! Each tool's good path and its errors, over stdio, on memory and SQLite.

use insta::assert_snapshot;
use serde_json::json;

use super::by_hand::{Client, task};

/// Runs a test with a session on each backend.
fn on_each(test: impl Fn(&mut Client, &str)) {
    for store in ["memory:", "sqlite:tasks.db"] {
        let folder = tempfile::tempdir().unwrap();
        let mut client = Client::initialized(folder.path(), &["--store", store]);
        test(&mut client, store);
    }
}

#[test]
fn tools_are_listed() {
    let folder = tempfile::tempdir().unwrap();
    let mut client = Client::start(folder.path(), &["--store", "memory:"]);
    let about = client.initialize();
    assert_eq!(about["protocolVersion"], "2025-11-25");
    assert_eq!(about["serverInfo"]["name"], "mortise");
    let listed = client.request("tools/list", "{}");
    let tools = listed["result"]["tools"].as_array().unwrap();
    let lines: Vec<_> = tools
        .iter()
        .map(|tool| {
            let hints = &tool["annotations"];
            let hint = |name: &'static str| if hints[name] == true { name } else { "" };
            let hints = ["readOnlyHint", "destructiveHint", "idempotentHint"].map(hint);
            let line = format!("{} {}", tool["name"].as_str().unwrap(), hints.join(" "));
            line.split_whitespace().collect::<Vec<_>>().join(" ")
        })
        .collect();
    assert_snapshot!(lines.join("\n"), @r"
    create_task
    load_task readOnlyHint idempotentHint
    update_task destructiveHint idempotentHint
    delete_task destructiveHint idempotentHint
    find_task_by_request_id readOnlyHint idempotentHint
    list_tasks readOnlyHint idempotentHint
    save_entity destructiveHint idempotentHint
    load_entity readOnlyHint idempotentHint
    delete_entity destructiveHint idempotentHint
    list_entities readOnlyHint idempotentHint
    send_event destructiveHint
    get_history readOnlyHint idempotentHint
    list_stores readOnlyHint idempotentHint
    store_health readOnlyHint idempotentHint
    migration_status readOnlyHint idempotentHint
    restart_server destructiveHint
    restart_status readOnlyHint idempotentHint
    ");
}

#[test]
fn tasks_are_kept() {
    on_each(|client, _| {
        let first = task("t-1", "r-1", "");
        let created = client.ok("create_task", &format!(r#"{{"task":{first}}}"#));
        let revision = created["revision"].as_u64().unwrap();
        assert_eq!(created["task_id"], "t-1");
        client.fails(
            "create_task",
            &format!(r#"{{"task":{first}}}"#),
            "already-exists",
        );

        let loaded = client.ok("load_task", r#"{"task_id":"t-1"}"#);
        assert_eq!(loaded["revision"], revision);
        assert_eq!(loaded["task"]["items"][0]["request_id"], "r-1");
        let missing = client.fails("load_task", r#"{"task_id":"t-9"}"#, "not-found");
        assert_eq!(missing["key"], json!(["task", "t-9"]));

        let found = client.ok("find_task_by_request_id", r#"{"request_id":"r-1"}"#);
        assert_eq!(found["task"]["task_id"], "t-1");
        client.fails(
            "find_task_by_request_id",
            r#"{"request_id":"r-9"}"#,
            "not-found",
        );

        let paused = first.replace("Running", "Paused");
        let update = format!(r#"{{"task":{paused},"revision":{revision}}}"#);
        let updated = client.ok("update_task", &update);
        let now = updated["revision"].as_u64().unwrap();
        assert!(now > revision);
        let conflict = client.fails("update_task", &update, "conflict");
        assert_eq!(conflict["current"]["mod_revision"], now);
        assert_eq!(conflict["current"]["body"], paused);
        let unknown = task("t-9", "r", "");
        client.fails(
            "update_task",
            &format!(r#"{{"task":{unknown},"revision":1}}"#),
            "not-found",
        );

        let stale = format!(r#"{{"task_id":"t-1","revision":{revision}}}"#);
        client.fails("delete_task", &stale, "conflict");
        client.ok("delete_task", r#"{"task_id":"t-1"}"#);
        client.fails("delete_task", r#"{"task_id":"t-1"}"#, "not-found");
    });
}

#[test]
fn tasks_are_listed_page_by_page() {
    on_each(|client, _| {
        for number in 0..5 {
            let task = task(&format!("t-{number}"), "r", "");
            client.ok("create_task", &format!(r#"{{"task":{task}}}"#));
        }
        let (mut ids, mut after) = (Vec::new(), String::new());
        loop {
            let query = format!(r#"{{"limit":2,"status":"Running","newest_first":true{after}}}"#);
            let page = client.ok("list_tasks", &query);
            let tasks = page["tasks"].as_array().unwrap();
            assert!(tasks.len() <= 2);
            ids.extend(tasks.iter().map(|found| found["task"]["task_id"].clone()));
            match page["next"].as_str() {
                Some(next) => after = format!(r#","after":"{next}""#),
                None => break,
            }
        }
        assert_eq!(ids, ["t-4", "t-3", "t-2", "t-1", "t-0"]);
        let none = client.ok("list_tasks", r#"{"session_id":"s-9"}"#);
        assert_eq!(none, json!({"tasks": []}));
        client.fails("list_tasks", r#"{"after":"no cursor"}"#, "invalid");
        for limit in ["0", "101"] {
            let query = format!(r#"{{"limit":{limit}}}"#);
            let problem = client.fails("list_tasks", &query, "invalid");
            let detail = format!("the limit is {limit}, expected 1 to 100");
            assert_eq!(problem["detail"], detail);
        }
    });
}

#[test]
fn entities_are_kept() {
    on_each(|client, _| {
        let save = |entity: &str| format!(r#"{{"collection":"job","entity":{entity}}}"#);
        let first = save(r#"{"id":"j-1","name":"Screening","status":"stopped","case_id":"c-1"}"#);
        client.ok("save_entity", &first);
        let merged = client.ok("save_entity", &save(r#"{"id":"j-1","name":"Renamed"}"#));
        assert_eq!(
            merged["entity"],
            json!({"id":"j-1","name":"Renamed","status":"stopped","case_id":"c-1"})
        );
        client.fails("save_entity", &save(r#"{"name":"no id"}"#), "invalid");

        let save_at = |revision: &serde_json::Value| {
            let entity = r#"{"id":"j-1","name":"At"}"#;
            format!(r#"{{"collection":"job","entity":{entity},"revision":{revision}}}"#)
        };
        let read = merged["revision"].clone();
        let merged = client.ok("save_entity", &save_at(&read));
        assert_eq!(merged["entity"]["status"], "stopped");
        let conflict = client.fails("save_entity", &save_at(&read), "conflict");
        assert_eq!(conflict["current"]["mod_revision"], merged["revision"]);
        let missing = save_at(&read).replace("j-1", "j-9");
        client.fails("save_entity", &missing, "not-found");

        let named = r#"{"collection":"job","id":"j-1"}"#;
        let loaded = client.ok("load_entity", named);
        assert_eq!(loaded["revision"], merged["revision"]);
        client.fails(
            "load_entity",
            r#"{"collection":"job","id":"j-9"}"#,
            "not-found",
        );

        let by = |case: &str| {
            format!(
                r#"{{"collection":"job","attributes":{{"case_id":"{case}","status":"stopped"}}}}"#
            )
        };
        let found = client.ok("list_entities", &by("c-1"));
        assert_eq!(found["entities"][0]["entity"], merged["entity"]);
        let none = client.ok("list_entities", &by("c-9"));
        assert_eq!(none, json!({"entities": []}));

        let deleted = client.ok("delete_entity", named);
        assert_eq!(deleted, json!({"id":"j-1","deleted":true}));
        let again = client.ok("delete_entity", named);
        assert_eq!(again, json!({"id":"j-1","deleted":false}));
    });
}

#[test]
fn events_lead_from_state_to_state() {
    on_each(|client, _| {
        let entity = r#"{"id":"j-1","status":"stopped"}"#;
        client.ok(
            "save_entity",
            &format!(r#"{{"collection":"job","entity":{entity}}}"#),
        );
        let send = |event: &str| format!(r#"{{"collection":"job","id":"j-1","event":"{event}"}}"#);
        let made = client.ok("send_event", &send("start_work"));
        assert_eq!(made["transition"]["to"], "in_progress");
        assert_eq!(made["transition"]["by"], "by hand");
        assert_eq!(made["entity"]["status"], "in_progress");
        let refused = client.fails("send_event", &send("start_work"), "invalid-transition");
        assert_eq!(refused["state"], "in_progress");
        assert!(!refused["allowed"].as_array().unwrap().is_empty());
        let missing = r#"{"collection":"job","id":"j-9","event":"start_work"}"#;
        client.fails("send_event", missing, "not-found");
        let machine = r#"{"collection":"job","id":"j-1","event":"x","machine":"mine"}"#;
        client.fails("send_event", machine, "invalid");

        let history = client.ok("get_history", r#"{"collection":"job","id":"j-1"}"#);
        assert_eq!(history["transitions"], json!([made["transition"]]));

        // A task goes by the machine of tasks.
        let task = task("t-1", "r-1", "");
        client.ok("create_task", &format!(r#"{{"task":{task}}}"#));
        let pause = r#"{"collection":"task","id":"t-1","event":"pause","by":"ann"}"#;
        let made = client.ok("send_event", pause);
        assert_eq!(made["transition"]["to"], "Paused");
        assert_eq!(made["transition"]["by"], "ann");
    });
}

#[test]
fn stores_tell_how_they_are() {
    on_each(|client, store| {
        let backend = store.split(':').next().unwrap();
        let listed = client.ok("list_stores", "{}");
        let store = &listed["stores"][0];
        assert_eq!(store["name"], backend);
        assert_eq!(store["default"], true);
        assert_eq!(store["durable"], backend == "sqlite");

        let health = client.ok("store_health", "{}");
        assert_eq!(health["healthy"], true);
        assert_eq!(health["breaker"], "closed");

        if backend == "sqlite" {
            let migration = client.ok("migration_status", "{}");
            assert_eq!(migration["needed"], false);
            assert_eq!(migration["last"]["outcome"], "applied");
        } else {
            client.fails("migration_status", "{}", "unsupported");
        }
        let problem = client.fails("store_health", r#"{"store":"other"}"#, "no-such-store");
        assert_eq!(problem["hint"], "list_stores tells their names");
    });
}

#[test]
fn every_digit_is_kept() {
    on_each(|client, _| {
        let digits = r#","cost":0.10,"big":123456789012345678901234567890,"far":1e400"#;
        let task = task("t-1", "r-1", digits);
        client.ok("create_task", &format!(r#"{{"task":{task}}}"#));
        let loaded = client.call("load_task", r#"{"task_id":"t-1"}"#);
        assert!(loaded.text.contains(&task), "{}", loaded.text);
        assert_eq!(loaded.structured["task"]["far"], "1e400");
        let entity = r#"{"id":"j-1","cost":0.10,"far":1e400}"#;
        let saved = client.call(
            "save_entity",
            &format!(r#"{{"collection":"job","entity":{entity}}}"#),
        );
        assert!(saved.text.contains(entity), "{}", saved.text);
    });
}

#[test]
fn arguments_that_are_not_understood_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let mut client = Client::initialized(folder.path(), &["--store", "memory:"]);
    for (tool, arguments, expected) in [
        ("load_task", "{}", "missing field `task_id`"),
        ("load_task", r#"{"task_id":7}"#, "expected a string"),
        ("load_task", r#"{"task_id":"t","x":1}"#, "unknown field `x`"),
        (
            "create_task",
            r#"{"task":{"task_id":"t"}}"#,
            "missing field `session_id`",
        ),
    ] {
        let problem = client.fails(tool, arguments, "invalid");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(expected), "{detail}");
    }
    for (method, params, code) in [
        (
            "tools/call",
            r#"{"name":"drop_everything","arguments":{}}"#,
            -32602,
        ),
        (
            "tools/call",
            r#"{"name":"load_task","arguments":[1]}"#,
            -32602,
        ),
        ("nothing/at_all", "{}", -32601),
    ] {
        let answer = client.request(method, params);
        assert_eq!(answer["error"]["code"], code, "{answer}");
    }
    // It goes on.
    client.ok("list_stores", "{}");
}

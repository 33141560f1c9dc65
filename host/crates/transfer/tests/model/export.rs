//! Exports and imports: a store as lines, and back.

use mortise_store::{Error, ErrorKind};
use mortise_transfer::{export, import};

use crate::{all, draft, exported, fill, key, stores};

#[tokio::test]
async fn a_store_becomes_lines_and_the_lines_become_it_again() {
    let (from, to, _) = stores();
    fill(&from, 1500).await;
    let (mut file, mut told) = (Vec::new(), Vec::new());
    let records = export(&from, &mut file, |records| told.push(records)).await;
    assert_eq!(records.unwrap(), 1500);
    assert_eq!(told.last(), Some(&1500));
    told.clear();
    let records = import(&to, &*file, |records| told.push(records)).await;
    assert_eq!(records.unwrap(), 1500);
    assert_eq!(told, [1000, 1500]);
    assert!(all(&to).await == all(&from).await, "the records differ");
    // Once more changes nothing, and revisions go on above the highest.
    import(&to, &*file, |_| {}).await.unwrap();
    assert!(exported(&to).await == file, "the exports differ");
    let next = to.create(draft("new", "")).await.unwrap();
    assert_eq!(next.create_revision, 1501);
}

#[tokio::test]
async fn lines_are_what_the_format_says() {
    let (from, _, _) = stores();
    let record = draft("a", "{}")
        .attribute("n", "v")
        .expires_at(4_000_000_000_000);
    from.create(record).await.unwrap();
    from.create(draft("b", "").attribute("n", ""))
        .await
        .unwrap();
    let mut bytes = draft("c", "");
    bytes.body = b"\xff".to_vec();
    from.create(bytes).await.unwrap();
    let text = String::from_utf8(exported(&from).await).unwrap();
    let lines: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let header = serde_json::json!({"format": "mortise-export", "version": 1, "contract": "0.1.0"});
    assert_eq!((lines.len(), &lines[0]), (5, &header));
    assert_eq!(
        lines[1],
        serde_json::json!({
            "collection": "task", "id": "a", "body": "{}", "attributes": [["n", "v"]],
            "expires_at": 4_000_000_000_000_u64, "create_revision": 1, "mod_revision": 1,
            "created_at": crate::START, "updated_at": crate::START,
        })
    );
    assert_eq!(lines[2]["expires_at"], serde_json::Value::Null);
    assert_eq!(
        (&lines[3]["body"], &lines[3]["body_base64"]),
        (&serde_json::Value::Null, &"/w==".into())
    );
    assert_eq!(lines[4]["end"]["records"], 3);
}

#[tokio::test]
async fn a_damaged_line_is_named_and_nothing_after_it_is_imported() {
    let (from, to, _) = stores();
    for id in ["a", "b", "c"] {
        from.create(draft(id, "body")).await.unwrap();
    }
    let file = String::from_utf8(exported(&from).await).unwrap();
    let cut = &file[..file.rfind("{\"end\"").unwrap()];
    let changed = file.replace("\"id\":\"b\"", "\"id\":\"x\"");
    for (damaged, told) in [
        (file.replace("\"id\":\"b\"", "\"id\":7"), "line 3"),
        (cut.to_owned(), "line 5"),
        (changed, "line 5"),
    ] {
        let error = import(&to, damaged.as_bytes(), |_| {}).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().contains(told), "{error}");
        assert!(
            error.to_string().contains("0 records were imported before"),
            "{error}"
        );
        assert_eq!(all(&to).await, []);
    }
    import(&to, file.as_bytes(), |_| {}).await.unwrap();
    assert_eq!(all(&to).await, all(&from).await);
}

#[tokio::test]
async fn a_record_that_is_in_the_way_is_named() {
    let (from, to, _) = stores();
    from.create(draft("a", "source")).await.unwrap();
    // Beyond the revision that is imported: only the key is in the way.
    to.create(draft("gone", "")).await.unwrap();
    to.delete(&key("gone"), None).await.unwrap();
    let taken = to.create(draft("a", "target")).await.unwrap();
    let error = import(&to, &*exported(&from).await, |_| {})
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.key()),
        (ErrorKind::Conflict, Some(&key("a")))
    );
    let source = std::error::Error::source(&error).unwrap();
    let source = source.downcast_ref::<Error>().unwrap();
    assert_eq!(source.current().unwrap().stamp, taken);
    assert_eq!(
        to.load(&key("a")).await.unwrap().unwrap().draft.body,
        b"target"
    );
}

//! What a component can see of the host: its import list, and an empty WASI.

use mortise::{Capability, Manifest};

use crate::support::{component, host, key};

#[test]
fn the_built_in_backends_import_nothing_but_the_contract() {
    for (name, imports) in [
        ("memory", &["clock", "log"][..]),
        ("sqlite", &["clock", "log", "sqlite"][..]),
        ("redis", &["clock", "log", "redis"][..]),
    ] {
        let manifest = Manifest::read(component(name)).unwrap();
        let mut expected: Vec<_> = imports
            .iter()
            .map(|import| format!("mortise:persistence/{import}@0.1.0"))
            .collect();
        let types = "mortise:persistence/types@0.1.0".to_owned();
        expected.push(types);
        let mut found = manifest.imports.clone();
        expected.sort();
        found.sort();
        assert_eq!(found, expected, "{name}");
        assert!(!manifest.uses_wasi());
        let needs: Vec<_> = manifest
            .capabilities()
            .into_iter()
            .filter(|c| c.needs_grant())
            .collect();
        assert_eq!(needs.contains(&Capability::Sqlite), name == "sqlite");
        assert_eq!(needs.contains(&Capability::Redis), name == "redis");
    }
}

/// Nothing of this process is there for a component that asks WASI.
#[tokio::test(flavor = "multi_thread")]
async fn wasi_shows_an_empty_world() {
    let host = host().build().unwrap();
    let store = host.open("wasi-probe:").await.unwrap();
    assert!(host.manifest("wasi-probe").unwrap().uses_wasi());
    let ask = async |what: &str| {
        let answer = store.load(&key(what)).await.unwrap().unwrap();
        String::from_utf8(answer.draft.body).unwrap()
    };
    let seen = ask("env").await;
    assert_eq!(seen, "vars [] args []");
    for (name, value) in std::env::vars().filter(|(name, value)| name.len() > 3 && value.len() > 3)
    {
        assert!(
            !seen.contains(&name) && !seen.contains(&value),
            "{name} is seen: {seen}"
        );
    }
    let files = ask("fs").await;
    assert!(!files.contains("root:"), "{files}");
    assert_eq!(files.lines().count(), 4, "{files}");
    assert!(
        files.lines().all(|line| line.contains(": error ")),
        "{files}"
    );
    let connection = ask("tcp").await;
    assert!(connection.contains("Err"), "{connection}");
    ask("stdout").await;
    for works in ["time", "random"] {
        ask(works).await;
    }
}

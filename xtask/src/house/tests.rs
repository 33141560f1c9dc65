use std::fs;
use std::process::Command;

use super::*;

/// A small house: `low`, `middle` uses it, `high` uses both.
const SMALL: &[Row] = &[
    Row("low", &[], &["high"]),
    Row("middle", &["low"], &["serde"]),
    Row("high", &["low", "middle"], &["heavy"]),
];

struct Fixture(tempfile::TempDir);

impl Fixture {
    fn new() -> Self {
        let fixture = Self(tempfile::tempdir().unwrap());
        fixture.write(
            "Cargo.toml",
            "[workspace]\nmembers = [\"host/*\"]\nresolver = \"3\"\n",
        );
        fixture.write("Cargo.lock", "name = \"serde\"\nname = \"heavy\"\n");
        for (name, uses, rule) in [
            (
                "low",
                "",
                "Uses: nothing of ours. Never: high: it is the lowest.",
            ),
            (
                "middle",
                LOW,
                "Uses: low. Never: serde: it\n//! needs none.",
            ),
            (
                "high",
                "low = { path = \"../low\" }\nmiddle = { path = \"../middle\", optional = true }\n",
                "Uses: middle, low. Never: heavy: it takes long to build.",
            ),
        ] {
            fixture.manifest(name, uses);
            fixture.write(
                &format!("host/{name}/src/lib.rs"),
                &format!("//! {name}.\n//!\n//! {rule}\n"),
            );
        }
        fixture
    }

    fn write(&self, file: &str, text: &str) {
        let file = self.0.path().join(file);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }

    fn manifest(&self, name: &str, uses: &str) {
        self.write(
            &format!("host/{name}/Cargo.toml"),
            &format!(
                "[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[dependencies]\n{uses}"
            ),
        );
    }

    fn faults(&self) -> Vec<String> {
        faults(self.0.path(), SMALL).unwrap()
    }

    /// The only fault, which says all of this.
    fn fault(&self, parts: &[&str]) {
        let faults = self.faults();
        assert_eq!(faults.len(), 1, "{faults:#?}");
        for part in parts {
            assert!(faults[0].contains(part), "{part:?} is not in {faults:?}");
        }
    }
}

const LOW: &str = "low = { path = \"../low\" }\n";

#[test]
fn our_house_is_in_order() {
    check(&crate::root()).unwrap();
}

#[test]
fn a_house_in_order_has_no_faults() {
    assert_eq!(Fixture::new().faults(), Vec::<String>::new());
}

#[test]
fn a_dependency_that_the_table_has_not_is_named_with_its_line() {
    let house = Fixture::new();
    house.manifest("middle", "");
    house.manifest("low", "# a comment\nmiddle.path = \"../middle\"\n");
    let faults = house.faults();
    assert!(
        faults.iter().any(|fault| fault.contains(
            "host/low/Cargo.toml:8: low must not use middle; its rule: Uses: nothing of ours."
        )),
        "{faults:#?}"
    );
}

#[test]
fn tests_use_more_than_the_table_has_but_not_what_the_crate_never_uses() {
    let house = Fixture::new();
    let tests = |name: &str, uses: &str| {
        house.manifest(name, &format!("{LOW}\n[dev-dependencies]\n{uses}\n"));
    };
    tests("middle", "toml = \"1\"");
    assert_eq!(house.faults(), Vec::<String>::new());
    tests("middle", "serde = \"1\"");
    house.fault(&["middle, by its tests, reaches serde (middle → serde)"]);
}

#[test]
fn what_tests_reach_does_not_hide_what_the_crate_reaches() {
    let house = Fixture::new();
    house.manifest("low", "[build-dependencies]\nheavy = \"1\"\n");
    house.manifest(
        "high",
        &format!("{LOW}middle = {{ path = \"../middle\" }}\n[dev-dependencies]\nheavy = \"1\"\n"),
    );
    house.fault(&["high reaches heavy (high → low → heavy)"]);
}

#[test]
fn what_others_bring_is_read_from_the_lock_file() {
    let house = Fixture::new();
    house.manifest("middle", &format!("{LOW}wrapper = \"1\"\n"));
    let lock = "name = \"heavy\"\nname = \"serde\"\nname = \"wrapper\"\ndependencies = [\n \"serde 1.0.0\",\n]\n";
    house.write("Cargo.lock", lock);
    house.fault(&["host/middle/Cargo.toml:8: middle reaches serde (middle → wrapper → serde)"]);
}

#[test]
fn a_row_uses_only_rows_before_it() {
    let house = Fixture::new();
    let [low, middle, high] = SMALL else {
        panic!("three")
    };
    let faults = faults(house.0.path(), &[*middle, *low, *high]).unwrap();
    assert_eq!(faults.len(), 1, "{faults:#?}");
    assert!(faults[0].contains("middle uses low, which stands after it"));
}

#[test]
fn the_facade_uses_nothing_of_others() {
    let house = Fixture::new();
    house.manifest(FACADE, "serde = \"1\"\n");
    let rule = "//! Uses: nothing of ours. Never: heavy: it only hands on.\n";
    house.write(&format!("host/{FACADE}/src/lib.rs"), rule);
    let rows = [SMALL, &[Row(FACADE, &[], &["heavy"])]].concat();
    let faults = faults(house.0.path(), &rows).unwrap();
    assert_eq!(faults.len(), 1, "{faults:#?}");
    assert!(faults[0].contains("host/mortise/Cargo.toml:7: mortise uses serde"));
}

#[test]
fn what_carries_features_has_no_code() {
    let house = Fixture::new();
    let carrier = "mortise-features-all";
    house.manifest(carrier, LOW);
    house.write(
        &format!("host/{carrier}/src/lib.rs"),
        "//! Features.\n\npub use low;\n",
    );
    let faults = house.faults();
    assert_eq!(faults.len(), 2, "{faults:#?}");
    assert!(faults[0].contains("src/lib.rs:3: mortise-features-all has code"));
    assert!(faults[1].contains("Cargo.toml:7: mortise-features-all uses low"));
}

#[test]
fn what_hides_a_module_is_named() {
    let house = Fixture::new();
    house.write(
        "host/low/src/lib.rs",
        "//! Uses: nothing of ours. Never: high: it is the lowest.\n\n#[cfg(unix)] mod ground; // the cellar\n\nmod first;\n",
    );
    house.write("host/low/src/first.rs", "");
    let ground = "host/low/src/ground.rs";
    for (code, what) in [
        ("use crate::first::Stairs;", "`ground` uses `crate::first`"),
        ("use super::*;", "`use …::*` hides"),
        ("use crate::{self as me};", "`use … as` hides"),
        ("#[path = \"../first.rs\"]", "`#[path]` hides"),
        ("mod other { include!(\"first.rs\"); }", "`include!` hides"),
    ] {
        house.write(ground, &format!("{code}\n"));
        house.fault(&["host/low/src/ground.rs:1: ", what]);
    }
    house.write(
        ground,
        "use std::io::{self as streams};\nconst TEXT: &str = include_str!(\"a\");\n",
    );
    assert_eq!(house.faults(), Vec::<String>::new());
}

#[test]
fn a_row_that_is_not_used_any_more_is_named() {
    let house = Fixture::new();
    house.manifest("middle", "");
    house.fault(&["host/middle/Cargo.toml", "middle does not use low"]);
}

#[test]
fn what_a_crate_never_uses_it_does_not_reach_through_others_either() {
    let house = Fixture::new();
    house.manifest("low", "[build-dependencies]\nheavy = \"1\"\n");
    house.fault(&[
        "host/low/Cargo.toml:8: high reaches heavy (high → low → heavy)",
        "it takes long to build",
    ]);
}

#[test]
fn what_has_no_code_needs_no_row_and_hides_nothing() {
    let house = Fixture::new();
    let carrier = "mortise-features-all";
    let uses = |text: &str| house.manifest(carrier, text);
    uses("");
    house.write(&format!("host/{carrier}/src/lib.rs"), "");
    let through = format!("{LOW}{carrier} = {{ path = \"../{carrier}\" }}\n");
    house.manifest("middle", &through);
    assert_eq!(house.faults(), Vec::<String>::new());
    uses("serde = \"1\"\n");
    house.fault(&["middle reaches serde (middle → mortise-features-all → serde)"]);
}

#[test]
fn a_renamed_dependency_is_found_by_its_package() {
    let house = Fixture::new();
    let renamed = "[target.'cfg(unix)'.dependencies.other]\npackage = \"serde\"\nversion = \"1\"\noptional = true\n";
    house.manifest("middle", &format!("{LOW}\n{renamed}"));
    house.fault(&[
        "host/middle/Cargo.toml:9: middle reaches serde (middle → serde)",
        "Never: serde: it needs none.",
    ]);
}

#[test]
fn a_rule_that_differs_from_the_table_is_named_with_its_line() {
    let house = Fixture::new();
    let file = "host/middle/src/lib.rs";
    house.write(
        file,
        "//! Middle.\n//! Uses: low. Never: toml: it needs none.\n",
    );
    let faults = house.faults();
    assert_eq!(faults.len(), 2, "{faults:#?}");
    assert!(
        faults[0].contains(
            "host/middle/src/lib.rs:2: middle: the table of the house says `never serde`"
        )
    );
    assert!(faults[1].contains("host/middle/src/lib.rs:2: middle: this line says `never toml`"));
    house.write(file, "//! Uses: low. Never: serde:\n");
    house.fault(&["host/middle/src/lib.rs:1", "not of the form"]);
    house.write(file, "//! Middle.\n");
    house.fault(&["host/middle/src/lib.rs", "no line"]);
    let rule = "//! Uses: low. Never: serde: it needs none.\n";
    house.write(file, &format!("{rule}//!\n{rule}"));
    house.fault(&["host/middle/src/lib.rs", "two lines say the rule"]);
}

#[test]
fn a_use_that_runs_to_a_higher_floor_is_named_with_its_line() {
    let house = Fixture::new();
    house.write(
        "host/low/src/lib.rs",
        "//! Uses: nothing of ours. Never: high: it is the lowest.\n\nmod ground;\n\nmod first;\n\npub use first::Stairs;\n",
    );
    house.write("host/low/src/ground.rs", "//! Ground.\n\nmod cellar;\n");
    house.write("host/low/src/first.rs", "use crate::ground::Door;\n");
    house.write(
        "host/low/src/ground/cellar.rs",
        "use crate::ground::Door;\n",
    );
    assert_eq!(house.faults(), Vec::<String>::new());
    house.write(
        "host/low/src/ground/cellar.rs",
        "use crate::ground::Door;\nuse crate::Stairs;\n",
    );
    house.fault(&["host/low/src/ground/cellar.rs:2: `ground` uses `crate::first`"]);
}

#[test]
fn a_package_without_a_row_and_a_row_without_a_package_are_named() {
    let house = Fixture::new();
    house.manifest("new", "");
    house.write("host/new/src/lib.rs", "");
    house.fault(&["host/new/Cargo.toml: new has no row"]);
    let faults = faults(
        Fixture::new().0.path(),
        &[SMALL, &[Row("gone", &[], &["nobody"])]].concat(),
    );
    let faults = faults.unwrap();
    assert_eq!(faults.len(), 2, "{faults:#?}");
    assert!(faults[0].contains("a row for gone"));
    assert!(faults[1].contains("gone never uses nobody"));
}

#[test]
fn rules_are_read_as_they_are_written() {
    let rule = Rule::parse("Uses: a, `b`. Never: c, d: e: f, g.").unwrap();
    assert_eq!(rule.uses, BTreeSet::from(["a", "b"]));
    assert_eq!(rule.never, BTreeSet::from(["c", "d"]));
    let rule = Rule::parse("Uses: nothing of ours.").unwrap();
    assert_eq!(rule.uses, BTreeSet::new());
    assert_eq!(rule.never, BTreeSet::new());
    assert_eq!(Rule::parse("Uses: a. Never: b, c."), None);
    assert_eq!(Rule::parse("Uses: what it likes. Never: a: why."), None);
}

/// The whole tree of some packages, as cargo resolves it for them alone.
fn tree(arguments: &[&str]) -> BTreeSet<String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["tree", "--prefix", "none", "--format", "{p}"])
        .args(arguments)
        .current_dir(crate::root())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let tree = String::from_utf8(output.stdout).unwrap();
    let names = tree.lines().filter_map(|line| line.split(' ').next());
    names.map(str::to_owned).collect()
}

fn assert_without(tree: &BTreeSet<String>, heavy: &[&str]) {
    for name in heavy {
        assert!(!tree.contains(*name), "{name} is in the tree");
    }
}

#[test]
fn a_program_that_asks_a_server_compiles_no_engine() {
    let client = [
        "--package",
        "mortise-client",
        "--all-features",
        "--edges",
        "normal,build",
    ];
    let tree = tree(&client);
    assert!(tree.contains("reqwest"), "{tree:?}");
    let heavy = [
        "wasmtime",
        "wasmtime-environ",
        "rusqlite",
        "libsqlite3-sys",
        "redis",
        "mortise-engine",
    ];
    assert_without(&tree, &heavy);
}

#[test]
fn the_demonstration_compiles_no_server_and_no_zoo() {
    let packages = crate::DEMO
        .iter()
        .flat_map(|package| ["--package", package]);
    let tree = tree(&packages.chain(["--edges", "all"]).collect::<Vec<_>>());
    assert!(tree.contains("wasmtime"), "{tree:?}");
    let heavy = [
        "axum",
        "hyper",
        "reqwest",
        "rmcp",
        "proptest",
        "clap",
        "mortise-serve",
        "mortise-client",
        "mortise-test-zoo",
    ];
    assert_without(&tree, &heavy);
}

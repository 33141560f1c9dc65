//! `mortise store copy`, `backup` and `restore`, and compressed exports.

use std::fs;

use insta::assert_snapshot;

use super::{Cli, FIXTURE, partial_files, task};

/// What is packed by the machine's library differs from version to version.
fn settings() -> insta::Settings {
    let mut settings = insta::Settings::clone_current();
    settings.add_filter(r"[0-9a-f]{64}", "[sha256]");
    settings.add_filter(r"\d+ bytes", "[n] bytes");
    settings.add_filter(r#""bytes":\d+"#, r#""bytes":[n]"#);
    settings
}

#[test]
fn a_store_is_copied_and_verified() {
    let _settings = settings().bind_to_scope();
    let cli = Cli::with_fixture();
    assert_snapshot!(cli.run("store copy sqlite:tasks.db sqlite:copy.db --dry-run"), @"");
    assert_snapshot!(cli.run("store copy sqlite:tasks.db sqlite:copy.db"), @"");
    assert_snapshot!(cli.run("store copy sqlite:tasks.db sqlite:copy.db --format json"), @"");
    assert_snapshot!(cli.run("store copy sqlite:copy.db memory: --no-verify --format json"), @"");
    let export = cli.run("store export").stdout;
    assert!(cli.run("store export --store sqlite:copy.db").stdout == export);

    let other = Cli::without_store();
    let text = "[stores.old]\nbackend = 'sqlite'\nsqlite = { path = 'old.db' }\n\
                [stores.new]\nbackend = 'sqlite'\nsqlite = { path = 'new.db' }\n";
    fs::write(other.path("mortise.toml"), text).unwrap();
    other.feed(&task("a", "Running"), "task create --store old");
    other.feed(&task("b", "Running"), "task create --store new");
    assert_snapshot!(other.run("store copy old new"), @"");
    assert_snapshot!(other.run("store copy old old"), @"");
    assert_snapshot!(other.run("store copy old sqlite:./old.db"), @"");
    assert_snapshot!(other.run("store copy old nowhere"), @"");
}

#[test]
fn a_backup_is_made_and_restored() {
    let _settings = settings().bind_to_scope();
    let cli = Cli::with_fixture();
    let export = cli.run("store export").stdout;
    assert_snapshot!(cli.run("store backup tasks.backup"), @"");
    assert_snapshot!(cli.run("store backup tasks.backup.zst --format json"), @"");
    cli.run("store backup tasks.backup.gz");
    let size = |name: &str| fs::metadata(cli.path(name)).unwrap().len();
    assert!(size("tasks.backup.zst") < size("tasks.backup") / 2);
    assert!(size("tasks.backup.gz") < size("tasks.backup") / 2);
    let summed = mortise::Digest::of(&fs::read(cli.path("tasks.backup.zst")).unwrap());
    let told = cli.run("store backup tasks.backup.zst").stdout;
    let summed_anew = mortise::Digest::of(&fs::read(cli.path("tasks.backup.zst")).unwrap());
    assert!(told.contains(&summed_anew.to_string()), "{told}");
    assert_ne!(summed, summed_anew, "the header names another revision");
    assert_eq!(partial_files(&cli), Vec::<String>::new());

    assert_snapshot!(cli.run("store restore tasks.backup.zst"), @"");
    assert_snapshot!(cli.run("store restore tasks.backup.zst --merge"), @"");
    for (number, name) in ["tasks.backup", "tasks.backup.gz", "tasks.backup.zst"]
        .iter()
        .enumerate()
    {
        let store = format!("sqlite:{number}.db");
        let run = cli.run(&format!("store restore {name} --store {store}"));
        assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{name}");
        assert!(cli.run(&format!("store export --store {store}")).stdout == export);
    }
    let empty = "--store sqlite:empty.db --format json";
    assert_snapshot!(cli.run(&format!("store restore tasks.backup {empty}")), @"");
}

#[test]
fn a_damaged_backup_is_refused() {
    let _settings = settings().bind_to_scope();
    let cli = Cli::with_fixture();
    for name in ["b", "b.gz", "b.zst"] {
        cli.run(&format!("store backup {name}"));
        let whole = fs::read(cli.path(name)).unwrap();
        fs::write(cli.path(name), &whole[..whole.len() / 2]).unwrap();
        let mut flipped = whole.clone();
        flipped[whole.len() / 2] ^= 1;
        fs::write(cli.path(&format!("flipped.{name}")), flipped).unwrap();
    }
    let empty = Cli::new();
    let restore = |name: &str| empty.run(&format!("store restore {}", cli.path(name).display()));
    assert_snapshot!(restore("b"), @"");
    assert_snapshot!(restore("b.gz"), @"");
    assert_snapshot!(restore("b.zst"), @"");
    for name in ["b", "b.gz", "b.zst"] {
        let run = restore(&format!("flipped.{name}"));
        assert!([1, 6].contains(&run.code), "{name}: {run}");
        assert!(run.stderr.contains("nothing was restored"), "{name}: {run}");
    }
    fs::write(empty.path("tasks.jsonl"), FIXTURE).unwrap();
    assert_snapshot!(empty.run("store restore tasks.jsonl"), @"");
    assert_snapshot!(empty.run("store restore nowhere"), @"");
    assert_snapshot!(empty.run("store restore -"), @"");
    assert_snapshot!(empty.run("store backup -"), @"");
    assert_snapshot!(empty.run("store backup nowhere/file"), @"");
    assert_eq!(empty.run("store stats").stdout, "");
}

#[test]
fn exports_are_compressed_by_name_and_known_by_content() {
    let cli = Cli::with_fixture();
    let export = cli.run("store export").stdout;
    for (number, name) in ["a.jsonl", "a.jsonl.gz", "a.jsonl.zst"].iter().enumerate() {
        cli.run(&format!("store export {name}"));
        let bytes = fs::read(cli.path(name)).unwrap();
        assert_eq!(bytes.len() < export.len() / 2, number > 0, "{name}");
        let store = format!("--store sqlite:{number}.db");
        // Through a pipe there is no name.
        let run = cli.feed_bytes(&bytes, &format!("store import {store}"));
        assert_eq!(run.stdout, "imported 200 records\n", "{name}: {run}");
        assert!(
            cli.run(&format!("store export {store}")).stdout == export,
            "{name}"
        );
        let cut = &bytes[..bytes.len() / 2];
        let run = cli.feed_bytes(cut, "store import --store sqlite:cut.db");
        assert!([1, 6].contains(&run.code), "{name}: {run}");
        assert!(
            run.stderr.contains("cut off") || number == 0,
            "{name}: {run}"
        );
    }
    assert_eq!(partial_files(&cli), Vec::<String>::new());
}

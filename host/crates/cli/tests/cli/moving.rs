//! `mortise store copy`, `backup` and `restore`, and compressed exports.

use std::fs;

use insta::assert_snapshot;

use super::{Cli, FIXTURE, partial_files, task};

/// What time it is differs from run to run, and with it digests and how much can be compressed.
fn settings() -> insta::Settings {
    let mut settings = insta::Settings::clone_current();
    settings.add_filter(r"[0-9a-f]{64}", "[sha256]");
    settings.add_filter(r"(line|column) \d+", "$1 [n]");
    settings.add_filter(r"\d+ bytes", "[n] bytes");
    settings.add_filter(r#""bytes":\d+"#, r#""bytes":[n]"#);
    settings
}

#[test]
fn a_store_is_copied_and_verified() {
    let _settings = settings().bind_to_scope();
    let cli = Cli::with_fixture();
    assert_snapshot!(cli.run("store copy sqlite:tasks.db sqlite:copy.db --dry-run"), @r"
    exit code 0
    -- stdout
    would copy 200 of 200 records, 0 were there already, sha256 [sha256]
    ");
    assert_snapshot!(cli.run("store copy sqlite:tasks.db sqlite:copy.db"), @r"
    exit code 0
    -- stdout
    copied 200 of 200 records, 0 were there already; verified, sha256 [sha256]
    ");
    assert_snapshot!(cli.run("store copy sqlite:tasks.db sqlite:copy.db --format json"), @r#"
    exit code 0
    -- stdout
    {"dry_run":false,"records":200,"written":0,"already_there":200,"others":0,"sha256":"[sha256]","writes_meanwhile":0,"verified":true,"expired":0}
    "#);
    assert_snapshot!(cli.run("store copy sqlite:copy.db memory: --no-verify --format json"), @r#"
    exit code 0
    -- stdout
    {"dry_run":false,"records":200,"written":200,"already_there":0,"others":0,"sha256":"[sha256]","writes_meanwhile":0,"verified":false,"expired":0}
    "#);
    let export = cli.run("store export").stdout;
    assert!(cli.run("store export --store sqlite:copy.db").stdout == export);

    let other = Cli::without_store();
    let text = "[stores.old]\nbackend = 'sqlite'\nsqlite = { path = 'old.db' }\n\
                [stores.new]\nbackend = 'sqlite'\nsqlite = { path = 'new.db' }\n";
    fs::write(other.path("mortise.toml"), text).unwrap();
    other.feed(&task("a", "Running"), "task create --store old");
    other.feed(&task("b", "Running"), "task create --store new");
    assert_snapshot!(other.run("store copy old new"), @r"
    exit code 6
    -- stderr
    error: copy task/a (backend sqlite): the target does not take what the source has; 0 records were written before
    caused by: copy task/a: its create-revision 1 is that of task/b in the target
    hint: copy into a store that is empty, or has the same records
    ");
    assert_snapshot!(other.run("store copy old old"), @r"
    exit code 2
    -- stderr
    error: FROM and TO are the same store
    hint: name two: another file, another server, or another namespace
    ");
    assert_snapshot!(other.run("store copy old sqlite:./old.db"), @r"
    exit code 2
    -- stderr
    error: FROM and TO are the same store
    hint: name two: another file, another server, or another namespace
    ");
    assert_snapshot!(other.run("store copy old nowhere"), @r#"
    exit code 9
    -- stderr
    error: TO does not open
    caused by: configure: no store named "nowhere" is configured; known: new, old
    hint: name a configured store, or write a URL such as sqlite:tasks.db
    "#);
}

#[test]
fn a_backup_is_made_and_restored() {
    let _settings = settings().bind_to_scope();
    let cli = Cli::with_fixture();
    let export = cli.run("store export").stdout;
    assert_snapshot!(cli.run("store backup tasks.backup"), @r"
    exit code 0
    -- stdout
    backed up 200 records of revision 201 to tasks.backup, [n] bytes, sha256 [sha256]
    ");
    assert_snapshot!(cli.run("store backup tasks.backup.zst --format json"), @r#"
    exit code 0
    -- stdout
    {"records":200,"bytes":[n],"sha256":"[sha256]","revision":203,"writes_meanwhile":0}
    "#);
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

    assert_snapshot!(cli.run("store restore tasks.backup.zst"), @r"
    exit code 6
    -- stderr
    error: restore: the store has records, expected none; nothing was restored
    hint: empty it with `mortise store clear`, or restore with --merge to add to what is there
    ");
    assert_snapshot!(cli.run("store restore tasks.backup.zst --merge"), @r"
    exit code 0
    -- stdout
    restored 200 records of revision 207; verified
    ");
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
    assert_snapshot!(cli.run(&format!("store restore tasks.backup {empty}")), @r#"
    exit code 0
    -- stdout
    {"records":200,"revision":201,"sha256":"[sha256]","expired":0}
    "#);
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
    assert_snapshot!(restore("b"), @r"
    exit code 6
    -- stderr
    error: restore: line [n]: expected a record: EOF while parsing a string at column [n]; nothing was restored
    ");
    assert_snapshot!(restore("b.gz"), @r"
    exit code 1
    -- stderr
    error: restore: line [n]: the file cannot be read; nothing was restored
    caused by: the gzip data was cut off: incomplete deflate stream
    ");
    assert_snapshot!(restore("b.zst"), @r"
    exit code 1
    -- stderr
    error: restore: line [n]: the file cannot be read; nothing was restored
    caused by: the zstd data was cut off: incomplete frame
    ");
    for name in ["b", "b.gz", "b.zst"] {
        let run = restore(&format!("flipped.{name}"));
        assert!([1, 6].contains(&run.code), "{name}: {run}");
        assert!(run.stderr.contains("nothing was restored"), "{name}: {run}");
    }
    fs::write(empty.path("tasks.jsonl"), FIXTURE).unwrap();
    assert_snapshot!(empty.run("store restore tasks.jsonl"), @r"
    exit code 6
    -- stderr
    error: restore: line [n]: expected the header of an export: missing field `format` at column [n]; nothing was restored
    ");
    assert_snapshot!(empty.run("store restore nowhere"), @r"
    exit code 1
    -- stderr
    error: nowhere cannot be opened
    caused by: No such file or directory (os error 2)
    ");
    assert_snapshot!(empty.run("store restore -"), @r"
    exit code 2
    -- stderr
    error: - is no file that can be read twice
    hint: name a file; `mortise store import` reads a pipe
    ");
    assert_snapshot!(empty.run("store backup -"), @r"
    exit code 2
    -- stderr
    error: - is no file that can be read back
    hint: name a file; `mortise store export` writes to a pipe
    ");
    assert_snapshot!(empty.run("store backup nowhere/file"), @r"
    exit code 1
    -- stderr
    error: nowhere/file cannot be written
    caused by: No such file or directory (os error 2)
    ");
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

//! A machine that limits what a process may map.

use std::process::Command;

/// Where address space is limited the host starts all the same, and says so.
#[test]
fn without_address_space_memory_is_allocated_on_demand() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("tasks.db");
    let mortise = env!("CARGO_BIN_EXE_mortise");
    let limited = Command::new("sh")
        .arg("-c")
        .arg(r#"ulimit -v 2000000; exec "$0" --store "sqlite:$1" task create -"#)
        .args([mortise.as_ref(), database.as_os_str()])
        .env_remove("RUST_LOG")
        .stdin(
            std::fs::File::open(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/../../../tests/fixtures/teal-tasks.jsonl"
            ))
            .unwrap(),
        )
        .output()
        .unwrap();
    let talk = String::from_utf8_lossy(&limited.stderr);
    assert!(limited.status.success(), "{talk}");
    assert!(talk.contains("memory is allocated on demand"), "{talk}");
    let free = Command::new(mortise)
        .args(["--format", "json", "task", "list", "--all", "--store"])
        .arg(format!("sqlite:{}", database.display()))
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&free.stdout).lines().count(), 200);
    assert!(!String::from_utf8_lossy(&free.stderr).contains("on demand"));
}

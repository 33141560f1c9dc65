//! Checks the contract: it parses, every item is documented, and what was released stays as it was.
//!
//! A package of its own, because the parser takes longer to compile than all else of `cargo xtask`.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use wit_parser::{Docs, Interface, Resolve, TypeDefKind};

/// Where released contracts are kept, in the repository.
const RELEASED: &str = "wit/released";

fn main() -> Result<()> {
    check(&root())
}

/// The repository.
fn root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = manifest.ancestors().nth(2);
    root.expect("this package is two folders below").to_owned()
}

/// Checks the contract in the repository at `root`.
fn check(root: &Path) -> Result<()> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve
        .push_dir(root.join("wit"))
        .context("the contract in wit/ does not parse")?;
    let undocumented = undocumented(&resolve, package);
    ensure!(
        undocumented.is_empty(),
        "every item of the contract has a doc comment, except: {}",
        undocumented.join(", ")
    );
    released_is_unchanged(root)
}

fn undocumented(resolve: &Resolve, package: wit_parser::PackageId) -> Vec<String> {
    let mut missing = Vec::new();
    let mut need = |name: String, docs: &Docs| {
        if docs
            .contents
            .as_ref()
            .is_none_or(|text| text.trim().is_empty())
        {
            missing.push(name);
        }
    };
    let package = &resolve.packages[package];
    for (name, world) in &package.worlds {
        need(format!("world {name}"), &resolve.worlds[*world].docs);
    }
    for (name, interface) in &package.interfaces {
        let interface = &resolve.interfaces[*interface];
        need(name.clone(), &interface.docs);
        items(resolve, interface, &mut |item, docs| {
            need(format!("{name}.{item}"), docs)
        });
    }
    missing
}

fn items(resolve: &Resolve, interface: &Interface, need: &mut dyn FnMut(String, &Docs)) {
    for (name, function) in &interface.functions {
        need(name.clone(), &function.docs);
    }
    for (name, id) in &interface.types {
        let definition = &resolve.types[*id];
        let mut part = |part: &str, docs: &Docs| need(format!("{name}.{part}"), docs);
        match &definition.kind {
            TypeDefKind::Record(record) => {
                record
                    .fields
                    .iter()
                    .for_each(|field| part(&field.name, &field.docs));
            }
            TypeDefKind::Variant(variant) => {
                variant
                    .cases
                    .iter()
                    .for_each(|case| part(&case.name, &case.docs));
            }
            TypeDefKind::Enum(list) => {
                list.cases
                    .iter()
                    .for_each(|case| part(&case.name, &case.docs));
            }
            // `use types.{…}`: documented where it is defined.
            TypeDefKind::Type(wit_parser::Type::Id(_)) => continue,
            _ => {}
        }
        need(name.clone(), &definition.docs);
    }
}

/// A file under `wit/released/X.Y.Z/` is written once.
fn released_is_unchanged(root: &Path) -> Result<()> {
    // Anything but an addition, in the history and in the working tree.
    let committed = git(
        root,
        &[
            "log",
            "--diff-filter=a",
            "--name-only",
            "--format=%h",
            "--",
            RELEASED,
        ],
    )?;
    let uncommitted = git(
        root,
        &[
            "diff",
            "HEAD",
            "--diff-filter=a",
            "--name-only",
            "--",
            RELEASED,
        ],
    )?;
    let changed: Vec<_> = committed
        .lines()
        .chain(uncommitted.lines())
        .filter(|line| line.ends_with(".wit"))
        .collect();
    ensure!(
        changed.is_empty(),
        "a released contract never changes, but these did: {}; bring them back with \
         `git checkout COMMIT -- FILE`, and make the change in wit/ under a new version",
        changed.join(", ")
    );
    Ok(())
}

fn git(root: &Path, arguments: &[&str]) -> Result<String> {
    let output = Command::new("git")
        .args(arguments)
        .current_dir(root)
        .output();
    let output = output.context("git does not start")?;
    ensure!(
        output.status.success(),
        "git {} failed: {}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr).trim()
    );
    String::from_utf8(output.stdout).context("git answers UTF-8")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn repository() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let released = folder.path().join(RELEASED).join("0.1.0");
        fs::create_dir_all(&released).unwrap();
        fs::write(released.join("types.wit"), "package a:b@0.1.0;\n").unwrap();
        git(folder.path(), &["init", "--quiet"]).unwrap();
        commit(folder.path());
        folder
    }

    fn commit(root: &Path) {
        git(root, &["add", "."]).unwrap();
        let who = ["-c", "user.name=test", "-c", "user.email=test@example.org"];
        let commit = ["commit", "--quiet", "--no-verify", "--message", "test"];
        git(root, &[&who[..], &commit[..]].concat()).unwrap();
    }

    #[test]
    fn the_contract_is_sound() {
        let mut resolve = Resolve::default();
        let (package, _) = resolve.push_dir(root().join("wit")).unwrap();
        assert_eq!(undocumented(&resolve, package), Vec::<String>::new());
    }

    #[test]
    fn an_undocumented_item_is_named() {
        let mut resolve = Resolve::default();
        let text = "package a:b;\n/// Documented.\ninterface i { record r { f: u8 } g: func(); }";
        let package = resolve.push_str("test.wit", text).unwrap();
        assert_eq!(undocumented(&resolve, package), ["i.g", "i.r.f", "i.r"]);
    }

    #[test]
    fn a_release_may_be_added_but_not_changed() {
        let folder = repository();
        let root = folder.path();
        released_is_unchanged(root).unwrap();
        let next = root.join(RELEASED).join("0.1.1");
        fs::create_dir_all(&next).unwrap();
        fs::write(next.join("types.wit"), "package a:b@0.1.1;\n").unwrap();
        released_is_unchanged(root).unwrap();
        commit(root);
        released_is_unchanged(root).unwrap();
        let file = next.join("types.wit");
        fs::write(&file, "package a:b@0.1.1; // changed\n").unwrap();
        assert!(
            released_is_unchanged(root)
                .unwrap_err()
                .to_string()
                .contains("0.1.1/types.wit")
        );
        commit(root);
        assert!(released_is_unchanged(root).is_err());
    }

    #[test]
    fn a_release_may_not_be_deleted() {
        let folder = repository();
        fs::remove_dir_all(folder.path().join(RELEASED)).unwrap();
        assert!(released_is_unchanged(folder.path()).is_err());
    }
}

//! One build for all: whatever package is asked for, each dependency is compiled with the same features.
//!
//! Cargo gives a dependency the features that the selected packages ask for. Where `cargo test -p A` asks for fewer than
//! `cargo test --workspace`, all that stands on that dependency is compiled twice. What is missing belongs into
//! `[workspace.dependencies]`, or, for dependencies of dependencies, into `host/features`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::thread;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::run::cargo_command;

/// The features that each dependency is compiled with: several sets where it is compiled for build scripts, too.
type Features = BTreeMap<String, BTreeSet<String>>;

/// The package that all guests stand on.
const SDK: &str = "mortise-guest";

/// What is compiled besides libraries and programs.
const WITH_TESTS: &str = "normal,build,dev";
const WITHOUT_TESTS: &str = "normal,build";

/// Compares what each package of the workspace asks for with what all of them ask for.
pub fn check(root: &Path) -> Result<()> {
    let all = features(root, &["--workspace"], WITH_TESTS)?;
    let mut selections = vec![(vec!["--workspace".to_owned()], WITHOUT_TESTS)];
    for package in packages(root)? {
        // A guest is for another machine: only its tests are compiled for this one.
        let edges = match package.is_guest {
            true => &[WITH_TESTS][..],
            false => &[WITHOUT_TESTS, WITH_TESTS],
        };
        for edges in edges {
            selections.push((vec!["--package".to_owned(), package.name.clone()], edges));
        }
    }
    let mut different = BTreeSet::new();
    // Cargo waits more than it works.
    for group in selections.chunks(4) {
        let found: Vec<Result<Vec<String>>> = thread::scope(|scope| {
            let asked = group.iter().map(|(packages, edges)| {
                let all = &all;
                scope.spawn(move || {
                    let packages: Vec<&str> = packages.iter().map(String::as_str).collect();
                    let some = features(root, &packages, edges)?;
                    Ok(differences(&packages.join(" "), &some, all))
                })
            });
            let asked: Vec<_> = asked.collect();
            let asked = asked.into_iter();
            asked
                .map(|thread| thread.join().expect("it does not panic"))
                .collect()
        });
        for found in found {
            different.extend(found?);
        }
    }
    let different: Vec<String> = different.into_iter().collect();
    ensure!(
        different.is_empty(),
        "some dependencies are compiled twice, because they get other features where one package is asked for:\n{}\n\
         add what is missing to [workspace.dependencies], or to host/features",
        different.join("\n")
    );
    Ok(())
}

/// A package of the workspace.
struct Package {
    name: String,
    is_guest: bool,
}

/// The packages of the workspace.
fn packages(root: &Path) -> Result<Vec<Package>> {
    let mut command = cargo_command();
    command.args(["metadata", "--no-deps", "--format-version", "1"]);
    let output = command.current_dir(root).output();
    let output = output.context("cargo does not start")?;
    ensure!(output.status.success(), "`cargo metadata` failed");
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let packages = metadata["packages"].as_array().into_iter().flatten();
    let packages = packages.filter_map(|package| {
        let name = package["name"].as_str()?.to_owned();
        let dependencies = package["dependencies"].as_array()?;
        let on_sdk = dependencies.iter().any(|on| on["name"] == SDK);
        let is_guest = name == SDK || on_sdk;
        Some(Package { name, is_guest })
    });
    Ok(packages.collect())
}

/// What a selection of packages asks for.
fn features(root: &Path, packages: &[&str], edges: &str) -> Result<Features> {
    let mut command = cargo_command();
    command.args([
        "tree", "--locked", "--prefix", "none", "--format", "{p}|{f}", "--edges", edges,
    ]);
    command.args(packages).current_dir(root);
    let output = command.output().context("cargo does not start")?;
    ensure!(
        output.status.success(),
        "{command:?} failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(read(&String::from_utf8_lossy(&output.stdout)))
}

/// Reads lines of `NAME vVERSION|FEATURES`. Those of the workspace have their folder after the version.
fn read(tree: &str) -> Features {
    let mut features = Features::new();
    for line in tree.lines() {
        let Some((package, with)) = line.trim_end_matches(" (*)").split_once('|') else {
            continue;
        };
        if !package.contains(" (/") {
            let package = package.trim_end_matches(" (proc-macro)").to_owned();
            features.entry(package).or_default().insert(with.to_owned());
        }
    }
    features
}

/// Where some get other features than all.
fn differences(who: &str, some: &Features, all: &Features) -> Vec<String> {
    let mut different = Vec::new();
    for (package, sets) in some {
        let known = all.get(package);
        for set in sets {
            if known.is_none_or(|known| !known.contains(set)) {
                let known = known.into_iter().flatten().map(|set| format!("[{set}]"));
                let known = known.collect::<Vec<_>>().join(" or ");
                different.push(format!("{package}: [{set}] with {who}, {known} with all"));
            }
        }
    }
    different
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dependency_with_fewer_features_is_found() {
        let all =
            read("a v1.0.0|x,y\nours v0.1.0 (/work/ours)|z\nb v2.0.0 (proc-macro)|\na v1.0.0|\n");
        assert_eq!(all.len(), 2);
        assert_eq!(all["a v1.0.0"].len(), 2);
        let some = read("a v1.0.0|x,y (*)\nb v2.0.0 (proc-macro)|\n");
        assert_eq!(differences("-p ours", &some, &all), Vec::<String>::new());
        let fewer = read("a v1.0.0|x\nours v0.1.0 (/work/ours)|\n");
        assert_eq!(
            differences("-p ours", &fewer, &all),
            ["a v1.0.0: [x] with -p ours, [] or [x,y] with all"]
        );
    }
}

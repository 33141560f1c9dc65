//! The rules of the house: which crate may use which, and which part of a crate may use which.
//!
//! Three places say it, and have to agree: the table below, each crate's manifest, and the line `Uses: … Never: …: why.`
//! in the comment at the head of its `lib.rs` (which may wrap over several lines). What a crate never uses its own tests
//! do not use either, but for [`IN_TESTS`].
//!
//! Inside a crate, the `mod` lines of its `lib.rs` stand in groups with blank lines between. These are floors, the
//! lowest first: a module uses its own floor and those above it in the file. Unit tests are free here, too, and so is
//! `inside`, by which a crate hands items to its siblings.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

mod floors;

/// A package of ours, the packages of ours that it depends on (tests left out), and what it never reaches, not through
/// others either: ours by their manifests, all others by Cargo.lock.
#[derive(Clone, Copy)]
struct Row(
    &'static str,
    &'static [&'static str],
    &'static [&'static str],
);

/// The house, from the bottom up: a package uses those above it in this list.
const HOUSE: &[Row] = &[
    Row(
        "mortise-store",
        &[],
        &["wasmtime", "rusqlite", "redis", "toml", "rustls"],
    ),
    Row(
        "mortise-config",
        &["mortise-store"],
        &["wasmtime", "rusqlite", "redis", "mortise-engine"],
    ),
    Row(
        "mortise-wire",
        &["mortise-store"],
        &["axum", "reqwest", "mortise-engine", "mortise-serve"],
    ),
    Row(
        "mortise-agent",
        &["mortise-store"],
        &["mortise-engine", "mortise-config", "wasmtime"],
    ),
    Row(
        "mortise-transfer",
        &["mortise-store"],
        &["mortise-agent", "mortise-engine"],
    ),
    Row(
        "mortise-metrics",
        &["mortise-store"],
        &["mortise-engine", "mortise-host"],
    ),
    Row(
        "mortise-capability-sqlite",
        &["mortise-store", "mortise-config"],
        &["wasmtime", "mortise-engine"],
    ),
    Row(
        "mortise-capability-redis",
        &["mortise-store", "mortise-config"],
        &["wasmtime", "mortise-engine"],
    ),
    Row(
        "mortise-conformance",
        &["mortise-store", "mortise-config"],
        &["mortise-engine", "wasmtime"],
    ),
    Row(
        "mortise-client",
        &["mortise-store", "mortise-wire", "mortise-config"],
        &[
            "wasmtime",
            "rusqlite",
            "redis",
            "mortise-engine",
            "mortise-serve",
        ],
    ),
    Row(
        "mortise-import",
        &[
            "mortise-store",
            "mortise-agent",
            "mortise-transfer",
            "mortise-config",
            "mortise-capability-redis",
        ],
        &["mortise-engine", "wasmtime"],
    ),
    Row(
        "mortise-engine",
        &[
            "mortise-store",
            "mortise-transfer",
            "mortise-config",
            "mortise-capability-sqlite",
            "mortise-capability-redis",
        ],
        &[
            "mortise-host",
            "mortise-agent",
            "mortise-client",
            "mortise-conformance",
        ],
    ),
    Row(
        "mortise-host",
        &[
            "mortise-store",
            "mortise-engine",
            "mortise-conformance",
            "mortise-transfer",
            "mortise-config",
            "mortise-capability-sqlite",
            "mortise-client",
            "mortise-metrics",
        ],
        &["mortise-serve", "mortise-agent"],
    ),
    Row(
        "mortise-restart",
        &["mortise-store", "mortise-transfer"],
        &["axum", "rmcp", "mortise-host", "mortise-engine"],
    ),
    Row(
        "mortise-serve",
        &[
            "mortise-store",
            "mortise-restart",
            "mortise-agent",
            "mortise-transfer",
            "mortise-wire",
            "mortise-config",
            "mortise-metrics",
        ],
        &["mortise-host", "mortise-engine", "wasmtime"],
    ),
    Row(
        "mortise",
        &[
            "mortise-store",
            "mortise-config",
            "mortise-agent",
            "mortise-transfer",
            "mortise-import",
            "mortise-conformance",
            "mortise-client",
            "mortise-capability-sqlite",
            "mortise-engine",
            "mortise-metrics",
            "mortise-host",
            "mortise-restart",
            "mortise-serve",
        ],
        &["mortise-cli", "mortise-backends", "clap"],
    ),
    Row("mortise-backends", &[], &["wasmtime"]),
    Row(
        "mortise-cli",
        &["mortise", "mortise-backends"],
        &["mortise-guest"],
    ),
    // Backends know the SDK alone, which knows nobody: they are built for another machine.
    Row("mortise-guest", &[], &["wasmtime"]),
    Row("mortise-memory", &["mortise-guest"], &["tokio"]),
    Row("mortise-sqlite", &["mortise-guest"], &["tokio", "rusqlite"]),
    Row("mortise-redis", &["mortise-guest"], &["tokio", "redis"]),
    Row("mortise-test-chaos", &["mortise-guest"], &["tokio"]),
    Row("mortise-test-fault", &["mortise-guest"], &["tokio"]),
    Row("mortise-test-sql-probe", &["mortise-guest"], &["tokio"]),
    Row("mortise-test-tree", &["mortise-guest"], &["tokio"]),
    Row("mortise-test-wasi-probe", &["mortise-guest"], &["tokio"]),
    Row("mortise-test-zoo", &["mortise-guest"], &["tokio"]),
    // What builds and tests the house.
    Row("mortise-test-guests", &[], &["wasmtime"]),
    Row("mortise-test-servers", &[], &["mortise-store", "wasmtime"]),
    Row(
        "mortise-tests",
        &[
            "mortise",
            "mortise-backends",
            "mortise-test-guests",
            "mortise-test-servers",
        ],
        &["mortise-cli", "clap"],
    ),
    Row("mortise-costs", &[], &[]),
    Row("xtask", &[], &["mortise-store", "wasmparser", "wasmtime"]),
    Row("xtask-wit", &[], &["mortise-store", "wasmtime"]),
];

/// What tests of a crate may use although the crate never does: the crate, and what its tests reach.
const IN_TESTS: &[(&str, &str)] = &[
    // Error texts are compared with those of TOML.
    ("mortise-store", "toml"),
    // The model is a place without a component.
    ("mortise-agent", "mortise-config"),
    // The manual's examples run on real backends.
    ("mortise", "mortise-backends"),
];

/// The folder whose packages say their row in their source.
const FOLDER: &str = "host";
/// Re-exports and a manual: it has no use for packages that are not ours.
const FACADE: &str = "mortise";
/// Packages without code, by which others ask for the features of their dependencies (`host/features`). Whoever may use
/// what they bring may use them; a *never* sees through them.
const WITHOUT_CODE: &str = "mortise-features-";

/// Whether every crate keeps to its rule.
pub fn check(root: &Path) -> Result<()> {
    let faults = faults(root, HOUSE)?;
    ensure!(
        faults.is_empty(),
        "the house is not in order:\n{}\n\
         move the code to a crate or a floor that may do this; or, where the rule is to change, change it in all places: \
         the table HOUSE in xtask/src/house.rs, the line in the crate's lib.rs, and ARCHITECTURE.md",
        faults.join("\n")
    );
    Ok(())
}

/// All that is not in order.
fn faults(root: &Path, house: &[Row]) -> Result<Vec<String>> {
    let packages = packages(root)?;
    let locked = locked(root)?;
    let mut faults = Vec::new();
    for package in packages.values() {
        if package.name.starts_with(WITHOUT_CODE) {
            package.has_no_code(&packages, &mut faults);
            continue;
        }
        let Some(row) = house.iter().find(|row| row.0 == package.name) else {
            faults.push(format!(
                "{}: {} has no row in the table of the house, which says what it may use",
                package.manifest.display(),
                package.name
            ));
            continue;
        };
        package.compare(row, &packages, &mut faults);
        package.reach(row, &packages, &locked, &mut faults);
        if package.manifest.starts_with(FOLDER) {
            package.compare_rule(row, &mut faults);
            faults.extend(floors::faults(root, &package.root)?);
        }
    }
    for (place, Row(name, uses, _)) in house.iter().enumerate() {
        let later = |used: &str| house[place..].iter().any(|row| row.0 == used);
        for used in uses.iter().filter(|used| later(used)) {
            faults.push(format!(
                "the table of the house: {name} uses {used}, which stands after it: the table goes from the bottom up"
            ));
        }
        if !packages.contains_key(*name) {
            faults.push(format!(
                "the table of the house has a row for {name}, which is not a package here"
            ));
        }
    }
    faults.extend(unknown(house, &packages, &locked));
    Ok(faults)
}

/// Names that no package has: a *never* of one would hold whatever happens.
fn unknown(house: &[Row], packages: &BTreeMap<String, Package>, locked: &Locked) -> Vec<String> {
    let known = |name: &str| packages.contains_key(name) || locked.contains_key(name);
    let unknown = house.iter().flat_map(|Row(name, _, never)| {
        let unknown = never.iter().filter(|never| !known(never));
        unknown.map(move |never| {
            format!("the table of the house: {name} never uses {never}, which is no package in Cargo.lock")
        })
    });
    unknown.collect()
}

/// What each package in Cargo.lock depends on, in any version and on any platform.
type Locked = BTreeMap<String, BTreeSet<String>>;

fn locked(root: &Path) -> Result<Locked> {
    let lock = root.join("Cargo.lock");
    let lock =
        fs::read_to_string(&lock).with_context(|| format!("{} cannot be read", lock.display()))?;
    let mut locked = Locked::new();
    let mut package = "";
    for line in lock.lines() {
        if let Some(name) = line.strip_prefix("name = \"") {
            package = name.trim_end_matches('"');
            locked.entry(package.to_owned()).or_default();
        } else if let Some(on) = line.strip_prefix(" \"") {
            // `NAME`, or `NAME VERSION` where there are several.
            let on = on.split(['"', ' ']).next().unwrap_or(on);
            let package = locked.entry(package.to_owned()).or_default();
            package.insert(on.to_owned());
        }
    }
    Ok(locked)
}

/// A package of the workspace.
struct Package {
    name: String,
    /// From the repository.
    manifest: PathBuf,
    /// What the manifest says, to find lines in.
    text: String,
    /// `lib.rs`, or `main.rs` where there is no library; from the repository.
    root: PathBuf,
    source: String,
    /// Normal, build and optional dependencies: the package, and the name it goes by in the manifest.
    uses: BTreeMap<String, String>,
    /// Dependencies of its tests.
    in_tests: BTreeSet<String>,
}

/// The workspace, as cargo describes it.
fn packages(root: &Path) -> Result<BTreeMap<String, Package>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .current_dir(root)
        .output()
        .context("cargo does not start")?;
    ensure!(
        output.status.success(),
        "`cargo metadata` failed: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let mut packages = BTreeMap::new();
    for package in list(&metadata, "packages") {
        let package = Package::read(root, package)?;
        packages.insert(package.name.clone(), package);
    }
    Ok(packages)
}

fn text<'a>(value: &'a Value, field: &str) -> Option<&'a str> {
    value.get(field)?.as_str()
}

fn list<'a>(value: &'a Value, field: &str) -> &'a [Value] {
    let list = value.get(field).and_then(Value::as_array);
    list.map_or(&[], Vec::as_slice)
}

impl Package {
    fn read(root: &Path, package: &Value) -> Result<Self> {
        let name = text(package, "name").context("a package without a name")?;
        let manifest = text(package, "manifest_path").context("a package without a manifest")?;
        let targets = list(package, "targets");
        let of = |wanted: &[&str]| {
            targets.iter().find(|target| {
                let mut kinds = list(target, "kind").iter().filter_map(Value::as_str);
                kinds.any(|kind| wanted.contains(&kind))
            })
        };
        let target = of(&["lib", "cdylib", "rlib", "proc-macro"]).or_else(|| of(&["bin"]));
        let source = match target.or_else(|| targets.first()) {
            Some(target) => text(target, "src_path").unwrap_or(manifest),
            None => manifest,
        };
        let read =
            |file: &str| fs::read_to_string(file).with_context(|| format!("{file} cannot be read"));
        let within = |file: &str| {
            let file = Path::new(file);
            // cargo tells paths without symbolic links.
            let root = root.canonicalize().unwrap_or_else(|_| root.to_owned());
            file.strip_prefix(root).unwrap_or(file).to_owned()
        };
        let dependencies = list(package, "dependencies").iter();
        let (of_tests, dependencies): (Vec<_>, Vec<_>) =
            dependencies.partition(|dependency| text(dependency, "kind") == Some("dev"));
        let in_tests = of_tests
            .into_iter()
            .filter_map(|dependency| text(dependency, "name"));
        let uses = dependencies.into_iter().filter_map(|dependency| {
            let name = text(dependency, "name")?;
            let known_as = text(dependency, "rename").unwrap_or(name);
            Some((name.to_owned(), known_as.to_owned()))
        });
        Ok(Self {
            name: name.to_owned(),
            manifest: within(manifest),
            text: read(manifest)?,
            root: within(source),
            source: read(source)?,
            uses: uses.collect(),
            in_tests: in_tests.map(str::to_owned).collect(),
        })
    }

    /// A package that carries features has neither code nor packages of ours.
    fn has_no_code(&self, packages: &BTreeMap<String, Self>, faults: &mut Vec<String>) {
        let code = |line: &str| !(line.trim().is_empty() || line.starts_with("//"));
        if let Some(number) = self.source.lines().position(code) {
            faults.push(format!(
                "{}:{}: {} has code, and packages named {WITHOUT_CODE}… only carry features",
                self.root.display(),
                number + 1,
                self.name
            ));
        }
        let ours = self.uses.keys().filter(|name| packages.contains_key(*name));
        for name in ours.filter(|name| !name.starts_with(WITHOUT_CODE)) {
            faults.push(format!(
                "{}: {} uses {name}, and packages named {WITHOUT_CODE}… only carry features",
                self.line(name),
                self.name
            ));
        }
    }

    /// Dependencies on packages of ours are those of the table: no more, and no less.
    fn compare(&self, row: &Row, packages: &BTreeMap<String, Self>, faults: &mut Vec<String>) {
        let found = self.uses.keys().map(String::as_str);
        let (found, foreign): (Vec<_>, Vec<_>) =
            found.partition(|name| packages.contains_key(*name));
        if self.name == FACADE {
            for name in foreign {
                faults.push(format!(
                    "{}: {} uses {name}, and it only hands on what is ours",
                    self.line(name),
                    self.name
                ));
            }
        }
        let found = found.into_iter();
        let found: BTreeSet<_> = found
            .filter(|name| !name.starts_with(WITHOUT_CODE))
            .collect();
        let table: BTreeSet<_> = row.1.iter().copied().collect();
        for name in found.difference(&table) {
            faults.push(format!(
                "{}: {} must not use {name}; its rule: {}",
                self.line(name),
                self.name,
                self.rule(row)
            ));
        }
        for name in table.difference(&found) {
            faults.push(format!(
                "{}: {} does not use {name}, and the table of the house says that it does: take it out there",
                self.manifest.display(),
                self.name
            ));
        }
    }

    /// No way leads to what the crate never uses, through packages that are not ours neither.
    fn reach(
        &self,
        row: &Row,
        packages: &BTreeMap<String, Self>,
        locked: &Locked,
        faults: &mut Vec<String>,
    ) {
        let own = self.name.as_str();
        let uses: Vec<_> = self.uses.keys().map(|name| vec![own, name]).collect();
        let of_tests = self.in_tests.iter().map(|name| vec![own, name.as_str()]);
        let mut seen = BTreeSet::from([own]);
        // What the crate itself reaches comes first: its tests may reach that anyway.
        for (in_tests, first) in [(false, uses), (true, of_tests.collect())] {
            let mut ways = VecDeque::from(first);
            while let Some(way) = ways.pop_front() {
                let last = way[way.len() - 1];
                if !seen.insert(last) || in_tests && IN_TESTS.contains(&(own, last)) {
                    continue;
                }
                if row.2.contains(&last) {
                    faults.push(self.reached(row, &way, in_tests, packages));
                    continue;
                }
                let next: Vec<&str> = match packages.get(last) {
                    Some(package) => package.uses.keys().map(String::as_str).collect(),
                    None => {
                        let next = locked.get(last).into_iter().flatten();
                        next.map(String::as_str).collect()
                    }
                };
                let next = next.into_iter();
                ways.extend(next.map(|name| [&way[..], &[name]].concat()));
            }
        }
    }

    /// A way that leads to what the crate never uses, with the line of the last of ours on it.
    fn reached(
        &self,
        row: &Row,
        way: &[&str],
        in_tests: bool,
        packages: &BTreeMap<String, Self>,
    ) -> String {
        let before = &way[..way.len() - 1];
        let ours = before.iter().rposition(|name| packages.contains_key(*name));
        let ours = ours.unwrap_or(0);
        format!(
            "{}: {}{} reaches {} ({}); its rule: {}",
            packages[way[ours]].line(way[ours + 1]),
            self.name,
            if in_tests { ", by its tests," } else { "" },
            way[way.len() - 1],
            way.join(" → "),
            self.rule(row)
        )
    }

    /// The line of `lib.rs` says what the table says.
    fn compare_rule(&self, row: &Row, faults: &mut Vec<String>) {
        let file = self.root.display();
        let Some((number, line)) = self.rule_line() else {
            faults.push(format!(
                "{file}: no line `//! Uses: … Never: …: why.` says the rule of {}",
                self.name
            ));
            return;
        };
        let lines = self.source.lines();
        let rules = lines.filter(|line| {
            line.trim_start_matches(['/', '!', ' '])
                .starts_with("Uses:")
        });
        if rules.count() > 1 {
            faults.push(format!(
                "{file}: two lines say the rule of {}; keep one",
                self.name
            ));
        }
        let Some(rule) = Rule::parse(&line) else {
            faults.push(format!(
                "{file}:{number}: the rule is not of the form `Uses: a, b. Never: c, d: why.`: {line}"
            ));
            return;
        };
        for (word, said, table) in [("uses", &rule.uses, row.1), ("never", &rule.never, row.2)] {
            let table: BTreeSet<_> = table.iter().copied().collect();
            for name in said.symmetric_difference(&table) {
                let (has, has_not) = if table.contains(name) {
                    ("the table of the house", "this line")
                } else {
                    ("this line", "the table of the house")
                };
                faults.push(format!(
                    "{file}:{number}: {}: {has} says `{word} {name}`, and {has_not} does not",
                    self.name
                ));
            }
        }
    }

    /// What the crate says of itself, or else the table.
    fn rule(&self, Row(_, uses, never): &Row) -> String {
        let table = || format!("uses {}; never {}", uses.join(", "), never.join(", "));
        self.rule_line().map_or_else(table, |(_, line)| line)
    }

    /// The paragraph of comment that begins with `Uses:`, and the number of its first line.
    fn rule_line(&self) -> Option<(usize, String)> {
        let comment = |line: &str| {
            let text = line.strip_prefix("//!").or_else(|| line.strip_prefix("//"));
            text.map(|text| text.trim().to_owned())
                .filter(|text| !text.is_empty())
        };
        let mut lines = self.source.lines().map(comment).enumerate();
        let (index, first) = lines.find_map(|(index, line)| {
            Some((index, line.filter(|line| line.starts_with("Uses:"))?))
        })?;
        let rest = lines.map_while(|(_, line)| line);
        let all: Vec<_> = [first].into_iter().chain(rest).collect();
        Some((index + 1, all.join(" ")))
    }

    /// `FILE:LINE` where the manifest names a dependency.
    fn line(&self, name: &str) -> String {
        let known_as = self.uses.get(name).map_or(name, String::as_str);
        let mut dev = false;
        let number = self.text.lines().position(|line| {
            let line = line.trim();
            if let Some(table) = line.strip_prefix('[') {
                dev = table.contains("dev-dependencies");
                return !dev
                    && table
                        .trim_end_matches(']')
                        .ends_with(&format!(".{known_as}"));
            }
            let rest = line.trim_start_matches('"').strip_prefix(known_as);
            !dev && rest.is_some_and(|rest| rest.starts_with([' ', '=', '.', '"']))
        });
        let file = self.manifest.display();
        number.map_or_else(
            || file.to_string(),
            |number| format!("{file}:{}", number + 1),
        )
    }
}

/// A rule as a crate says it.
#[derive(Debug, PartialEq)]
struct Rule<'a> {
    uses: BTreeSet<&'a str>,
    never: BTreeSet<&'a str>,
}

impl<'a> Rule<'a> {
    /// `Uses: a, b. Never: c, d: why.` The second sentence may be missing; `nothing of ours` is an empty list.
    fn parse(line: &'a str) -> Option<Self> {
        let line = line.strip_prefix("Uses:")?.trim();
        let (uses, never) = match line.split_once(". Never:") {
            Some((uses, never)) => {
                let (never, why) = never.split_once(": ")?;
                if why.trim_matches([' ', '.']).is_empty() {
                    return None;
                }
                (uses, Some(never))
            }
            None => (line.strip_suffix('.')?, None),
        };
        Some(Self {
            uses: Self::names(uses)?,
            never: never.map_or_else(|| Some(BTreeSet::new()), Self::names)?,
        })
    }

    fn names(list: &'a str) -> Option<BTreeSet<&'a str>> {
        if list.trim() == "nothing of ours" {
            return Some(BTreeSet::new());
        }
        let names = list.split(',').map(|name| name.trim().trim_matches('`'));
        let is_name =
            |name: &&str| !name.is_empty() && !name.contains(|letter: char| letter.is_whitespace());
        let names: Vec<_> = names.collect();
        names
            .iter()
            .all(is_name)
            .then(|| names.into_iter().collect())
    }
}

#[cfg(test)]
mod tests;

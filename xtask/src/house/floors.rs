//! Which module of a crate may use which: the groups of `mod` lines in its `lib.rs`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// What a crate hands to its siblings and to nobody else. It is a name and not a floor.
const INSIDE: &str = "inside";

/// The uses that run back, from a floor to one below it in the file.
pub fn faults(root: &Path, lib: &Path) -> Result<Vec<String>> {
    let text = read(&root.join(lib))?;
    let floors = Floors::of(&text);
    let folder = lib.parent().unwrap_or(lib);
    let mut faults = Vec::new();
    for (module, floor) in &floors.modules {
        for file in files(root, folder, module)? {
            let depth = depth(folder, &file);
            let text = read(&root.join(&file))?;
            for (number, what) in hidden(&text) {
                faults.push(format!(
                    "{}:{number}: `{what}` hides which module is used, or where code stands: name what is meant",
                    file.display()
                ));
            }
            for (number, names) in uses(&text, depth) {
                let back = names.iter().filter_map(|name| floors.resolve(name));
                for target in back.filter(|target| floors.modules[*target] > *floor) {
                    let fault = format!(
                        "{}:{number}: `{module}` uses `crate::{target}`, which stands on a higher floor in {}",
                        file.display(),
                        lib.display()
                    );
                    if !faults.contains(&fault) {
                        faults.push(fault);
                    }
                }
            }
        }
    }
    Ok(faults)
}

fn read(file: &Path) -> Result<String> {
    fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))
}

/// What a `lib.rs` says.
struct Floors {
    /// Each module's floor, from 0.
    modules: BTreeMap<String, usize>,
    /// Names at the crate's root, and the module that each is from.
    names: BTreeMap<String, String>,
}

impl Floors {
    fn of(lib: &str) -> Self {
        let mut modules = BTreeMap::new();
        let mut floor = 0;
        let mut is_open = false;
        let mut for_tests = false;
        for line in lib.lines().map(str::trim) {
            let line = match line.split_once("; //") {
                Some((line, _)) => &format!("{line};"),
                None => line,
            };
            if line.is_empty() {
                floor += usize::from(is_open);
                (is_open, for_tests) = (false, false);
            } else if line == "#[cfg(test)]" {
                for_tests = true;
            } else if let Some(module) = declared(line) {
                if !for_tests && module != INSIDE {
                    modules.insert(module.to_owned(), floor);
                    is_open = true;
                }
                for_tests = false;
            }
        }
        let mut names = BTreeMap::new();
        for (_, statement) in statements(&code(lib)) {
            let Some(tree) = public(&statement).strip_prefix("use ") else {
                continue;
            };
            for path in paths(tree) {
                let path = path.strip_prefix("crate::").unwrap_or(&path);
                let path = path.strip_prefix("self::").unwrap_or(path);
                if let Some((module, _)) = path.split_once("::")
                    && modules.contains_key(module)
                {
                    let name = path.rsplit("::").next().unwrap_or(path);
                    let name = name.rsplit(" as ").next().unwrap_or(name).trim();
                    names.insert(name.to_owned(), module.to_owned());
                }
            }
        }
        Self { modules, names }
    }

    /// The module that a name at the crate's root stands for.
    fn resolve<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        if self.modules.contains_key(name) {
            return Some(name);
        }
        self.names.get(name).map(String::as_str)
    }
}

/// The module that a line declares and that has a file of its own.
fn declared(line: &str) -> Option<&str> {
    // rustfmt leaves an attribute on the line.
    let line = match line.starts_with("#[") {
        true => line.split_once("] ").map_or(line, |(_, rest)| rest),
        false => line,
    };
    let module = public(line).strip_prefix("mod ")?;
    module.strip_suffix(';').map(str::trim)
}

/// A line without `pub` or `pub(…)`.
fn public(line: &str) -> &str {
    let Some(rest) = line.strip_prefix("pub") else {
        return line;
    };
    match rest.strip_prefix('(').and_then(|rest| rest.split_once(')')) {
        Some((_, rest)) => rest.trim_start(),
        None => rest.trim_start(),
    }
}

/// The files of a module; those of its unit tests are left out.
fn files(root: &Path, folder: &Path, module: &str) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let file = folder.join(module).with_extension("rs");
    if root.join(&file).is_file() {
        files.push(file);
    }
    let mut folders = vec![folder.join(module)];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(root.join(&folder)) else {
            continue;
        };
        for entry in entries {
            let entry = entry?;
            let path = folder.join(entry.file_name());
            if path.file_stem().is_some_and(|stem| stem == "tests") {
                continue;
            }
            if entry.file_type()?.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

/// How many `super` lead from a file's module to the crate's root.
fn depth(folder: &Path, file: &Path) -> usize {
    let path = file.strip_prefix(folder).unwrap_or(file);
    let is_root = path.file_stem().is_some_and(|stem| stem == "mod");
    path.components().count() - usize::from(is_root)
}

/// The names at the crate's root that a file uses, with the line; its unit tests left out.
fn uses(text: &str, depth: usize) -> Vec<(usize, Vec<String>)> {
    let code = code(text);
    let back = "super::".repeat(depth);
    let mut found = Vec::new();
    for (number, statement) in statements(&code) {
        for (offset, start) in [("crate::", "crate::"), (back.as_str(), "super::")] {
            let mut rest = statement.as_str();
            let mut before = None;
            while let Some(at) = rest.find(offset) {
                let last = rest[..at].chars().next_back().or(before);
                let end = at + offset.len();
                let is_whole = last.is_none_or(|c| !c.is_alphanumeric() && !"_:$".contains(c));
                if is_whole && !rest[end..].starts_with(start) {
                    let names = paths(&rest[end..]);
                    let first = |path: &String| path.split([':', ' ']).next().map(str::to_owned);
                    found.push((number, names.iter().filter_map(first).collect()));
                }
                before = rest[..end].chars().next_back();
                rest = &rest[end..];
            }
        }
    }
    found
}

/// What would hide a use from this check.
fn hidden(text: &str) -> Vec<(usize, &'static str)> {
    let code = code(text);
    let mut found = Vec::new();
    for (number, statement) in statements(&code) {
        let line = public(&statement);
        let used = line.strip_prefix("use ").map(paths).unwrap_or_default();
        // What leads to the crate's root, or to a module on the way there.
        let up = |path: &str| {
            path.split("::")
                .all(|name| ["crate", "self", "super"].contains(&name))
        };
        let ends =
            |end: fn(&str) -> Option<&str>| used.iter().any(|path| end(path).is_some_and(up));
        let what = if ends(|path| path.strip_suffix("::*")) {
            "use …::*"
        } else if ends(|path| Some(path.split_once(" as ")?.0))
            || line.starts_with("extern crate self")
        {
            "use … as"
        } else if line.starts_with("#[path") {
            "#[path]"
        } else if line.starts_with("include!(") || line.contains(" include!(") {
            "include!"
        } else {
            continue;
        };
        found.push((number, what));
    }
    found
}

/// The text without comments and without unit tests; lines keep their numbers.
fn code(text: &str) -> String {
    let mut in_tests = false;
    let mut before = "";
    let lines = text.lines().map(|line| {
        in_tests |= before == "#[cfg(test)]" && line.starts_with("mod ") && line.ends_with('{');
        let is_code = !in_tests;
        in_tests &= line != "}";
        before = line;
        let comment = line.find("//").unwrap_or(line.len());
        if is_code { &line[..comment] } else { "" }
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Each `use` as one line, with the number of its first; every other line as it is.
fn statements(code: &str) -> Vec<(usize, String)> {
    let mut statements = Vec::new();
    let mut lines = code.lines().map(str::trim).enumerate();
    while let Some((number, line)) = lines.next() {
        let mut statement = line.to_owned();
        if public(line).starts_with("use ") {
            while !statement.contains(';') {
                let Some((_, next)) = lines.next() else { break };
                statement.push(' ');
                statement.push_str(next);
            }
        }
        statements.push((number + 1, statement));
    }
    statements
}

/// The paths of a tree such as `a::{B, c::{D, E}}`, up to where it ends.
fn paths(tree: &str) -> Vec<String> {
    let mut paths = Vec::new();
    // What stands before the braces that are open.
    let mut outer: Vec<String> = Vec::new();
    let mut path = String::new();
    let mut end = |path: &mut String| {
        let whole = std::mem::take(path);
        if !whole.is_empty() {
            paths.push(whole);
        }
    };
    for letter in tree.chars() {
        match letter {
            '{' if path.is_empty() || path.ends_with("::") => outer.push(path.clone()),
            '}' if !outer.is_empty() => {
                end(&mut path);
                outer.pop();
                if outer.is_empty() {
                    break;
                }
            }
            ',' if !outer.is_empty() => {
                end(&mut path);
                path = outer.last().cloned().unwrap_or_default();
            }
            letter if letter.is_alphanumeric() || "_:*".contains(letter) => path.push(letter),
            // ` as `, and what rustfmt puts between.
            ' ' if path.is_empty() || path.ends_with("::") => {}
            ' ' if !outer.is_empty() || tree.contains(" as ") => path.push(' '),
            _ => break,
        }
    }
    end(&mut path);
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str, depth: usize) -> Vec<String> {
        uses(text, depth)
            .into_iter()
            .flat_map(|(_, names)| names)
            .collect()
    }

    #[test]
    fn floors_are_groups_of_mods() {
        let floors = Floors::of(
            "//! Docs.\n\nmod a;\npub mod b;\n\n/// What c is.\npub(crate) mod c;\n#[cfg(test)]\nmod testing;\n\n\
             pub mod inside {\n    pub use crate::a::A;\n}\n\npub use a::{A, deep::D as E};\npub use c::C;\n",
        );
        let modules = [("a", 0), ("b", 0), ("c", 1)];
        let modules = modules.map(|(name, floor)| (name.to_owned(), floor));
        assert_eq!(floors.modules, modules.into_iter().collect());
        assert_eq!(floors.resolve("b"), Some("b"));
        assert_eq!(floors.resolve("C"), Some("c"));
        assert_eq!(floors.resolve("E"), Some("a"));
        assert_eq!(floors.resolve("Foreign"), None);
    }

    #[test]
    fn uses_are_found_wherever_they_stand() {
        let text = "use crate::a::{B, c::{D, E}, F};\nuse crate::{\n    g::G, h::{self, I}, J,\n};\n\
                    fn f() -> crate::k::K { crate::l() }\n// crate::no\nuse other::crate_::x;\nmacro!($crate::m);\n";
        assert_eq!(
            names(text, 1),
            ["a", "a", "a", "a", "g", "h", "h", "J", "k", "l"]
        );
        assert_eq!(names("use super::a::B;\nuse super::super::c;\n", 1), ["a"]);
        assert_eq!(names("use super::a::B;\nuse super::super::c;\n", 2), ["c"]);
    }

    #[test]
    fn unit_tests_use_what_they_like() {
        let text =
            "use crate::a;\n\n#[cfg(test)]\nmod tests {\n    use crate::b;\n}\nuse crate::c;\n";
        assert_eq!(uses(text, 1).len(), 2);
        assert_eq!(names(text, 1), ["a", "c"]);
        assert_eq!(uses(text, 1)[1].0, 7);
    }
}

//! The schema that a backend wants: its own statements, run in a scratch database in memory.

use std::collections::BTreeSet;

use mortise_store::{Error, Result};
use tokio::time::Instant;

use super::failure::{component, failed, in_one_line, said};
use super::schema::Schema;
use crate::connection::Connection;
use crate::sql::Step;

/// What a statement, a row or a scratch database may hold, in bytes: SQLite's own limit.
pub(super) const MAX_BYTES: u64 = 1_000_000_000;

/// What a backend says of its schema.
#[derive(Debug, Clone, Default)]
pub struct Blueprint {
    /// The statements that make it in an empty database.
    pub target: Vec<String>,
    /// Every step there ever was.
    pub steps: Vec<Step>,
}

/// The schema that a backend wants, understood.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) schema: Schema,
    /// The statements of the target that fill tables, and which.
    pub(super) seeds: Vec<(String, BTreeSet<String>)>,
    pub(super) blueprint: Blueprint,
    /// The version of the last step; 0 where there is none.
    pub(super) version: u32,
}

impl Wanted {
    pub(super) fn read(blueprint: Blueprint, deadline: Instant) -> Result<Self> {
        let version = version_of(&blueprint.steps)?;
        let unreadable = |error| failed("the backend's own schema does not run", error);
        let scratch = Connection::scratch(MAX_BYTES, deadline).map_err(unreadable)?;
        let mut seeds = Vec::new();
        for sql in &blueprint.target {
            let seen = scratch.run(sql).map_err(|error| {
                let (sql, said) = (in_one_line(sql), said(&error));
                component(format!(
                    "the backend's own schema does not run: {said}: {sql}"
                ))
            })?;
            if !seen.defines && !seen.written.is_empty() {
                seeds.push((sql.clone(), seen.written));
            }
        }
        let schema = scratch.own(Schema::read).map_err(unreadable)?;
        Ok(Self {
            schema,
            seeds,
            blueprint,
            version,
        })
    }

    /// The steps that a database of this version has yet to take.
    pub(super) fn steps_after(&self, version: u32) -> &[Step] {
        let steps = &self.blueprint.steps;
        let taken = steps.iter().take_while(|step| step.version <= version);
        &steps[taken.count()..]
    }
}

fn version_of(steps: &[Step]) -> Result<u32, Error> {
    let mut last = 0;
    for step in steps {
        if step.version <= last || i32::try_from(step.version).is_err() {
            let expected = if last == 0 {
                "1 or more".to_owned()
            } else {
                format!("more than {last}")
            };
            return Err(component(format!(
                "the backend's steps are not in order: version {} comes where {expected} is expected",
                step.version
            )));
        }
        last = step.version;
    }
    Ok(last)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use mortise_store::ErrorKind;

    use super::*;

    fn read(target: &[&str], versions: &[u32]) -> Result<Wanted> {
        let step = |version: &u32| Step {
            version: *version,
            sql: Vec::new(),
        };
        let blueprint = Blueprint {
            target: target.iter().map(|sql| sql.to_string()).collect(),
            steps: versions.iter().map(step).collect(),
        };
        Wanted::read(blueprint, Instant::now() + Duration::from_secs(30))
    }

    #[test]
    fn what_makes_tables_and_what_fills_them_is_told_apart() {
        let target = [
            "CREATE TABLE a (x INTEGER)",
            "INSERT INTO a VALUES (1)",
            "CREATE INDEX b ON a (x)",
            "ALTER TABLE a ADD COLUMN y",
        ];
        let wanted = read(&target, &[1, 3]).unwrap();
        assert_eq!(wanted.version, 3);
        assert_eq!(wanted.schema.names().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(wanted.seeds.len(), 1);
        assert!(wanted.seeds[0].1.contains("a"));
        assert_eq!(wanted.steps_after(1).len(), 1);
        assert_eq!(wanted.steps_after(3).len(), 0);
    }

    #[test]
    fn a_schema_that_does_not_run_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let attach = format!("ATTACH '{}' AS x", folder.path().join("x.db").display());
        for (target, versions, part) in [
            (&["CREATE TABLE"] as &[&str], &[] as &[u32], "CREATE TABLE"),
            (&[&attach], &[], "ATTACH"),
            (
                &["CREATE TABLE migration_history (x)"],
                &[],
                "migration_history",
            ),
            (&["CREATE TABLE a (x); CREATE TABLE b (x)"], &[], "ultiple"),
            (&[], &[0], "1 or more"),
            (&[], &[1, 3, 3], "more than 3"),
            (&[], &[2, 1], "more than 2"),
            (&[], &[u32::MAX], "1 or more"),
        ] {
            let error = read(target, versions).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Component, "{error}");
            assert!(error.to_string().contains(part), "{error}");
        }
        assert!(!folder.path().join("x.db").exists());
    }
}

//! What a migration would do: worked out without writing anything.

use std::path::Path;

use mortise_store::inside::ErrorInside as _;
use mortise_store::inside::schema::change;
use mortise_store::schema::{Change, Plan};
use mortise_store::{Error, Result};
use tokio::time::Instant;

use super::compare::{Work, compare, extras};
use super::failure::{failed, refused, statement_failed};
use super::history;
use super::needs::{Finding, has_rows};
use super::rebuild::{LEGACY_OFF, LEGACY_ON};
use super::schema::Schema;
use super::steps::Replay;
use super::target::Wanted;
use crate::connection::Connection;

/// `PRAGMA application_id` of a database that holds a backend's tables.
pub const APPLICATION_ID: i32 = i32::from_be_bytes(*b"Mort");

/// Refuses what cannot be done, and what would be lost without having been confirmed.
pub(super) fn check(plan: &Plan, confirmed: &[String]) -> Result<()> {
    if !plan.obstacles.is_empty() {
        return Err(refused(format!(
            "the database cannot be migrated: {}",
            plan.obstacles.join("; ")
        ))
        .with_hint(
            "mend the rows with the backend that they were written by, or with another program",
        ));
    }
    let is_confirmed = |name: &str| {
        confirmed
            .iter()
            .any(|known| known.eq_ignore_ascii_case(name))
    };
    let losses: Vec<_> = plan
        .losses
        .iter()
        .filter(|loss| !is_confirmed(&loss.name))
        .collect();
    if losses.is_empty() {
        return Ok(());
    }
    let told: Vec<_> = losses
        .iter()
        .map(|loss| format!("{} ({})", loss.name, loss.reason))
        .collect();
    let confirm: Vec<_> = losses
        .iter()
        .map(|loss| format!("--confirm {}", loss.name))
        .collect();
    Err(
        refused(format!("the migration would lose {}", told.join(", "))).with_hint(format!(
            "look at it with `mortise migrate plan`; to lose it: `mortise migrate apply {}`",
            confirm.join(" ")
        )),
    )
}

/// A database as it was found.
pub(super) struct Found {
    pub(super) schema: Schema,
    pub(super) version: u32,
    pub(super) application: i32,
    pub(super) has_history: bool,
}

impl Found {
    /// To be called within a transaction, where others may change it.
    pub(super) fn read(database: &Connection, file: &Path) -> Result<Self> {
        let read = |raw: &rusqlite::Connection| -> rusqlite::Result<_> {
            let number = |pragma: &str| {
                raw.query_row(&format!("PRAGMA {pragma}"), [], |row| row.get::<_, i32>(0))
            };
            Ok(Self {
                schema: Schema::read(raw)?,
                version: number("user_version")?.cast_unsigned(),
                application: number("application_id")?,
                has_history: history::exists(raw)?,
            })
        };
        let unreadable = |error| {
            failed(
                format!("the schema of {} cannot be read", file.display()),
                error,
            )
        };
        database.own(read).map_err(unreadable)
    }

    /// Whether nothing was made in it yet.
    pub(super) fn is_new(&self) -> bool {
        self.schema.is_empty() && !self.has_history
    }

    /// Refuses what is not this backend's, and what is newer than it.
    pub(super) fn check(&self, wanted: &Wanted, file: &Path) -> Result<()> {
        if self.is_new() {
            return Ok(());
        }
        let file = file.display();
        let other_file = "name another file; one that is not there yet is made";
        if ![0, APPLICATION_ID].contains(&self.application) {
            return Err(refused(format!(
                "{file} is another program's database: its application id is {}, expected {APPLICATION_ID}",
                self.application
            ))
            .with_hint(other_file));
        }
        if self.application == 0 && !self.is_kin(&wanted.schema) {
            let lacks = wanted.schema.names().filter(|name| !self.has(name));
            let lacks = match lacks.collect::<Vec<_>>() {
                none if none.is_empty() => "its tables have other columns".to_owned(),
                names => format!("it lacks {}", names.join(", ")),
            };
            return Err(
                refused(format!("{file} is no database of this backend: {lacks}"))
                    .with_hint(other_file),
            );
        }
        if self.version > wanted.version {
            return Err(refused(format!(
                "{file} has a newer schema than this backend: version {}, expected at most {}",
                self.version, wanted.version
            ))
            .with_hint("load the newer version of the backend, which knows this schema"));
        }
        Ok(())
    }

    /// Whether it has one of the tables, with half of its columns: a name alone may be anybody's.
    fn is_kin(&self, wanted: &Schema) -> bool {
        wanted.tables.is_empty()
            || wanted.tables.iter().any(|(name, table)| {
                let there = self.schema.tables.get(name);
                let known = |there: &super::schema::Table| {
                    let columns = table.columns.iter();
                    columns
                        .filter(|column| there.column(&column.name).is_some())
                        .count()
                };
                there.map_or(0, known) * 2 >= table.columns.len()
            })
    }

    fn has(&self, name: &str) -> bool {
        self.schema
            .names()
            .any(|known| known.eq_ignore_ascii_case(name))
    }

    /// What is to be done; tried on an empty replay of the database. Its rows are looked at where a change
    /// depends on them, but where a step is to change those first.
    pub(super) fn plan(
        &self,
        database: &Connection,
        wanted: &Wanted,
        deadline: Instant,
    ) -> Result<Plan> {
        let mut plan = Plan::default();
        (plan.from, plan.to) = (self.version, wanted.version);
        if self.is_new() {
            plan.creates = true;
            plan.changes.push(change(
                "create all tables",
                "the database is empty",
                wanted.blueprint.target.clone(),
            ));
            return Ok(plan);
        }
        let steps = wanted.steps_after(self.version);
        if steps.is_empty() && compare(wanted, &self.schema)?.is_empty() {
            plan.kept = extras(&wanted.schema, &self.schema);
            return Ok(plan);
        }
        let unreadable = |error| failed("the rows cannot be looked at", error);
        let mut replay = Replay::of(&self.schema, deadline)?;
        for step in steps {
            replay.take(step)?;
            plan.changes.push(step_change(step.version, &step.sql));
        }
        plan.losses = database
            .own(|raw| replay.losses(|table| has_rows(raw, table)))
            .map_err(unreadable)?;
        let reread = |error| failed("the schema after the steps cannot be read", error);
        let schema = replay.scratch.own(Schema::read).map_err(reread)?;
        let works = compare(wanted, &schema)?;
        for work in &works {
            execute(&replay.scratch, &work.change.sql)?;
            let untouched = |need: &&super::needs::Need| !replay.touched.contains(&need.table());
            for need in work.needs.iter().filter(untouched) {
                let finding = database.own(|raw| need.check(raw)).map_err(unreadable)?;
                note(&mut plan, finding);
            }
        }
        let schema = replay.scratch.own(Schema::read).map_err(reread)?;
        check_done(wanted, &schema)?;
        plan.kept = extras(&wanted.schema, &schema);
        plan.changes
            .extend(works.into_iter().map(|work: Work| work.change));
        Ok(plan)
    }
}

/// Notes in a plan what was found in the rows.
pub(super) fn note(plan: &mut Plan, finding: Option<Finding>) {
    match finding {
        Some(Finding::Loss(loss)) => plan.losses.push(loss),
        Some(Finding::Obstacle(what)) => plan.obstacles.push(what),
        None => {}
    }
}

pub(super) fn step_change(version: u32, sql: &[String]) -> Change {
    change(
        format!("step to version {version}"),
        "it is the backend's own",
        sql.to_vec(),
    )
}

/// Runs the statements of a change: a guest's, but for the PRAGMAs of a rebuild.
pub(super) fn execute(database: &Connection, statements: &[String]) -> Result<()> {
    for sql in statements {
        if [LEGACY_ON, LEGACY_OFF].contains(&sql.as_str()) {
            let failed = |error| failed("a table cannot be renamed", error);
            database.execute_own(sql).map_err(failed)?;
            continue;
        }
        database
            .run(sql)
            .map_err(|error| statement_failed(sql, &error))?;
    }
    Ok(())
}

/// After a migration, none is needed.
pub(super) fn check_done(wanted: &Wanted, schema: &Schema) -> Result<(), Error> {
    let left = compare(wanted, schema)?;
    if left.is_empty() {
        return Ok(());
    }
    let left = left
        .iter()
        .map(|work| format!("{} ({})", work.change.what, work.change.why));
    Err(refused(format!(
        "the plan does not lead to the schema that the backend wants; nothing was changed: {} is still to be done",
        left.collect::<Vec<_>>().join(", ")
    ))
    .with_hint("this is a fault of the host or of the backend's schema: tell their authors"))
}

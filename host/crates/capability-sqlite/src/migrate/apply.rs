//! Does what a plan says: in one transaction, after a backup, under the lock.

use std::fs;
use std::path::{Path, PathBuf};

use mortise_config::Synchronous;
use mortise_store::inside::ErrorInside as _;
use mortise_store::inside::schema::Entry;
use mortise_store::schema::{Change, Outcome, Plan};
use mortise_store::{Error, Operation, Result, Timestamp};
use serde::Serialize;
use tokio::time::Instant;

use super::backup::{back_up, clear_partials};
use super::compare::compare;
use super::failure::{failed, refused};
use super::history;
use super::lock::Lock;
use super::plan::{self, APPLICATION_ID, Found, check_done, execute, step_change};
use super::schema::Schema;
use super::target::{MAX_BYTES, Wanted};
use crate::connection::{Access, Connection};

/// A migration to be done.
pub(super) struct Job<'a> {
    pub(super) file: &'a Path,
    pub(super) wanted: &'a Wanted,
    pub(super) synchronous: Synchronous,
    /// The names of what may be lost.
    pub(super) confirmed: &'a [String],
    /// By the host's clock.
    pub(super) now: Timestamp,
    pub(super) deadline: Instant,
}

/// What a migration did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Applied {
    /// What was done, as it was planned.
    pub plan: Plan,
    /// The backup that was made before; none of a database that was empty.
    pub backup: Option<PathBuf>,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
}

impl Job<'_> {
    /// None where nothing had to be done, perhaps because another process just did.
    pub(super) fn run(&self) -> Result<Option<Applied>> {
        let start = Instant::now();
        let database = self.open()?;
        begin(&database)?;
        let found = Found::read(&database, self.file)?;
        if found.is_new() {
            // Who comes first makes the tables. Nothing can be lost, and nobody waits long.
            return self.end(&database, self.migrate(&database, start));
        }
        found.check(self.wanted, self.file)?;
        let plan = found.plan(&database, self.wanted, self.deadline)?;
        roll_back(&database);
        if plan.is_empty() {
            return Ok(None);
        }
        let _lock = Lock::take(self.file, self.deadline)?;
        clear_partials(self.file);
        begin(&database)?;
        self.end(&database, self.migrate(&database, start))
    }

    fn open(&self) -> Result<Connection> {
        let access = Access::Write {
            synchronous: self.synchronous,
            // A rebuild takes the space of a table twice.
            max_file_bytes: None,
        };
        let unopened = |error| failed(format!("{} does not open", self.file.display()), error);
        let database =
            Connection::open(self.file, access, MAX_BYTES, self.deadline).map_err(unopened)?;
        // A rebuild drops tables that others refer to; what came of it is checked before the commit.
        database
            .execute_own("PRAGMA foreign_keys = OFF")
            .map_err(unopened)?;
        Ok(database)
    }

    /// Commits what succeeded, and rolls back what failed, with its backup.
    fn end(
        &self,
        database: &Connection,
        done: Result<Option<Applied>, Failed>,
    ) -> Result<Option<Applied>> {
        let failed = match done {
            Ok(None) => {
                roll_back(database);
                return Ok(None);
            }
            Ok(Some(applied)) => match database.execute_own("COMMIT") {
                Ok(()) => return Ok(Some(applied)),
                Err(error) => Failed {
                    error: failed("the migration was not committed", error),
                    backup: applied.backup,
                },
            },
            Err(failed) => failed,
        };
        roll_back(database);
        if let Some(backup) = failed.backup
            && let Err(error) = fs::remove_file(&backup)
        {
            tracing::warn!(file = %backup.display(), %error, "the backup of a failed migration was not removed");
        }
        Err(failed.error)
    }

    /// In the transaction that is open: nobody else writes from here on.
    fn migrate(&self, database: &Connection, start: Instant) -> Result<Option<Applied>, Failed> {
        let found = Found::read(database, self.file)?;
        found.check(self.wanted, self.file)?;
        let plan = found.plan(database, self.wanted, self.deadline)?;
        if plan.is_empty() {
            return Ok(None);
        }
        match self.wanted.steps_after(found.version) {
            [] => self.check(&plan)?,
            // What else is lost is known only after the steps.
            _ => plan::check(&plan, self.confirmed)?,
        }
        let backup = match plan.creates {
            true => None,
            false => Some(back_up(self.file, self.now, self.deadline)?),
        };
        let done = self.carry_out(database, &found, plan);
        let plan = done.map_err(|error| Failed {
            error,
            backup: backup.clone(),
        })?;
        let duration_ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
        let name = backup.as_ref().and_then(|backup| backup.file_name());
        let entry = Entry {
            id: 0,
            from: plan.from,
            to: plan.to,
            schema_digest: self.wanted.schema.digest(),
            statements: plan.statements().map(str::to_owned).collect(),
            started_at: self.now,
            duration_ms,
            outcome: Outcome::Applied,
            backup: name.map(|name| name.to_string_lossy().into_owned()),
            host_version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        let note = |raw: &rusqlite::Connection| {
            history::add(raw, &entry)?;
            raw.pragma_update(None, "user_version", plan.to)?;
            raw.pragma_update(None, "application_id", APPLICATION_ID)
        };
        if let Err(error) = database.own(note) {
            let error = failed(
                "the migration cannot be noted in its history, and was rolled back",
                error,
            );
            return Err(Failed { error, backup });
        }
        Ok(Some(Applied {
            plan,
            backup,
            duration_ms,
        }))
    }

    /// Runs the plan, as it turns out on the rows themselves.
    fn carry_out(&self, database: &Connection, found: &Found, mut plan: Plan) -> Result<Plan> {
        if plan.creates {
            plan.statements()
                .try_for_each(|sql| execute(database, &[sql.to_owned()]))?;
            return Ok(plan);
        }
        let steps = self.wanted.steps_after(found.version);
        plan.changes.clear();
        for step in steps {
            execute(database, &step.sql)?;
            plan.changes.push(step_change(step.version, &step.sql));
        }
        let unreadable = |error| failed("the database cannot be read", error);
        let schema = database.own(Schema::read).map_err(unreadable)?;
        for work in compare(self.wanted, &schema)? {
            // Without steps, the plan has looked at the same rows already.
            for need in work.needs.iter().filter(|_| !steps.is_empty()) {
                let finding = database.own(|raw| need.check(raw)).map_err(unreadable)?;
                plan::note(&mut plan, finding);
            }
            if !steps.is_empty() {
                plan.losses.sort();
                plan.losses.dedup();
                plan::check(&plan, self.confirmed)?;
            }
            let Change { sql, .. } = &work.change;
            execute(database, sql)?;
            plan.changes.push(work.change);
        }
        self.check(&plan)?;
        database.own(check_parents).map_err(unreadable)??;
        let schema = database.own(Schema::read).map_err(unreadable)?;
        check_done(self.wanted, &schema)?;
        Ok(plan)
    }

    /// Refuses a plan that loses what is not confirmed, and a confirmation of what is not lost.
    fn check(&self, plan: &Plan) -> Result<()> {
        plan::check(plan, self.confirmed)?;
        let is_lost = |name: &String| {
            plan.losses
                .iter()
                .any(|loss| loss.name.eq_ignore_ascii_case(name))
        };
        match self.confirmed.iter().find(|name| !is_lost(name)) {
            None => Ok(()),
            Some(name) => Err(Error::invalid(
                Operation::Migrate,
                format!("{name} is confirmed, but would not be lost; nothing was changed"),
            )
            .with_hint("see what would be lost with `mortise migrate plan`")),
        }
    }
}

/// Why it failed, and the backup that is of no use then.
struct Failed {
    error: Error,
    backup: Option<PathBuf>,
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self {
            error,
            backup: None,
        }
    }
}

fn begin(database: &Connection) -> Result<()> {
    let busy = |error| failed("other processes hold the database", error);
    database.execute_own("BEGIN IMMEDIATE").map_err(busy)
}

fn roll_back(database: &Connection) {
    if !database.is_rolled_back()
        && let Err(error) = database.execute_own("ROLLBACK")
    {
        // It is rolled back when the connection is closed.
        tracing::debug!(%error, "a migration is rolled back late");
    }
}

/// Refuses rows that refer to what is not there.
fn check_parents(database: &rusqlite::Connection) -> rusqlite::Result<Result<()>> {
    let mut all = database.prepare("PRAGMA foreign_key_check")?;
    let mut rows = all.query([])?;
    let (mut count, mut first) = (0_u64, None);
    while let Some(row) = rows.next()? {
        count += 1;
        if first.is_none() {
            let (table, rowid): (String, Option<i64>) = (row.get(0)?, row.get(1)?);
            let parent: String = row.get(2)?;
            let rowid = rowid.map_or_else(|| "a row".to_owned(), |rowid| format!("rowid {rowid}"));
            first = Some(format!(
                "such as {rowid} of {table}, which has no parent in {parent}"
            ));
        }
    }
    Ok(match first {
        None => Ok(()),
        Some(example) => Err(refused(format!(
            "{count} rows would refer to what is not there, {example}; nothing was changed"
        ))
        .with_hint("mend or remove these rows with another program")),
    })
}

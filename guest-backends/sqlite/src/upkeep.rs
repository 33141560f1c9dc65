//! Sweep and clear.

use mortise_guest::{Error, Timestamp};

use crate::database::{Cells, integer, meaning, odd_answer, statement, text, transact};

const SWEEP: &str = "DELETE FROM records WHERE create_revision IN (SELECT create_revision \
     FROM records WHERE expires_at <= ?1 ORDER BY expires_at, create_revision LIMIT ?2)";

/// Removes expired records, the longest expired first; how many.
pub fn sweep(limit: u32, now: Timestamp) -> Result<u32, Error> {
    let sweep = statement(SWEEP, [integer(now), integer(limit)]);
    let outcomes = transact(&[sweep]).map_err(|failure| meaning(failure.error))?;
    let changed = outcomes.first().map_or(0, |outcome| outcome.changed);
    Ok(u32::try_from(changed).unwrap_or(limit))
}

/// Removes all records, or those of one collection; how many unexpired ones.
pub fn clear(collection: Option<String>, now: Timestamp) -> Result<u64, Error> {
    let unexpired = "SELECT count(*) FROM records WHERE (expires_at IS NULL OR expires_at > ?1)";
    let statements = match collection {
        None => [
            statement(unexpired, [integer(now)]),
            statement("DELETE FROM attributes", []),
            statement("DELETE FROM records", []),
        ],
        Some(name) => [
            statement(
                format!("{unexpired} AND collection = ?2"),
                [integer(now), text(&name)],
            ),
            statement(
                "DELETE FROM attributes WHERE collection = ?1",
                [text(&name)],
            ),
            statement("DELETE FROM records WHERE collection = ?1", [text(&name)]),
        ],
    };
    let outcomes = transact(&statements).map_err(|failure| meaning(failure.error))?;
    let count = outcomes.into_iter().next().ok_or_else(odd_answer)?;
    Cells::of(count.rows).integer().ok_or_else(odd_answer)
}

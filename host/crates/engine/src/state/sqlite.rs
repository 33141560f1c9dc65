//! The interface `sqlite`: one database for one store.

use mortise_capability_sqlite::inside::{Database, Failure as Failed, SqlError};

use super::State;
use crate::bindings::convert::{each, wit};
use crate::bindings::mortise::persistence::sqlite::Host;

impl Host for State {
    async fn query(
        &mut self,
        statement: wit::Statement,
        max_bytes: Option<u64>,
    ) -> Result<wit::Rows, wit::SqlError> {
        let deadline = self.deadline;
        let query = self.sqlite().query(statement.into(), max_bytes, deadline);
        let rows = self.context.reading(query).await?;
        Ok(rows.into())
    }

    async fn transact(
        &mut self,
        statements: Vec<wit::Statement>,
    ) -> Result<Vec<wit::Outcome>, wit::Failure> {
        let (database, deadline) = (self.sqlite().clone(), self.deadline);
        let in_doubt = |failure: &Failed| matches!(failure.error, SqlError::Ambiguous(_));
        let transact = database.transact(each(statements), deadline);
        let outcomes = self.writing(transact, in_doubt).await?;
        Ok(each(outcomes))
    }
}

impl State {
    fn sqlite(&self) -> &Database {
        self.context
            .sqlite
            .as_ref()
            .expect("sqlite is linked only where it is granted")
    }
}

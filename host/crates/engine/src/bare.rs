//! Calls of an instance that belongs to no store: the conformance kit asks such ones.

use mortise_store::inside::{Later, Rejection};
use mortise_store::{Description, Draft, Key, Result, Revision, Stamp, Stored, Write};
use tokio::time::Instant;

use crate::calls::{self, Answer};
use crate::fault::Fault;
use crate::instance::Instance;

impl Instance {
    /// What the backend says about itself.
    pub fn describe(&mut self, until: Instant) -> Later<'_, Result<Description, Fault>> {
        Box::pin(self.run(until, calls::Describe()))
    }

    /// Opens the instance.
    pub fn open(
        &mut self,
        until: Instant,
        options: Vec<(String, String)>,
    ) -> Later<'_, Result<Answer<()>, Fault>> {
        Box::pin(self.run(until, calls::Open(options)))
    }

    /// Whether the storage is reached.
    pub fn health(&mut self, until: Instant) -> Later<'_, Result<Answer<()>, Fault>> {
        Box::pin(self.run(until, calls::Health()))
    }

    /// Writes a record that is not there.
    pub fn create(
        &mut self,
        until: Instant,
        draft: Draft,
    ) -> Later<'_, Result<Answer<Stamp>, Fault>> {
        Box::pin(self.run(until, calls::Create(draft)))
    }

    /// Reads a record.
    pub fn load(
        &mut self,
        until: Instant,
        key: Key,
    ) -> Later<'_, Result<Answer<Option<Stored>>, Fault>> {
        Box::pin(self.run(until, calls::Load(key)))
    }

    /// Writes all or nothing.
    pub fn apply(
        &mut self,
        until: Instant,
        batch: Vec<Write>,
    ) -> Later<'_, Result<Result<Vec<Revision>, Rejection>, Fault>> {
        Box::pin(self.run(until, calls::Apply(batch)))
    }
}

//! Which state machine entities go by.

use std::path::Path;

use anyhow::Context as _;
use mortise::Store;
use mortise::agent::{Lifecycle, Machine};

/// The option `--machine`.
#[derive(Debug, clap::Args)]
pub struct MachineOption {
    /// The state machine: entity, agent-task, a2a-task, or a file with one as JSON, as `lifecycle show
    /// --format json` writes it; default: agent-task for the collection task, entity for others
    #[arg(long, value_name = "NAME|FILE")]
    machine: Option<String>,
}

impl MachineOption {
    /// The machine for a collection.
    pub fn of(&self, collection: &str) -> anyhow::Result<Machine> {
        let Some(name) = &self.machine else {
            return Ok(Machine::of_collection(collection).clone());
        };
        if let Some(machine) = Machine::named(name) {
            return Ok(machine.clone());
        }
        let file = Path::new(name);
        let json = std::fs::read(file).with_context(|| {
            format!(
                "{name} is neither entity, agent-task nor a2a-task, nor a file that can be read"
            )
        })?;
        serde_json::from_slice(&json).with_context(|| format!("{name} is no state machine"))
    }

    /// What leads the entities of a collection.
    pub fn lifecycle(&self, store: Store, collection: &str) -> anyhow::Result<Lifecycle> {
        Ok(Lifecycle::new(store, collection, &self.of(collection)?))
    }
}

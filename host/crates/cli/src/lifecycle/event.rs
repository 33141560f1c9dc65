//! `mortise lifecycle event`

use super::MachineOption;
use crate::context::Context;
use crate::output::Output;

/// Leads an entity to where an event leads from its state
///
/// Where the event does not lead on from there, nothing is written, and it ends with exit code 5. Prints the
/// transition; in json as `lifecycle history` does.
#[derive(Debug, clap::Args)]
pub struct Event {
    /// The collection
    collection: String,
    /// The entity's id
    id: String,
    /// The event: start_work, cancel_requested, …
    event: String,
    /// Who does it, for the history
    #[arg(long, value_name = "WHO", default_value = "mortise")]
    by: String,
    #[command(flatten)]
    machine: MachineOption,
}

impl Event {
    pub async fn run(self, context: &Context, output: &mut Output) -> anyhow::Result<()> {
        let store = context.store().await?;
        let lifecycle = self.machine.lifecycle(store, &self.collection)?;
        let led = lifecycle.handle_event(&self.id, &self.event, &self.by);
        let step = led.await?.transition;
        output.line(
            format_args!("{}: {} to {}", step.entity, step.from, step.to),
            &step,
        )
    }
}

//! `mortise resume claim`

use std::time::Duration;

use mortise::agent::{self, Lease, Object, Resume};
use mortise::limits::parse_duration;
use mortise::{Revision, Timestamp};
use serde::Serialize;

use crate::context::Context;
use crate::exit_code::CliError;
use crate::lifecycle::MachineOption;
use crate::output::{Output, time};

/// Claims an entity that was running, or those that nobody has
///
/// What is claimed is the owner's until the lease runs out: no other claim gets it until then. This command ends
/// at once, and so renews nothing; programs renew their leases through the library.
///
/// Prints each that was claimed; in json: {"id":ID,"owner":NAME,"until":MS,"revision":N,"entity":{…}}. With an
/// id, it ends with exit code 5 where another owner has it, or it is not running.
#[derive(Debug, clap::Args)]
pub struct Claim {
    /// The collection
    collection: String,
    /// The entity's id; without one, what was running and nobody has
    id: Option<String>,
    /// Who claims: a name that nobody else has
    #[arg(long, value_name = "NAME")]
    owner: String,
    /// How long the lease lasts
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = parse_duration)]
    lease: Duration,
    /// Without an id: at most so many
    #[arg(long, value_name = "N", default_value_t = 100, conflicts_with = "id")]
    limit: usize,
    #[command(flatten)]
    machine: MachineOption,
}

#[derive(Serialize)]
struct Claimed<'a> {
    id: &'a str,
    owner: &'a str,
    until: Timestamp,
    revision: Revision,
    entity: Object,
}

impl Claim {
    pub async fn run(self, context: &Context, output: &mut Output) -> anyhow::Result<()> {
        let store = context.store().await?;
        let resume = Resume::new(self.machine.lifecycle(store, &self.collection)?);
        let Some(id) = &self.id else {
            let claimed = resume.take_over(&self.owner, self.lease, self.limit);
            let claimed = claimed.await?;
            if claimed.is_empty() {
                output.note("nothing was running that nobody has");
            }
            return claimed.iter().try_for_each(|lease| tell(lease, output));
        };
        let what = format!("{} {id}", self.collection);
        match resume.claim(id, &self.owner, self.lease).await? {
            agent::Claim::Taken(lease) => tell(&lease, output),
            agent::Claim::Held(holder) => {
                let (owner, until) = (holder.owner, time(holder.until));
                let message = format!("{what} is {owner}'s until {until}");
                Err(CliError::conflict(message, "claim it again when the lease ran out").into())
            }
            agent::Claim::NotRunning(state) => {
                let state = state.as_deref().unwrap_or("in no state");
                let message = format!("{what} is {state}, and not to be resumed");
                Err(CliError::conflict(message, "`resume list` shows what is running").into())
            }
            agent::Claim::Absent => Err(CliError::not_found(format!("there is no {what}")).into()),
        }
    }
}

fn tell(lease: &Lease, output: &mut Output) -> anyhow::Result<()> {
    let (holder, entity) = (lease.holder(), lease.entity());
    let (id, owner, until) = (lease.id(), holder.owner.as_str(), holder.until);
    let claimed = Claimed {
        id,
        owner,
        until,
        revision: entity.revision,
        entity: entity.compact(),
    };
    let text = format!("{id} is {owner}'s until {}", time(until));
    output.line(text, &claimed)
}

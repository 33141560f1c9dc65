//! `mortise lifecycle show`

use mortise::agent::{EntityStore, Machine};
use serde::Serialize;

use super::MachineOption;
use crate::context::Context;
use crate::exit_code::CliError;
use crate::output::{Format, Output, Table};

/// Shows a state machine, or the state of an entity and what may happen to it
///
/// Of a machine it lists the transitions; in json it is as --machine takes it from a file. Of an entity, in
/// json: {"id":ID,"state":STATE,"final":BOOL,"events":[{"event":NAME,"to":STATE},…]}.
#[derive(Debug, clap::Args)]
pub struct Show {
    /// The collection
    #[arg(requires = "id")]
    collection: Option<String>,
    /// The entity's id
    id: Option<String>,
    #[command(flatten)]
    machine: MachineOption,
}

#[derive(Serialize)]
struct Shown<'a> {
    id: &'a str,
    state: Option<&'a str>,
    r#final: bool,
    events: Vec<Event<'a>>,
}

#[derive(Serialize)]
struct Event<'a> {
    event: &'a str,
    to: &'a str,
}

impl Show {
    pub async fn run(self, context: &Context, output: &mut Output) -> anyhow::Result<()> {
        let (Some(collection), Some(id)) = (&self.collection, &self.id) else {
            return show(&self.machine.of("")?, output);
        };
        let machine = self.machine.of(collection)?;
        let entities = EntityStore::new(context.store().await?);
        let Some(entity) = entities.get(collection, id).await? else {
            let message = format!("there is no {collection} {id}");
            return Err(CliError::not_found(message).into());
        };
        let state = machine.state_of(&entity);
        let state = state.as_deref();
        let leaving = machine
            .transitions()
            .filter(|(from, _, _)| Some(*from) == state);
        let shown = Shown {
            id,
            state,
            r#final: state.is_some_and(|state| machine.is_final(state)),
            events: leaving.map(|(_, event, to)| Event { event, to }).collect(),
        };
        if output.format() == Format::Json {
            return output.json(&shown);
        }
        let end = if shown.r#final { ", final" } else { "" };
        output.text(format_args!("{id}: {}{end}", state.unwrap_or("no state")))?;
        let events = shown.events.iter();
        let rows = events.map(|event| [event.event.to_owned(), event.to.to_owned()]);
        Table::new(["event", "leads to"]).rows(output, rows.collect())
    }
}

fn show(machine: &Machine, output: &mut Output) -> anyhow::Result<()> {
    if output.format() == Format::Json {
        return output.json(machine);
    }
    let states = machine.states();
    let finals = states.iter().filter(|state| machine.is_final(state));
    let finals: Vec<_> = finals.copied().collect();
    let running: Vec<_> = machine.running().collect();
    for (name, value) in [
        ("machine", machine.name()),
        ("initial", machine.initial()),
        ("running", &running.join(", ")),
        ("final", &finals.join(", ")),
    ] {
        output.text(format_args!("{name:<8} {value}"))?;
    }
    output.text("")?;
    let rows = machine.transitions();
    let rows = rows.map(|(from, event, to)| [from.to_owned(), event.to_owned(), to.to_owned()]);
    Table::new(["from", "event", "to"]).rows(output, rows.collect())
}

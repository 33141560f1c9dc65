//! `mortise entity get`

use mortise::Revision;
use mortise::agent::{EntityStore, Object, Versioned};
use serde::Serialize;

use crate::exit_code::CliError;
use crate::output::{Format, Output};

/// Shows an entity
///
/// In json: {"id":ID,"revision":N,"entity":{…}}, the entity as it was written.
#[derive(Debug, clap::Args)]
pub struct Get {
    /// The collection
    collection: String,
    /// The entity's id
    id: String,
}

/// An entity in json.
#[derive(Serialize)]
pub struct Shown<'a> {
    id: &'a str,
    revision: Revision,
    entity: Object,
}

impl<'a> Shown<'a> {
    pub fn new(id: &'a str, entity: &Versioned<Object>) -> Self {
        Self {
            id,
            revision: entity.revision,
            entity: entity.compact(),
        }
    }
}

impl Get {
    pub async fn run(self, entities: &EntityStore, output: &mut Output) -> anyhow::Result<()> {
        let Self { collection, id } = self;
        let Some(entity) = entities.get(&collection, &id).await? else {
            let message = format!("there is no {collection} {id}");
            return Err(CliError::not_found(message).into());
        };
        if output.format() == Format::Json {
            return output.json(&Shown::new(&id, &entity));
        }
        let entity_fields = entity.fields().map(|(name, value)| {
            let text = value
                .parse()
                .unwrap_or_else(|_| value.compact().as_str().to_owned());
            (name.to_owned(), text)
        });
        let revision = ("revision".to_owned(), entity.revision.to_string());
        let fields: Vec<(String, String)> =
            std::iter::once(revision).chain(entity_fields).collect();
        let widest = fields.iter().map(|(name, _)| name.chars().count()).max();
        let width = widest.unwrap_or_default();
        fields
            .iter()
            .try_for_each(|(name, text)| output.text(format_args!("{name:<width$}  {text}")))
    }
}

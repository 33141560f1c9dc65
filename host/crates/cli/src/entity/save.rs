//! `mortise entity save`

use anyhow::Context as _;
use mortise::Revision;
use mortise::agent::{EntityStore, Object};
use serde::Serialize;

use crate::input::Input;
use crate::output::Output;
use crate::progress::Progress;

/// Creates entities, or merges them into those that are there
///
/// Takes one JSON object, or any number one after another (JSON lines), each with a text in its field `id`.
/// Of an entity that is there, fields that are given are replaced, the others stay. It stops at the first that
/// fails: those before it are saved, those after it are not.
///
/// Prints the id and the revision of each; in json: {"id":ID,"revision":N}.
#[derive(Debug, clap::Args)]
pub struct Save {
    /// The collection: job, case, or another
    collection: String,
    /// The file, or - for stdin
    #[arg(default_value = "-")]
    file: Input,
}

impl Save {
    pub async fn run(self, entities: &EntityStore, output: &mut Output) -> anyhow::Result<()> {
        #[derive(Serialize)]
        struct Saved<'a> {
            id: &'a str,
            revision: Revision,
        }
        let mut progress = Progress::new(output, "entities", true);
        let mut saved = 0;
        for entity in self.file.values::<Object>(output)? {
            let what = |what| {
                let at = saved + 1;
                format!("entity {at} of {} {what}; {saved} were saved", self.file)
            };
            let entity = entity.with_context(|| what("is not understood"))?;
            let entity = entities.save(&self.collection, &entity.compact()).await;
            let entity = entity.with_context(|| what("failed"))?;
            let (id, revision) = (entity.text("id").unwrap_or_default(), entity.revision);
            let line = Saved { id: &id, revision };
            output.line(format_args!("{id}  revision {revision}"), &line)?;
            output.arrive()?;
            saved += 1;
            progress.set(saved);
        }
        Ok(())
    }
}

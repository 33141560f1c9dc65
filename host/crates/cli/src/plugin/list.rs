//! `mortise plugin list`

use mortise::{Host, Manifest, Refusal, Source};
use serde::Serialize;

use super::inspect::grants;
use crate::output::{Format, Output, Table, time};

/// Lists the backends that can be opened by name
///
/// Those that pin, signature or damage refuse are listed too, and a component that a running host refused
/// to swap in, as long as its file is the same; the reason is on stderr. In json one {"name":…,"source":…,"contract":…,"grants":[…],"error":…,"refused":{"sha256":…,"reason":…,"at":…}} a
/// line; error and refused are null where there is nothing to tell.
#[derive(Debug, clap::Args)]
pub struct List {}

#[derive(Serialize)]
struct Backend {
    name: String,
    /// `built-in`, or the file.
    source: String,
    contract: Option<String>,
    /// The capabilities that the operator must grant.
    grants: Vec<&'static str>,
    /// Why it is refused, or cannot be read.
    error: Option<String>,
    /// Why a host that runs did not swap it in.
    refused: Option<Refusal>,
}

impl List {
    pub fn run(self, host: &Host, output: &mut Output) -> anyhow::Result<()> {
        let mut backends = host.backends()?.into_iter().map(|(name, source)| {
            let (manifest, refused) = (host.manifest(&name), host.refusal(&name));
            Backend::new(name, &source, manifest, refused)
        });
        match output.format() {
            Format::Json => backends.try_for_each(|backend| output.json(&backend)),
            Format::Text => {
                let backends: Vec<_> = backends.collect();
                let told = backends.iter().filter_map(Backend::note);
                let notes: Vec<String> = told.collect();
                let mut table = Table::new(["backend", "contract", "grants", "source"]);
                table.rows(output, backends.into_iter().map(Backend::row).collect())?;
                notes.iter().for_each(|note| output.note(note));
                Ok(())
            }
        }
    }
}

impl Backend {
    fn new(
        name: String,
        source: &Source,
        manifest: mortise::Result<Manifest>,
        refused: Option<Refusal>,
    ) -> Self {
        let source = match source {
            Source::Carried => "built-in".to_owned(),
            Source::File(path) => path.display().to_string(),
            other => format!("{other:?}"),
        };
        match manifest {
            Ok(manifest) => {
                let grants = grants(&manifest);
                Self {
                    name,
                    source,
                    contract: manifest.contract,
                    grants,
                    error: None,
                    refused,
                }
            }
            // One damaged file does not hide the others.
            Err(error) => {
                let error = Some(error.with_causes());
                Self {
                    name,
                    source,
                    contract: None,
                    grants: Vec::new(),
                    error,
                    refused,
                }
            }
        }
    }

    /// What is wrong with it, in a line.
    fn note(&self) -> Option<String> {
        let name = &self.name;
        match (&self.error, &self.refused) {
            (Some(error), _) => Some(format!("{name}: {error}")),
            (None, Some(refusal)) => {
                let at = time(refusal.at);
                let reason = &refusal.reason;
                Some(format!(
                    "{name}: a running host refused it at {at}: {reason}"
                ))
            }
            (None, None) => None,
        }
    }

    fn row(self) -> [String; 4] {
        let contract = match self.error {
            Some(_) => "refused".to_owned(),
            None => self.contract.unwrap_or_else(|| "none".to_owned()),
        };
        let grants = if self.grants.is_empty() {
            "-".to_owned()
        } else {
            self.grants.join(", ")
        };
        [self.name, contract, grants, self.source]
    }
}

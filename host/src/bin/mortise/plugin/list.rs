//! `mortise plugin list`

use mortise::{Host, Manifest, Source};
use serde::Serialize;

use super::inspect::{grants, why};
use crate::output::{Format, Output, Table};

/// Lists the backends that can be opened by name
///
/// Those that pin, signature or damage refuse are listed, too, with the reason on stderr. In json one {"name":…,"source":…,"contract":…,"grants":[…],"error":…} a line.
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
}

impl List {
    pub fn run(self, host: &Host, output: &mut Output) -> anyhow::Result<()> {
        let mut backends = host.backends()?.into_iter().map(|(name, source)| {
            let manifest = host.manifest(&name);
            Backend::new(name, &source, manifest)
        });
        match output.format() {
            Format::Json => backends.try_for_each(|backend| output.json(&backend)),
            Format::Text => {
                let backends: Vec<_> = backends.collect();
                let refused = backends
                    .iter()
                    .filter_map(Backend::refused)
                    .collect::<Vec<_>>();
                let mut table = Table::new(["backend", "contract", "grants", "source"]);
                table.rows(output, backends.into_iter().map(Backend::row).collect())?;
                refused.iter().for_each(|reason| output.note(reason));
                Ok(())
            }
        }
    }
}

impl Backend {
    fn new(name: String, source: &Source, manifest: mortise::Result<Manifest>) -> Self {
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
                }
            }
            // One damaged file does not hide the others.
            Err(error) => {
                let error = Some(why(&error));
                Self {
                    name,
                    source,
                    contract: None,
                    grants: Vec::new(),
                    error,
                }
            }
        }
    }

    /// In a line: which backend, and why.
    fn refused(&self) -> Option<String> {
        let error = self.error.as_ref()?;
        Some(format!("{}: {error}", self.name))
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

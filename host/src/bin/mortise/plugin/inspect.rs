//! `mortise plugin inspect`

use std::borrow::Cow;
use std::fs::File;
use std::io::Read as _;

use anyhow::Context as _;
use mortise::limits::MAX_COMPONENT_BYTES;
use mortise::{Host, Manifest};
use serde::Serialize;

use crate::output::{Format, Output};

/// Shows what a component is and asks for, and whether this host would run it
///
/// It is compiled for the answer, but nothing of it is run. In json:
/// {"component":…,"contract":…,"runs":…,"reason":…,"grants":[…],"wasi":…,"imports":[…],"exports":[…],
/// "size":N,"digest":"sha256:…"}.
#[derive(Debug, clap::Args)]
pub struct Inspect {
    /// A file, which has a dot or a slash in its name, or the name of a backend
    #[arg(value_name = "FILE|NAME")]
    component: String,
}

#[derive(Serialize)]
struct Report<'a> {
    component: &'a str,
    contract: Option<&'a str>,
    runs: bool,
    reason: Option<String>,
    grants: Vec<&'static str>,
    wasi: bool,
    imports: &'a [String],
    exports: &'a [String],
    size: u64,
    digest: String,
}

impl Inspect {
    pub fn run(self, host: &Host, output: &mut Output) -> anyhow::Result<()> {
        let bytes = read(host, &self.component)?;
        let manifest = Manifest::read(&bytes)?;
        let reason = host.check(&bytes).err().map(|error| why(&error));
        let report = Report {
            component: &self.component,
            contract: manifest.contract.as_deref(),
            runs: reason.is_none(),
            reason,
            grants: grants(&manifest),
            wasi: manifest.uses_wasi(),
            imports: &manifest.imports,
            exports: &manifest.exports,
            size: manifest.size,
            digest: format!("sha256:{}", manifest.digest),
        };
        match output.format() {
            Format::Json => output.json(&report),
            Format::Text => report.print(output),
        }
    }
}

impl Report<'_> {
    fn print(&self, output: &mut Output) -> anyhow::Result<()> {
        let runs = match &self.reason {
            None if self.grants.is_empty() => "yes".to_owned(),
            None => format!("yes, once it is granted {}", self.grants.join(", ")),
            Some(reason) => format!("no: {reason}"),
        };
        let grants = if self.grants.is_empty() {
            "none".to_owned()
        } else {
            self.grants.join(", ")
        };
        let wasi = if self.wasi {
            "yes, it sees an empty world"
        } else {
            "no"
        };
        for (name, value) in [
            ("component", self.component),
            ("contract", self.contract.unwrap_or("none")),
            ("runs here", &runs),
            ("grants", &grants),
            ("wasi", wasi),
            ("size", &format!("{} bytes", self.size)),
            ("digest", &self.digest),
        ] {
            output.text(format_args!("{name:<9}  {value}"))?;
        }
        for (name, interfaces) in [("imports", self.imports), ("exports", self.exports)] {
            output.text(name)?;
            interfaces
                .iter()
                .try_for_each(|interface| output.text(format_args!("  {interface}")))?;
        }
        Ok(())
    }
}

/// The bytes of a component: of a file, which has a dot or a slash in its name, or of a backend.
pub fn read<'h>(host: &'h Host, name: &str) -> anyhow::Result<Cow<'h, [u8]>> {
    if !name.contains(['.', '/', '\\']) {
        return Ok(host.component(name)?);
    }
    let mut bytes = Vec::new();
    // One byte more than allowed is enough to be told so.
    File::open(name)
        .and_then(|file| file.take(MAX_COMPONENT_BYTES + 1).read_to_end(&mut bytes))
        .with_context(|| format!("{name} cannot be read"))?;
    Ok(Cow::Owned(bytes))
}

/// The capabilities that the operator must grant.
pub fn grants(manifest: &Manifest) -> Vec<&'static str> {
    let needed = manifest
        .capabilities()
        .into_iter()
        .filter(|capability| capability.needs_grant());
    needed.map(|capability| capability.as_str()).collect()
}

/// An error and its causes, in one line.
pub fn why(error: &mortise::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

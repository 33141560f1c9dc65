//! `mortise plugin inspect`

use std::borrow::Cow;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use mortise::limits::MAX_COMPONENT_BYTES;
use mortise::{Host, Manifest, Pin, SignatureCheck, Source, Verification};
use serde::Serialize;

use crate::output::{Format, Output};

/// Shows what a component is and asks for, and whether this host would run it
///
/// It is compiled for the answer, but nothing of it is run. In json:
/// {"component":…,"contract":…,"runs":…,"reason":…,"grants":[…],"wasi":…,"imports":[…],"exports":[…],
/// "size":N,"digest":"sha256:…","pin":"none|matches|differs","pinned":"sha256:…",
/// "signature":"not-asked|valid|missing|invalid","key":…,"signature_reason":…}. Of a file, pin and signature
/// are those that it would have in the plug-in folder.
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
    #[serde(flatten)]
    trust: Trust,
}

/// What the configuration's pins and trusted keys say.
#[derive(Default, Serialize)]
struct Trust {
    pin: &'static str,
    pinned: Option<String>,
    signature: &'static str,
    key: Option<String>,
    signature_reason: Option<String>,
}

impl Inspect {
    pub fn run(self, host: &Host, output: &mut Output) -> anyhow::Result<()> {
        let (name, source, bytes) = read(host, &self.component)?;
        let manifest = Manifest::read(&bytes)?;
        let verification = host.verify(name, &source, &bytes);
        let reason = match refusal(&verification) {
            Some(reason) => Some(reason.to_owned()),
            None => host.check(&bytes).err().map(|error| error.with_causes()),
        };
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
            trust: Trust::of(verification),
        };
        match output.format() {
            Format::Json => output.json(&report),
            Format::Text => report.print(output),
        }
    }
}

impl Trust {
    fn of(verification: Verification) -> Self {
        let (pin, pinned) = match verification.pin {
            Pin::Matches => ("matches", None),
            Pin::Differs { expected, .. } => ("differs", Some(format!("sha256:{expected}"))),
            _ => ("none", None),
        };
        let trust = Self {
            pin,
            pinned,
            ..Self::default()
        };
        match verification.signature {
            SignatureCheck::Valid { key } => Self {
                signature: "valid",
                key: Some(key.to_string()),
                ..trust
            },
            SignatureCheck::Missing => Self {
                signature: "missing",
                ..trust
            },
            SignatureCheck::Invalid { reason } => Self {
                signature: "invalid",
                signature_reason: Some(reason),
                ..trust
            },
            _ => Self {
                signature: "not-asked",
                ..trust
            },
        }
    }

    fn pin(&self) -> String {
        match &self.pinned {
            Some(pinned) => format!("differs: pinned is {pinned}"),
            None => self.pin.to_owned(),
        }
    }

    fn signature(&self) -> String {
        match (&self.key, &self.signature_reason) {
            (Some(key), _) => format!("valid, by key {key}"),
            (_, Some(reason)) => format!("invalid: {reason}"),
            _ => self.signature.replace('-', " "),
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
            ("pin", &self.trust.pin()),
            ("signature", &self.trust.signature()),
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

/// Why this host does not load the component, whatever is in it.
fn refusal(verification: &Verification) -> Option<&'static str> {
    match (&verification.pin, &verification.signature) {
        (Pin::Differs { .. }, _) => Some("it is not the component that its name is pinned to"),
        (_, SignatureCheck::Missing) => Some("it is not signed"),
        (_, SignatureCheck::Invalid { .. }) => Some("its signature is not valid"),
        _ => None,
    }
}

/// A component, where it is, and the name that it has or would have: a file, which has a dot or a slash in
/// its name, or a backend.
pub fn read<'h, 'n>(
    host: &'h Host,
    name: &'n str,
) -> anyhow::Result<(&'n str, Source, Cow<'h, [u8]>)> {
    if !name.contains(['.', '/', '\\']) {
        let (source, bytes) = host.unverified(name)?;
        return Ok((name, source, bytes));
    }
    let mut bytes = Vec::new();
    // One byte more than allowed is enough to be told so.
    File::open(name)
        .and_then(|file| file.take(MAX_COMPONENT_BYTES + 1).read_to_end(&mut bytes))
        .with_context(|| format!("{name} cannot be read"))?;
    let stem = Path::new(name).file_stem().and_then(|stem| stem.to_str());
    Ok((
        stem.unwrap_or(name),
        Source::File(PathBuf::from(name)),
        Cow::Owned(bytes),
    ))
}

/// The capabilities that the operator must grant.
pub fn grants(manifest: &Manifest) -> Vec<&'static str> {
    let needed = manifest
        .capabilities()
        .into_iter()
        .filter(|capability| capability.needs_grant());
    needed.map(|capability| capability.as_str()).collect()
}

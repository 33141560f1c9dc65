//! `mortise store quarantine`

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use clap::Subcommand;
use mortise::{Quarantine, QuarantineEntry, Revision, Timestamp};
use serde::Serialize;

use crate::exit_code::CliError;
use crate::input::Input;
use crate::output::{self, Format, Output, Table, time};
use crate::paging::Pages;

/// Shows, mends and drops corrupt records, which were set aside
///
/// A record that cannot be read back is never deleted. It becomes an entry of the collection
/// mortise.quarantine, which exports and counts show too, and its key is free for a new record.
#[derive(Debug, Subcommand)]
pub enum QuarantineCommand {
    List(List),
    Show(Show),
    Restore(Restore),
    Drop(DropEntry),
}

impl QuarantineCommand {
    pub async fn run(self, quarantine: &Quarantine, output: &mut Output) -> anyhow::Result<()> {
        match self {
            Self::List(command) => command.run(quarantine, output).await,
            Self::Show(command) => command.run(quarantine, output).await,
            Self::Restore(command) => command.run(quarantine, output).await,
            Self::Drop(command) => command.run(quarantine, output).await,
        }
    }
}

/// Lists all entries, the one that was set aside first coming first
///
/// In json one {"id":…,"collection":…,"record_id":…,"reason":…,"set_aside_at":MS,"attributes":[[NAME,VALUE],…]}
/// a line.
#[derive(Debug, clap::Args)]
pub struct List {}

impl List {
    async fn run(self, quarantine: &Quarantine, output: &mut Output) -> anyhow::Result<()> {
        let mut table = Table::new(["entry", "record", "set aside", "reason"]);
        let mut pages = Pages::all();
        while let Some(limit) = pages.limit(output) {
            let page = quarantine.list(pages.after.take(), limit).await?;
            match output.format() {
                Format::Text => table.rows(output, page.entries.iter().map(row).collect())?,
                Format::Json => page
                    .entries
                    .iter()
                    .try_for_each(|entry| output.json(&Shown::new(entry)))?,
            }
            pages.turn(page.entries.len(), page.next)?;
        }
        Ok(())
    }
}

fn row(entry: &QuarantineEntry) -> [String; 4] {
    [
        entry.id.clone(),
        entry.key.to_string(),
        time(entry.at),
        entry.reason.clone(),
    ]
}

/// An entry in json: of a list, it has no body.
#[derive(Serialize)]
struct Shown<'a> {
    id: &'a str,
    collection: &'a str,
    record_id: &'a str,
    reason: &'a str,
    set_aside_at: Timestamp,
    attributes: Vec<(&'a str, &'a str)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body_base64: Option<String>,
}

impl<'a> Shown<'a> {
    fn new(entry: &'a QuarantineEntry) -> Self {
        let attributes = entry.attributes.iter();
        Self {
            id: &entry.id,
            collection: &entry.key.collection,
            record_id: &entry.key.id,
            reason: &entry.reason,
            set_aside_at: entry.at,
            attributes: attributes
                .map(|pair| (pair.name.as_str(), pair.value.as_str()))
                .collect(),
            body: None,
            body_base64: None,
        }
    }

    /// The body as in an export.
    fn with_body(entry: &'a QuarantineEntry) -> Self {
        let (body, body_base64) = match std::str::from_utf8(&entry.bytes) {
            Ok(text) => (Some(text), None),
            Err(_) => (None, Some(BASE64.encode(&entry.bytes))),
        };
        Self {
            body,
            body_base64,
            ..Self::new(entry)
        }
    }
}

/// Shows an entry, or writes its bytes to a file
///
/// In json what the list has, and "body":TEXT, or "body_base64":… where it is no text. With --output
/// FILE it prints how many bytes there are; in json: {"written":N}.
#[derive(Debug, clap::Args)]
pub struct Show {
    /// The entry's id
    #[arg(value_name = "ID")]
    id: String,
    /// Writes the bytes, as they were stored and nothing else, to this file, or - for stdout
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Show {
    async fn run(self, quarantine: &Quarantine, output: &mut Output) -> anyhow::Result<()> {
        #[derive(Serialize)]
        struct Written {
            written: usize,
        }
        let Some(entry) = quarantine.load(&self.id).await? else {
            let message = format!("there is no entry {} in quarantine", self.id);
            return Err(CliError::not_found(message).into());
        };
        match self.output {
            None if output.format() == Format::Json => output.json(&Shown::with_body(&entry)),
            None => show(&entry, output),
            Some(file) if file.as_os_str() == "-" => match output.write_all(&entry.bytes) {
                Err(_) if output.is_closed() => Ok(()),
                written => written.context("stdout cannot be written to"),
            },
            Some(file) => {
                let place = file.display();
                fs::write(&file, &entry.bytes)
                    .with_context(|| format!("{place} cannot be written"))?;
                let written = entry.bytes.len();
                output.line(
                    format_args!("wrote {written} bytes to {place}"),
                    &Written { written },
                )
            }
        }
    }
}

fn show(entry: &QuarantineEntry, output: &mut Output) -> anyhow::Result<()> {
    let text = std::str::from_utf8(&entry.bytes).ok();
    let body = match (entry.bytes.len(), text) {
        (bytes, Some(_)) => format!("{bytes} bytes"),
        (bytes, None) => format!("{bytes} bytes, no text: write them to a file with --output"),
    };
    for (name, value) in [
        ("entry", entry.id.as_str()),
        ("record", &entry.key.to_string()),
        ("set aside", &time(entry.at)),
        ("reason", &entry.reason),
    ] {
        output.text(format_args!("{name:<12}  {value}"))?;
    }
    for pair in &entry.attributes {
        output.text(format_args!("attribute     {}={}", pair.name, pair.value))?;
    }
    output.text(format_args!("body          {body}"))?;
    match text {
        None | Some("") => Ok(()),
        Some(text) => {
            output.text("")?;
            text.lines()
                .try_for_each(|line| output.text(format_args!("  {line}")))
        }
    }
}

/// Creates the record anew under its key, and removes the entry
///
/// Fails where another record is under the key by now. The record has the attributes that could be read,
/// whatever its body, until it is updated; it does not expire. Prints its new revision; in json: {"collection":…,"record_id":…,"revision":N}.
#[derive(Debug, clap::Args)]
pub struct Restore {
    /// The entry's id
    #[arg(value_name = "ID")]
    id: String,
    /// The mended body, or - for stdin; default: the bytes as they are
    #[arg(long, value_name = "FILE")]
    body: Option<Input>,
}

impl Restore {
    async fn run(self, quarantine: &Quarantine, output: &mut Output) -> anyhow::Result<()> {
        #[derive(Serialize)]
        struct Restored<'a> {
            collection: &'a str,
            record_id: &'a str,
            revision: Revision,
        }
        let body = self.body.map(|input| input.bytes(output)).transpose()?;
        let (key, revision) = quarantine.restore(&self.id, body).await?;
        output.line(
            format_args!("restored {key}  revision {revision}"),
            &Restored {
                collection: &key.collection,
                record_id: &key.id,
                revision,
            },
        )
    }
}

/// Deletes an entry, and with it the last copy of a record's bytes
///
/// Asks first on a terminal, and refuses elsewhere, unless --yes is given. Prints the id; in json:
/// {"dropped":ID}.
#[derive(Debug, clap::Args)]
pub struct DropEntry {
    /// The entry's id
    #[arg(value_name = "ID")]
    id: String,
    /// Does not ask
    #[arg(long)]
    yes: bool,
}

impl DropEntry {
    async fn run(self, quarantine: &Quarantine, output: &mut Output) -> anyhow::Result<()> {
        #[derive(Serialize)]
        struct Dropped<'a> {
            dropped: &'a str,
        }
        let id = &self.id;
        if !self.yes {
            output::confirm(&format!("remove the entry {id} for good?"), "removed")?;
        }
        quarantine.remove(id).await?;
        output.line(format_args!("dropped {id}"), &Dropped { dropped: id })
    }
}

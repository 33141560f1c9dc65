//! `mortise store import`

mod older;
mod teal_redis;

use std::ffi::OsString;

use anyhow::Context as _;
use clap::ValueEnum;
use mortise::transfer::{ImportOptions, TealExpiry};
use mortise::{Store, transfer};
use serde::Serialize;

use self::older::Source;
use self::teal_redis::TealRedis;
use crate::compression::decoded;
use crate::exit_code::CliError;
use crate::input::Input;
use crate::output::{Output, Table};
use crate::progress::Progress;

/// Writes the records of an export to the store, or those of another platform's store
///
/// Of an export, the records keep their revisions and times. What is there already and the same is left
/// alone, so that an import that failed can be run again. Nothing after a damaged line is written. What
/// gzip or zstd compressed is known by its content. Prints
/// how many records the file had; in json: {"imported":N}.
///
/// With --from, the records of another platform's store are created, oldest first where that is known; that
/// store is only read. What is there already is left alone, so that it can be run again. What cannot be read
/// is skipped. Prints what was read, and what was skipped and why; in json one object. It ends with exit
/// code 6 where something was skipped, after all else was imported.
#[derive(Debug, clap::Args)]
pub struct Import {
    /// The file, or - for stdin; with --from: the file or folder, or for teal-redis where it is:
    /// redis://HOST:PORT/DATABASE with the parameters of a store's URL (password-env, password-file,
    /// username, ca-file, connect-timeout, command-timeout), or env:teal, as TA_REDIS_HOST and the others
    /// name it
    #[arg(default_value = "-", value_name = "FILE|DIR|URL")]
    source: OsString,
    /// What wrote the other store
    #[arg(long, value_enum, value_name = "KIND")]
    from: Option<Kind>,
    /// Reads everything and prints what would be, but writes nothing
    #[arg(long, requires = "from")]
    dry_run: bool,
    /// Stops at the first record that would be skipped; what was imported before stays
    #[arg(long, requires = "from")]
    strict: bool,
    /// Of teal-redis: what becomes of a key's time to live; default: keep
    #[arg(long, requires = "from", value_enum, value_name = "WHAT")]
    expiry: Option<Expiry>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// Teal Agents' RedisTaskPersistenceManager
    TealRedis,
    /// A file with one task of Teal Agents a line, or - for stdin
    TealJsonl,
    /// A TinyDB file, as Supervaizer's StorageManager writes it
    Tinydb,
    /// The SQLite file of MCP Task Orchestrator
    OrchestratorDb,
    /// The folder orchestrator-files of MCP Task Orchestrator
    OrchestratorFiles,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Expiry {
    /// The task expires at the same instant, also if it is worked on until then
    Keep,
    /// The task does not expire, unless the store gives its records a time to live
    Drop,
}

impl Import {
    pub async fn run(self, store: &Store, output: &mut Output) -> anyhow::Result<()> {
        let source = match self.from {
            None => return import(&Input::from(self.source), store, output).await,
            Some(Kind::TealRedis) => return self.teal_redis(store, output).await,
            Some(Kind::TealJsonl) => Source::TealJsonl(Input::from(self.source)),
            Some(_) if self.source == "-" => {
                let message =
                    "--from takes a path here: only an export and teal-jsonl are read from stdin";
                return Err(CliError::usage(message, "name the file or folder").into());
            }
            Some(Kind::Tinydb) => Source::TinyDb(self.source.into()),
            Some(Kind::OrchestratorDb) => Source::OrchestratorDb(self.source.into()),
            Some(Kind::OrchestratorFiles) => Source::OrchestratorFiles(self.source.into()),
        };
        if self.expiry.is_some() {
            let message = "--expiry is for --from teal-redis: no other store has a time to live";
            return Err(CliError::usage(message, "leave --expiry out").into());
        }
        let mut options = ImportOptions::default();
        options.dry_run = self.dry_run;
        options.strict = self.strict;
        source.import(&options, store, output).await
    }

    async fn teal_redis(self, store: &Store, output: &mut Output) -> anyhow::Result<()> {
        if self.strict {
            let message = "--from teal-redis takes no --strict";
            let hint = "see with --dry-run what would be skipped";
            return Err(CliError::usage(message, hint).into());
        }
        let url = self.source.to_str().filter(|url| url.contains(':'));
        let Some(url) = url else {
            let message = "--from teal-redis takes the URL of a Redis";
            let hint = "write redis://HOST:PORT/DATABASE, or env:teal";
            return Err(CliError::usage(message, hint).into());
        };
        let expiry = match self.expiry {
            None | Some(Expiry::Keep) => TealExpiry::Keep,
            Some(Expiry::Drop) => TealExpiry::Drop,
        };
        let dry_run = self.dry_run;
        let import = TealRedis { dry_run, expiry };
        import.run(url, store, output).await
    }
}

async fn import(from: &Input, store: &Store, output: &mut Output) -> anyhow::Result<()> {
    #[derive(Serialize)]
    struct Imported {
        imported: u64,
    }
    let file = decoded(from.open(output)?).with_context(|| format!("{from} cannot be read"))?;
    let mut progress = Progress::new(output, "records", false);
    let imported = transfer::import(store, file, |records| progress.set(records)).await?;
    drop(progress);
    output.line(
        format_args!("imported {imported} records"),
        &Imported { imported },
    )
}

/// A table with a line before it, if it has rows.
fn table(
    headings: [&'static str; 2],
    output: &mut Output,
    rows: impl Iterator<Item = [String; 2]>,
) -> anyhow::Result<()> {
    let rows: Vec<_> = rows.collect();
    if rows.is_empty() {
        return Ok(());
    }
    output.text("")?;
    Table::new(headings).rows(output, rows)
}

/// How an import of another platform's store ends: in a failure, where something was skipped.
fn end(skipped: usize, dry_run: bool, output: &mut Output) -> anyhow::Result<()> {
    output.arrive()?;
    if skipped == 0 {
        return Ok(());
    }
    let message = match dry_run {
        true => format!("not everything would be imported: {skipped} skipped"),
        false => format!("not everything was imported: {skipped} skipped"),
    };
    let hint = "they are as they were in the source; mend them there and import again";
    Err(CliError::invalid(message, hint).into())
}

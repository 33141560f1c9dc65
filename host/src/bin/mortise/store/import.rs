//! `mortise store import`

mod teal_redis;

use std::ffi::OsString;

use anyhow::Context as _;
use clap::ValueEnum;
use mortise::transfer::TealExpiry;
use mortise::{Store, transfer};
use serde::Serialize;

use self::teal_redis::TealRedis;
use crate::compression::decoded;
use crate::exit_code::CliError;
use crate::input::Input;
use crate::output::Output;
use crate::progress::Progress;

/// Writes the records of an export to the store, or the tasks of another store
///
/// Of an export, the records keep their revisions and times. What is there already and the same is left
/// alone, so that an import that failed can be run again. Nothing after a damaged line is written. What
/// gzip or zstd compressed is known by its content. Prints
/// how many records the file had; in json: {"imported":N}.
///
/// With --from teal-redis, the tasks of Teal Agents' Redis store are created, oldest first; that store is
/// only read. Prints what was read, and what was skipped and why; in json one object. It ends with exit
/// code 6 where some were skipped, after all others were imported.
#[derive(Debug, clap::Args)]
pub struct Import {
    /// The file, or - for stdin; with --from, where the other store is: redis://HOST:PORT/DATABASE with
    /// the parameters of a store's URL (password-env, password-file, username, ca-file,
    /// connect-timeout, command-timeout), or env:teal, as TA_REDIS_HOST and the others name it
    #[arg(default_value = "-", value_name = "FILE|URL")]
    source: OsString,
    /// What wrote the other store
    #[arg(long, value_enum, value_name = "KIND")]
    from: Option<Kind>,
    /// Reads everything and prints what would be, but writes nothing
    #[arg(long, requires = "from")]
    dry_run: bool,
    /// What becomes of a key's time to live; default: keep
    #[arg(long, requires = "from", value_enum, value_name = "WHAT")]
    expiry: Option<Expiry>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// Teal Agents' RedisTaskPersistenceManager
    TealRedis,
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
        match self.from {
            None => import(&Input::from(self.source), store, output).await,
            Some(Kind::TealRedis) => {
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

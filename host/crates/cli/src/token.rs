//! `mortise token`: the tokens of a server.

use anyhow::Context as _;
use clap::Subcommand;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use jiff::tz::TimeZone;
use jiff::{Span, Unit};
use mortise::serve::Token;
use mortise::{Namespaces, Permission, Timestamp, TokenConfig};
use serde::Serialize;

use crate::exit_code::CliError;
use crate::input::Input;
use crate::output::{Format, Output};

#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    New(New),
    Hash(Hash),
}

impl TokenCommand {
    pub fn run(self, output: &mut Output) -> anyhow::Result<()> {
        match self {
            Self::New(command) => command.run(output),
            Self::Hash(command) => command.run(output),
        }
    }
}

/// Makes a token: prints it this once, and the lines for mortise.toml that let its holder in
///
/// The token goes to stdout, the lines, which have its hash alone, to stderr. In json both are one object:
/// {"token":"mortise_…","sha256":…,"config":"[[serve.tokens]]\n…"}.
#[derive(Debug, clap::Args)]
pub struct New {
    /// What the token is called in logs, metrics and the restart history
    #[arg(long)]
    name: String,
    /// A namespace whose stores it opens, or * for every one; may be repeated
    #[arg(long = "namespace", value_name = "NAMESPACE")]
    namespaces: Vec<String>,
    /// What it allows, in a list with commas; operate is to restart the server, and none implies another
    #[arg(long, required = true, value_delimiter = ',', value_parser = permission())]
    may: Vec<Permission>,
    /// How long it is valid: 90d, 12h, 1y; default: for ever
    #[arg(long, value_name = "TIME", value_parser = time_ahead, allow_hyphen_values = true)]
    expires_in: Option<Span>,
}

#[derive(Serialize)]
struct Made<'a> {
    token: &'a str,
    sha256: String,
    config: String,
}

impl New {
    fn run(self, output: &mut Output) -> anyhow::Result<()> {
        let token = Token::generate()?;
        let namespaces = Namespaces::named(self.namespaces)?;
        let expires_at = self.expires_in.map(instant_after).transpose()?;
        let config = TokenConfig::new(self.name, token.sha256(), namespaces, self.may, expires_at)?;
        match output.format() {
            Format::Text => {
                output.text(token.reveal())?;
                // It is there before what explains it.
                output.arrive()?;
                output.note(
                    "# for mortise.toml; the token itself is shown this once, and kept nowhere",
                );
                config
                    .to_string()
                    .lines()
                    .for_each(|line| output.note(line));
                Ok(())
            }
            Format::Json => output.json(&Made {
                token: token.reveal(),
                sha256: token.sha256().to_string(),
                config: config.to_string(),
            }),
        }
    }
}

/// Reads a token from stdin and prints its hash, as `sha256` in mortise.toml
///
/// In json: {"sha256":…}.
#[derive(Debug, clap::Args)]
pub struct Hash {}

#[derive(Serialize)]
struct Hashed<'a> {
    sha256: &'a str,
}

impl Hash {
    fn run(self, output: &mut Output) -> anyhow::Result<()> {
        let bytes = Input::Stdin.bytes(output)?;
        let text = String::from_utf8(bytes).unwrap_or_default();
        let token: Token = text.trim().parse().context("stdin")?;
        let sha256 = token.sha256().to_string();
        output.line(&sha256, &Hashed { sha256: &sha256 })
    }
}

fn permission() -> impl TypedValueParser<Value = Permission> {
    PossibleValuesParser::new(Permission::ALL.map(Permission::as_str))
        .try_map(|name| name.parse::<Permission>())
}

/// A time as people write it, days and years included.
fn time_ahead(text: &str) -> Result<Span, String> {
    let span: Span = text
        .parse()
        .map_err(|_| format!("{text:?} is no time, expected one like \"90d\" or \"12h\""))?;
    match span.is_positive() {
        true => Ok(span),
        false => Err(format!("{text:?} is not ahead, expected one like \"90d\"")),
    }
}

/// When so much time has passed from now on, to the second.
fn instant_after(span: Span) -> anyhow::Result<Timestamp> {
    let too_late = "the token would expire after the year 9999";
    let hint = "leave --expires-in out: it is then valid for ever";
    let at = jiff::Timestamp::now()
        .to_zoned(TimeZone::UTC)
        .checked_add(span)
        .and_then(|at| at.round(Unit::Second))
        .map_err(|_| CliError::usage(too_late, hint))?;
    Ok(Timestamp::try_from(at.timestamp().as_millisecond())?)
}

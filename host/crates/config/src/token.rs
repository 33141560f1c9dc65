//! The tokens of a server, as `mortise.toml` has them: by their hash, and what each allows.

use std::collections::BTreeSet;
use std::fmt::{self, Write as _};
use std::str::FromStr;

use mortise_store::inside::ErrorInside as _;
use mortise_store::limits::MAX_NAMESPACE_BYTES;
use mortise_store::{Digest, Error, Result, Timestamp};
use serde::{Deserialize, Deserializer};

/// What every token begins with, so that people and scanners for leaked secrets know one when they see it.
pub const TOKEN_PREFIX: &str = "mortise_";
/// What stands for every namespace.
const ANY: &str = "*";
/// Longest name of a token, in bytes.
const MAX_NAME_BYTES: usize = 64;

/// One bearer token: its hash, and what it allows. `Display` is the table `[[serve.tokens]]`, as
/// `mortise token new` writes it:
///
/// ```
/// # use mortise_config::TokenConfig;
/// # let text = r#"
/// [[serve.tokens]]
/// name = "ci"                          # in logs, metrics and the restart history
/// sha256 = "24eaf3439a60c96764c4f2c92a0a81b52bd4fe5d5b91f090184a0f6486b1bf29"
/// namespaces = ["acme", "acme-test"]   # or "*": every one
/// may = ["read", "write"]              # and "operate": may restart the server
/// expires-at = 2027-01-01T00:00:00Z
/// # "#;
/// # let config: mortise_config::Config = toml::from_str(text).unwrap();
/// # let token = &config.serve.tokens[0];
/// # let again: mortise_config::Config = toml::from_str(&token.to_string()).unwrap();
/// # assert_eq!(&again.serve.tokens[0], token);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub struct TokenConfig {
    /// What it is called. Nobody gets in by a name: logs, metrics and the restart history have it.
    pub name: String,
    /// SHA-256 of the token, of its whole text.
    #[serde(deserialize_with = "hash")]
    pub sha256: Digest,
    /// The namespaces whose stores it opens. Default: none.
    #[serde(default)]
    pub namespaces: Namespaces,
    /// What it allows. Nothing implies anything else.
    pub may: BTreeSet<Permission>,
    /// From when on it is refused. Default: never. In the file, an instant as of RFC 3339.
    #[serde(default, deserialize_with = "instant")]
    pub expires_at: Option<Timestamp>,
}

/// What a token can allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Permission {
    /// To read records of its namespaces.
    Read,
    /// To write them. Does not imply to read.
    Write,
    /// To restart the server. Does not imply to read or to write.
    Operate,
}

impl Permission {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Read, Self::Write, Self::Operate];

    /// Its name, as in the configuration: `read`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Operate => "operate",
        }
    }
}

impl FromStr for Permission {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|known| known.as_str() == text)
            .ok_or_else(|| {
                Error::config(format!(
                    "{text:?} is nothing that a token allows, expected read, write or operate"
                ))
            })
    }
}

/// The namespaces that a token opens.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Namespaces {
    /// Every one: `*`.
    All,
    /// These alone.
    Only(BTreeSet<String>),
}

impl Default for Namespaces {
    fn default() -> Self {
        Self::Only(BTreeSet::new())
    }
}

impl Namespaces {
    /// The namespaces of these names; `*` alone stands for every one.
    ///
    /// # Errors
    ///
    /// `Config`: `*` among others, or a name that is empty or too long.
    pub fn named<I>(names: I) -> Result<Self>
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        let names: BTreeSet<String> = names.into_iter().map(Into::into).collect();
        if names.contains(ANY) {
            if names.len() > 1 {
                return Err(Error::config(
                    "namespaces has \"*\" among others, expected it alone: it stands for every one",
                ));
            }
            return Ok(Self::All);
        }
        for name in &names {
            if !(1..=MAX_NAMESPACE_BYTES).contains(&name.len()) {
                return Err(Error::config(format!(
                    "the namespace {name:?} has {} bytes, expected 1 to {MAX_NAMESPACE_BYTES}",
                    name.len()
                )));
            }
        }
        Ok(Self::Only(names))
    }

    /// Whether this namespace is one of them.
    pub fn contains(&self, namespace: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(names) => names.contains(namespace),
        }
    }

    fn is_empty(&self) -> bool {
        matches!(self, Self::Only(names) if names.is_empty())
    }
}

/// `"*"`, one name, or a list of names.
impl<'de> Deserialize<'de> for Namespaces {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "expected a list of namespaces, or \"*\"")]
        enum Written {
            One(String),
            List(Vec<String>),
        }
        let names = match Written::deserialize(deserializer)? {
            Written::One(name) => vec![name],
            Written::List(names) => names,
        };
        Self::named(names).map_err(|error| serde::de::Error::custom(error.reason()))
    }
}

impl TokenConfig {
    /// What a token with this hash allows.
    ///
    /// # Errors
    ///
    /// `Config`: the name is none, or it allows nothing.
    pub fn new(
        name: impl Into<String>,
        sha256: Digest,
        namespaces: Namespaces,
        may: impl IntoIterator<Item = Permission>,
        expires_at: Option<Timestamp>,
    ) -> Result<Self> {
        let token = Self {
            name: name.into(),
            sha256,
            namespaces,
            may: may.into_iter().collect(),
            expires_at,
        };
        token.check()?;
        Ok(token)
    }
}

/// What who serves asks of a token.
pub trait TokenConfigInside {
    /// Refuses a name that is none, and what allows nothing.
    fn check(&self) -> Result<()>;
}

impl TokenConfigInside for TokenConfig {
    fn check(&self) -> Result<()> {
        let name = &self.name;
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if !(1..=MAX_NAME_BYTES).contains(&name.len()) || !name.bytes().all(is_plain) {
            return Err(Error::config(format!(
                "{name:?} is no name of a token: it has 1 to {MAX_NAME_BYTES} of a-z, A-Z, 0-9, -, _ \
                 and ."
            )));
        }
        if self.may.is_empty() {
            return Err(
                Error::config(format!("the token {name:?} allows nothing: may is empty"))
                    .with_hint("write may = [\"read\"], or leave the token out"),
            );
        }
        let on_records = [Permission::Read, Permission::Write];
        if self.namespaces.is_empty() && on_records.iter().any(|needs| self.may.contains(needs)) {
            return Err(Error::config(format!(
                "the token {name:?} allows to read or write, but in no namespace"
            ))
            .with_hint("write namespaces = [\"default\"], or \"*\" for every one"));
        }
        Ok(())
    }
}

impl fmt::Display for TokenConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "[[serve.tokens]]")?;
        writeln!(f, "name = {}", Quoted(&self.name))?;
        writeln!(f, "sha256 = \"{}\"", self.sha256)?;
        match &self.namespaces {
            Namespaces::All => writeln!(f, "namespaces = \"{ANY}\"")?,
            Namespaces::Only(names) => {
                let names: Vec<_> = names.iter().map(|name| Quoted(name).to_string()).collect();
                writeln!(f, "namespaces = [{}]", names.join(", "))?;
            }
        }
        let may: Vec<_> = self
            .may
            .iter()
            .map(|may| Quoted(may.as_str()).to_string())
            .collect();
        write!(f, "may = [{}]", may.join(", "))?;
        let expires_at = self.expires_at.and_then(|at| i64::try_from(at).ok());
        match expires_at.map(jiff::Timestamp::from_millisecond) {
            Some(Ok(at)) => write!(f, "\nexpires-at = {at}"),
            // Beyond the year 9999: nobody lives to see it expire.
            _ => Ok(()),
        }
    }
}

/// A string of TOML.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for char in self.0.chars() {
            match char {
                '"' | '\\' => write!(f, "\\{char}")?,
                char if char.is_control() => write!(f, "\\u{:04X}", u32::from(char))?,
                char => f.write_char(char)?,
            }
        }
        f.write_char('"')
    }
}

/// The tokens of a configuration. None at all would look like protection, and be none.
pub(crate) fn tokens<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<TokenConfig>, D::Error> {
    let tokens = Vec::deserialize(deserializer)?;
    if tokens.is_empty() {
        let message = "tokens is empty: add one, as `mortise token new` writes it, or leave it out";
        return Err(serde::de::Error::custom(message));
    }
    Ok(tokens)
}

fn hash<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Digest, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.starts_with(TOKEN_PREFIX) {
        let message = "sha256 is a token itself, expected its hash: `mortise token hash` tells it";
        return Err(serde::de::Error::custom(message));
    }
    text.parse()
        .map_err(|error: Error| serde::de::Error::custom(error.reason()))
}

/// An instant, quoted or not.
fn instant<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "expected an instant like 2027-01-01T00:00:00Z")]
    enum Written {
        Datetime(toml::value::Datetime),
        Text(String),
    }
    let text = match Written::deserialize(deserializer)? {
        Written::Datetime(at) => at.to_string(),
        Written::Text(text) => text,
    };
    let wrong = || {
        let message = format!("{text:?} is no instant, expected one like 2027-01-01T00:00:00Z");
        serde::de::Error::custom(message)
    };
    let at: jiff::Timestamp = text.parse().map_err(|_| wrong())?;
    Timestamp::try_from(at.as_millisecond())
        .map(Some)
        .map_err(|_| wrong())
}

#[cfg(test)]
mod tests;

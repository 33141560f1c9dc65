//! The keys of minisign that the operator trusts.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use minisign_verify::PublicKey;
use mortise_store::inside::ErrorInside as _;
use mortise_store::{Error, Result};
use serde::Deserialize;

/// What a public key's file ends in.
const KEY_FILE_EXTENSION: &str = "pub";

/// A minisign public key that the operator trusts: the key itself, `RW…`, or a file that ends in `.pub`.
///
/// ```
/// # use mortise_config::TrustedKey;
/// let key: TrustedKey = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3".parse()?;
/// let file: TrustedKey = "keys/acme.pub".parse()?; // read when the host is built
/// # Ok::<(), mortise_store::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedKey(Form);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Form {
    Key(Key),
    File(PathBuf),
}

/// A public key, and the name that minisign gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// What minisign names it by.
    pub id: KeyId,
    /// What signatures are checked with.
    pub key: PublicKey,
}

/// What minisign names a key by. `Display` is as in the comment of a public key's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyId(u64);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016X}", self.0)
    }
}

/// What who checks signatures asks of a key's name.
pub trait KeyIdInside: Sized {
    /// Reads it from a public key or a signature: both begin with two bytes for the algorithm, and the id.
    fn of(line: &str) -> Option<Self>;
}

impl KeyIdInside for KeyId {
    fn of(line: &str) -> Option<Self> {
        let bytes = BASE64.decode(line.trim()).ok()?;
        let id = bytes.get(2..10)?.try_into().ok()?;
        Some(Self(u64::from_le_bytes(id)))
    }
}

impl Key {
    fn read(text: &str) -> Option<Self> {
        let key = PublicKey::from_base64(text).ok()?;
        let id = KeyId::of(text)?;
        Some(Self { id, key })
    }
}

impl FromStr for TrustedKey {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let path = Path::new(text);
        if path
            .extension()
            .is_some_and(|extension| extension == KEY_FILE_EXTENSION)
        {
            return Ok(Self(Form::File(path.to_owned())));
        }
        Key::read(text).map(Form::Key).map(Self).ok_or_else(|| {
            Error::config(format!(
                "{text:?} is no minisign public key, expected 56 characters from RW on, or a file that \
                 ends in .{KEY_FILE_EXTENSION}"
            ))
        })
    }
}

impl<'de> Deserialize<'de> for TrustedKey {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse()
            .map_err(|error: Error| serde::de::Error::custom(error.reason()))
    }
}

/// The trusted keys of a configuration. None at all would look like protection, and be none.
pub fn trusted_keys<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<TrustedKey>, D::Error> {
    let keys = Vec::deserialize(deserializer)?;
    if keys.is_empty() {
        let message = "trusted-keys is empty: name a minisign public key, or leave it out";
        return Err(serde::de::Error::custom(message));
    }
    Ok(keys)
}

impl TrustedKey {
    /// A relative file starts at this folder.
    pub(crate) fn start_at(&mut self, folder: &Path) {
        if let Form::File(path) = &mut self.0 {
            *path = folder.join(&*path);
        }
    }
}

/// What who checks signatures asks of a key.
pub trait TrustedKeyInside {
    /// The key itself, from its file where it names one.
    ///
    /// # Errors
    ///
    /// `Config`: the file cannot be read, or has no key.
    fn read(self) -> Result<Key>;
}

impl TrustedKeyInside for TrustedKey {
    fn read(self) -> Result<Key> {
        let path = match self.0 {
            Form::Key(key) => return Ok(key),
            Form::File(path) => path,
        };
        let text = std::fs::read_to_string(&path).map_err(|error| {
            Error::config(format!("the trusted key {} cannot be read", path.display()))
                .with_source(error)
        })?;
        // A comment, then the key, as `minisign -G` writes it.
        text.lines().nth(1).and_then(Key::read).ok_or_else(|| {
            Error::config(format!(
                "{} is no minisign public key, expected a line of comment and one from RW on",
                path.display()
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of minisign's own documentation.
    const KEY: &str = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";

    #[test]
    fn a_key_is_named_as_minisign_names_it() {
        assert_eq!(Key::read(KEY).unwrap().id.to_string(), "E7620F1842B4E81F");
    }

    #[test]
    fn what_is_no_key_is_refused_with_what_was_expected() {
        let (cut, padded) = (&KEY[..40], format!("{KEY}="));
        for text in ["", "RW", "acme", cut, &padded, "RWé", "😀"] {
            let error = text.parse::<TrustedKey>().unwrap_err().to_string();
            assert!(error.contains("expected 56 characters"), "{text}: {error}");
        }
    }
}

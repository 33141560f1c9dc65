//! Whether a component is the one that the operator means: a pin of its digest, a signature over its file.
//!
//! What is checked are exactly the bytes that are compiled then: they are read once.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use minisign_verify::{PublicKey, Signature};
use serde::Deserialize;

use crate::error::{Error, ErrorKind, Operation, Result};
use crate::manifest::Digest;
use crate::registry::Source;

/// What a signature's file is named after: the component's file, and this.
const SIGNATURE_SUFFIX: &str = ".minisig";
/// What a public key's file ends in.
const KEY_FILE_EXTENSION: &str = "pub";
/// Largest signature file: minisign's own limits on its comments come to less.
const MAX_SIGNATURE_BYTES: u64 = 16 << 10;

/// A minisign public key that the operator trusts: the key itself, `RW…`, or a file that ends in `.pub`.
///
/// ```
/// # use mortise::TrustedKey;
/// let key: TrustedKey = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3".parse()?;
/// let file: TrustedKey = "keys/acme.pub".parse()?; // read when the host is built
/// # Ok::<(), mortise::Error>(())
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
struct Key {
    id: KeyId,
    key: PublicKey,
}

/// What minisign names a key by. `Display` is as in the comment of a public key's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyId(u64);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016X}", self.0)
    }
}

impl KeyId {
    /// Reads it from a public key or a signature: both begin with two bytes for the algorithm, and the id.
    fn read(line: &str) -> Option<Self> {
        let bytes = BASE64.decode(line.trim()).ok()?;
        let id = bytes.get(2..10)?.try_into().ok()?;
        Some(Self(u64::from_le_bytes(id)))
    }
}

impl Key {
    fn read(text: &str) -> Option<Self> {
        let key = PublicKey::from_base64(text).ok()?;
        let id = KeyId::read(text)?;
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
pub(crate) fn trusted_keys<'de, D: serde::Deserializer<'de>>(
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

/// What the operator trusts: without pins and keys, every component.
#[derive(Default)]
pub(crate) struct Trust {
    pub(crate) pins: BTreeMap<String, Digest>,
    keys: Vec<Key>,
}

impl Trust {
    /// Trusts what is signed by this key, too.
    pub(crate) fn add_key(&mut self, key: TrustedKey) -> Result<()> {
        self.keys.push(key.read()?);
        Ok(())
    }

    /// Refuses a component that is not the pinned one, or lacks a signature that is asked for.
    pub(crate) fn check(&self, name: &str, source: &Source, bytes: &[u8]) -> Result<()> {
        let verification = self.verify(name, source, bytes);
        let refused = |message| Error::new(ErrorKind::Component, Operation::Open, message);
        let component = match source {
            Source::Carried => format!("the carried component {name}"),
            Source::File(path) => format!("the component {}", path.display()),
        };
        if let Pin::Differs { expected, found } = verification.pin {
            let message =
                format!("{component} has the digest {found}, but {name} is pinned to {expected}");
            let hint = format!(
                "put the pinned component back, or, if this is the one you mean (`mortise plugin \
                 inspect {name}`), pin its digest"
            );
            return Err(refused(message).with_hint(hint));
        }
        let reason = match (verification.signature, source) {
            (SignatureCheck::Missing, Source::File(path)) => {
                format!("there is no {}", signature_path(path).display())
            }
            (SignatureCheck::Invalid { reason }, _) => reason,
            _ => return Ok(()),
        };
        let keys: Vec<_> = self.keys.iter().map(|key| key.id.to_string()).collect();
        let message = format!(
            "{component}, digest {}, has no valid signature by a trusted key ({}): {reason}",
            Digest::of(bytes),
            keys.join(", ")
        );
        Err(refused(message).with_hint(
            "if it is the component you mean, sign it with a trusted key: `minisign -Sm FILE`",
        ))
    }

    /// What can be said about a component. Nothing is compiled or run.
    pub(crate) fn verify(&self, name: &str, source: &Source, bytes: &[u8]) -> Verification {
        let pin = match self.pins.get(name) {
            None => Pin::None,
            Some(&expected) => match Digest::of(bytes) {
                found if found == expected => Pin::Matches,
                found => Pin::Differs { expected, found },
            },
        };
        let signature = match source {
            Source::File(path) if !self.keys.is_empty() => self.signature(path, bytes),
            _ => SignatureCheck::NotAsked,
        };
        Verification { pin, signature }
    }

    fn signature(&self, component: &Path, bytes: &[u8]) -> SignatureCheck {
        let path = signature_path(component);
        let invalid = |reason: String| SignatureCheck::Invalid { reason };
        let text = match read_signature(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return SignatureCheck::Missing;
            }
            Err(error) => return invalid(format!("{} cannot be read: {error}", path.display())),
        };
        let signature = Signature::decode(&text).ok();
        let id = text.lines().nth(1).and_then(KeyId::read);
        let (Some(signature), Some(id)) = (signature, id) else {
            return invalid(format!("{} is no minisign signature", path.display()));
        };
        let mut keys = self.keys.iter().filter(|key| key.id == id).peekable();
        if keys.peek().is_none() {
            return invalid(format!(
                "{} is by the key {id}, which is not trusted",
                path.display()
            ));
        }
        // Also the form that minisign made before 2021, of the file itself and not of its hash.
        let legacy = true;
        if keys.any(|key| key.key.verify(bytes, &signature, legacy).is_ok()) {
            return SignatureCheck::Valid { key: id };
        }
        invalid(format!(
            "{} names the key {id}, but is no signature of this file by it",
            path.display()
        ))
    }
}

fn signature_path(component: &Path) -> PathBuf {
    let mut path = component.as_os_str().to_owned();
    path.push(SIGNATURE_SUFFIX);
    path.into()
}

fn read_signature(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    // What is beyond is cut, and no signature.
    File::open(path)?
        .take(MAX_SIGNATURE_BYTES)
        .read_to_string(&mut text)?;
    Ok(text)
}

/// What the operator's pins and trusted keys say about a component ([`Host::verify`](crate::Host::verify)).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verification {
    /// Whether it is the component that its name is pinned to.
    pub pin: Pin,
    /// Whether it is signed by a trusted key.
    pub signature: SignatureCheck,
}

/// Whether a component is the one that its name is pinned to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Pin {
    /// The name is not pinned.
    None,
    /// It is.
    Matches,
    /// It is another, and is not loaded.
    Differs {
        /// What the name is pinned to.
        expected: Digest,
        /// What the component has.
        found: Digest,
    },
}

/// Whether a component is signed by a trusted key.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SignatureCheck {
    /// No keys are trusted, or the component is carried by the program and so is part of it.
    NotAsked,
    /// It is.
    Valid {
        /// The key.
        key: KeyId,
    },
    /// There is no signature beside the file; it is not loaded.
    Missing,
    /// There is one, which does not count; the component is not loaded.
    Invalid {
        /// Why it does not count.
        reason: String,
    },
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

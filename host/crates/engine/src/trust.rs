//! Whether a component is the one that the operator means: a pin of its digest, a signature over its file.
//!
//! What is checked are exactly the bytes that are compiled then: they are read once.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use minisign_verify::Signature;
use mortise_config::inside::{Key, KeyIdInside as _, TrustedKeyInside as _};
use mortise_config::{KeyId, TrustedKey};
use mortise_store::inside::ErrorInside as _;
use mortise_store::{Digest, Error, ErrorKind, Operation, Result};

use crate::source::Source;

/// What a signature's file is named after: the component's file, and this.
const SIGNATURE_SUFFIX: &str = ".minisig";
/// Largest signature file: minisign's own limits on its comments come to less.
const MAX_SIGNATURE_BYTES: u64 = 16 << 10;

/// What the operator trusts: without pins and keys, every component.
#[derive(Default)]
pub struct Trust {
    /// The digests that backends are pinned to, by their names.
    pub pins: BTreeMap<String, Digest>,
    keys: Vec<Key>,
}

impl Trust {
    /// Trusts what is signed by this key, too.
    pub fn add_key(&mut self, key: TrustedKey) -> Result<()> {
        self.keys.push(key.read()?);
        Ok(())
    }

    /// Refuses a component that is not the pinned one, or lacks a signature that is asked for.
    pub fn check(&self, name: &str, source: &Source, bytes: &[u8]) -> Result<()> {
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
    pub fn verify(&self, name: &str, source: &Source, bytes: &[u8]) -> Verification {
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
        let id = text.lines().nth(1).and_then(KeyId::of);
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

/// What the operator's pins and trusted keys say about a component (`Host::verify`).
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

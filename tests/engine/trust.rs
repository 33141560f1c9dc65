//! Pins and signatures: which components a host loads, of those that are there.

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use minisign::KeyPair;
use mortise::{Config, Error, ErrorKind, Host, HostBuilder, SignatureCheck};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use crate::support::component;

/// A key, a file of the example in minisign's documentation, and its signatures of both forms.
const KNOWN_KEY: &str = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";
const KNOWN_FILE: &[u8] = b"test";
const LEGACY: &str = "untrusted comment: signature from minisign secret key
RWQf6LRCGA9i59SLOFxz6NxvASXDJeRtuZykwQepbDEGt87ig1BNpWaVWuNrm73YiIiJbq71Wi+dP9eKL8OC351vwIasSSbXxwA=
trusted comment: timestamp:1555779966\tfile:test
QtKMXWyYcwdpZAlPF7tE2ENJkRd1ujvKjlj1m9RtHTBnZPa5WKU5uWRs5GoP5M/VqE81QFuMKI5k/SfNQUaOAA==
";
const PREHASHED: &str = "untrusted comment: signature from minisign secret key
RUQf6LRCGA9i559r3g7V1qNyJDApGip8MfqcadIgT9CuhV3EMhHoN1mGTkUidF/z7SrlQgXdy8ofjb7bNJJylDOocrCo8KLzZwo=
trusted comment: timestamp:1556193335\tfile:test
y/rUw2y8/hOUYjZU71eHp/Wo1KZ40fGy2VJEDl34XMJM+TX48Ss/17u3IvIfbVR1FkZZSNCisQbuQY+bHwhEBg==
";

fn sha256(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn sign(key: &KeyPair, bytes: &[u8]) -> String {
    let signature = minisign::sign(None, &key.sk, Cursor::new(bytes), None, None);
    signature.unwrap().into_string()
}

/// A plug-in folder with the component `acme`.
struct Plugins(TempDir);

impl Plugins {
    fn new() -> Self {
        Self::with(component("memory"))
    }

    fn with(acme: &[u8]) -> Self {
        let plugins = Self(tempfile::tempdir().unwrap());
        fs::write(plugins.path().join("acme.wasm"), acme).unwrap();
        plugins
    }

    fn signed(signature: impl AsRef<[u8]>) -> Self {
        let plugins = Self::new();
        plugins.sign(signature);
        plugins
    }

    fn sign(&self, signature: impl AsRef<[u8]>) {
        fs::write(self.path().join("acme.wasm.minisig"), signature).unwrap();
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn host(&self) -> HostBuilder {
        crate::support::host().plugin_dir(self.path())
    }

    fn trusting(&self, key: &str) -> Host {
        self.host()
            .trusted_key(key.parse().unwrap())
            .build()
            .unwrap()
    }
}

async fn refused(host: &Host, store: &str) -> Error {
    let error = host.open(store).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Component, "{error:?}");
    assert!(error.hint().is_some(), "{error:?}");
    // No other way leads past it.
    let backend = store.trim_end_matches(':');
    assert_eq!(
        host.component(backend).unwrap_err().kind(),
        ErrorKind::Component
    );
    assert_eq!(
        host.manifest(backend).unwrap_err().kind(),
        ErrorKind::Component
    );
    error
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pinned_component_is_loaded_and_no_other() {
    let (digest, other) = (sha256(component("memory")), sha256(b"another"));
    for backend in ["acme", "memory"] {
        let plugins = Plugins::new();
        let pinned = plugins.host().pin(backend, digest.parse().unwrap());
        pinned
            .build()
            .unwrap()
            .open(&format!("{backend}:"))
            .await
            .unwrap();
        let host = plugins.host().pin(backend, other.parse().unwrap());
        let error = refused(&host.build().unwrap(), &format!("{backend}:")).await;
        let text = error.to_string();
        assert!(text.contains(&digest) && text.contains(&other), "{text}");
    }
    // A pin is of one name.
    let plugins = Plugins::new();
    let host = plugins.host().pin("sqlite", other.parse().unwrap());
    host.build().unwrap().open("acme:").await.unwrap();
}

/// A later load of the same name, as a reload is, is checked anew.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_changed_later_is_refused() {
    let key = KeyPair::generate_unencrypted_keypair().unwrap();
    let plugins = Plugins::signed(sign(&key, component("memory")));
    let signed = plugins.trusting(&key.pk.to_base64());
    let pinned = plugins
        .host()
        .pin("acme", sha256(component("memory")).parse().unwrap());
    let pinned = pinned.build().unwrap();
    signed.open("acme:").await.unwrap();
    pinned.open("acme:").await.unwrap();
    let mut changed = component("memory").to_vec();
    *changed.last_mut().unwrap() ^= 1;
    fs::write(plugins.path().join("acme.wasm"), changed).unwrap();
    refused(&signed, "acme:").await;
    refused(&pinned, "acme:").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_that_a_trusted_key_signed_is_loaded() {
    let key = KeyPair::generate_unencrypted_keypair().unwrap();
    let plugins = Plugins::signed(sign(&key, component("memory")));
    plugins
        .trusting(&key.pk.to_base64())
        .open("acme:")
        .await
        .unwrap();
    // The same key, from the file that `minisign -G` writes; and as one of several.
    let file = plugins.path().join("acme.pub");
    fs::write(&file, key.pk.to_box().unwrap().to_string()).unwrap();
    plugins
        .trusting(file.to_str().unwrap())
        .open("acme:")
        .await
        .unwrap();
    let several = plugins.host().trusted_key(KNOWN_KEY.parse().unwrap());
    let several = several.trusted_key(key.pk.to_base64().parse().unwrap());
    several.build().unwrap().open("acme:").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_program_carries_needs_no_signature() {
    let plugins = Plugins::new();
    let host = plugins.trusting(KNOWN_KEY);
    host.open("memory:").await.unwrap();
    // A file of the same name is not of the program, and is not passed over either.
    fs::write(plugins.path().join("memory.wasm"), component("memory")).unwrap();
    refused(&host, "memory:").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn any_other_signature_is_refused_and_told_why() {
    let (key, stranger) = (
        KeyPair::generate_unencrypted_keypair().unwrap(),
        KeyPair::generate_unencrypted_keypair().unwrap(),
    );
    let good = sign(&key, component("memory"));
    // A stranger who claims to be the trusted key: the id is not secret.
    let lines: Vec<_> = good.lines().collect();
    let mut flipped = good.clone().into_bytes();
    flipped[lines[0].len() + 60] ^= 1;
    let comment = good.replace("trusted comment: timestamp", "trusted comment: Timestamp");
    let forged = sign(&impersonate(&stranger, &key), component("memory"));
    for (signature, reason) in [
        (
            sign(&key, b"another file").into_bytes(),
            "is no signature of this file",
        ),
        (
            sign(&stranger, component("memory")).into_bytes(),
            "which is not trusted",
        ),
        (forged.into_bytes(), "is no signature of this file"),
        (comment.into_bytes(), "is no signature of this file"),
        (flipped, "acme.wasm.minisig"),
        (
            lines[..2].join("\n").into_bytes(),
            "is no minisign signature",
        ),
        (
            good.as_bytes()[..good.len() / 3].to_vec(),
            "is no minisign signature",
        ),
        (Vec::new(), "is no minisign signature"),
        (b"signed, the operator".to_vec(), "is no minisign signature"),
        (vec![0xff; 100_000], "cannot be read"),
        ("é\né\né\né\n".into(), "is no minisign signature"),
    ] {
        let plugins = Plugins::signed(&signature);
        let error = refused(&plugins.trusting(&key.pk.to_base64()), "acme:")
            .await
            .to_string();
        assert!(error.contains(reason), "{error}");
        assert!(error.contains(&sha256(component("memory"))), "{error}");
    }
    let error = refused(&Plugins::new().trusting(KNOWN_KEY), "acme:")
        .await
        .to_string();
    assert!(
        error.contains("there is no") && error.contains("E7620F1842B4E81F"),
        "{error}"
    );
}

/// A key pair that signs as `victim`, by its id, with a key of its own.
fn impersonate(stranger: &KeyPair, victim: &KeyPair) -> KeyPair {
    let mut bytes = stranger.sk.to_bytes();
    let id = stranger.sk.keynum().to_vec();
    let place = bytes
        .windows(id.len())
        .position(|window| window == id)
        .unwrap();
    bytes[place..place + id.len()].copy_from_slice(victim.pk.keynum());
    // The checksum covers the id; an unencrypted key is not held to it.
    let sk = minisign::SecretKey::from_bytes(&bytes).unwrap();
    KeyPair {
        pk: victim.pk.clone(),
        sk,
    }
}

/// However a signature is damaged, it is refused, and the host lives.
#[test]
fn no_damaged_signature_is_valid() {
    let key = KeyPair::generate_unencrypted_keypair().unwrap();
    let (plugins, good) = (Plugins::with(KNOWN_FILE), sign(&key, KNOWN_FILE));
    let host = plugins.trusting(&key.pk.to_base64());
    plugins.sign(&good);
    assert_eq!(host.component("acme").unwrap(), KNOWN_FILE);
    let from = good.lines().next().unwrap().len() + 1;
    // What ends a line may differ, and the last one's end may be missing.
    for cut in 0..good.trim_end().len() {
        plugins.sign(&good[..cut]);
        host.component("acme").unwrap_err();
    }
    for place in (from..good.trim_end().len()).filter(|place| good.as_bytes()[*place] != b'\n') {
        let mut damaged = good.clone().into_bytes();
        damaged[place] = if damaged[place] == b'A' { b'B' } else { b'A' };
        plugins.sign(damaged);
        host.component("acme").unwrap_err();
    }
}

#[test]
fn both_forms_that_minisign_makes_are_valid() {
    for signature in [LEGACY, PREHASHED] {
        let plugins = Plugins::with(KNOWN_FILE);
        plugins.sign(signature);
        assert_eq!(
            plugins.trusting(KNOWN_KEY).component("acme").unwrap(),
            KNOWN_FILE
        );
        fs::write(plugins.path().join("acme.wasm"), b"Test").unwrap();
        plugins.trusting(KNOWN_KEY).component("acme").unwrap_err();
    }
}

#[test]
fn without_keys_no_signature_is_looked_at() {
    let plugins = Plugins::signed("no signature");
    let host = plugins.host().build().unwrap();
    let (source, bytes) = host.unverified("acme").unwrap();
    let verification = host.verify("acme", &source, &bytes);
    assert_eq!(verification.signature, SignatureCheck::NotAsked);
}

#[test]
fn an_error_in_the_configuration_names_its_line_and_what_was_expected() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mortise.toml");
    let read = |text: &str| -> Result<PathBuf, Error> {
        fs::write(&file, text).unwrap();
        let config = Config::from_file(&file)?;
        Host::builder().config(config).build()?;
        Ok(file.clone())
    };
    let long = format!("[plugins.acme]\nsha256 = \"{}0\"\n", sha256(b""));
    for (text, parts) in [
        (
            "\ntrusted-keys = [\"RWabc\"]\n",
            ["line 2", "expected 56 characters from RW on"],
        ),
        ("trusted-keys = []\n", ["line 1", "trusted-keys is empty"]),
        ("trusted-keys = [\"a.pub\"]\n", ["a.pub", "cannot be read"]),
        (
            "trusted-keys = [\"mortise.toml.pub\"]\n",
            ["mortise.toml.pub", "is no minisign public key"],
        ),
        (
            "[plugins.acme]\nsha256 = \"abc\"\n",
            ["line 2", "expected 64 hex digits, not 3"],
        ),
        (&long, ["line 2", "expected 64 hex digits, not 65"]),
        (
            "[plugins.acme]\nsha265 = \"\"\n",
            ["line 2", "expected `sha256`"],
        ),
        ("[plugins.Acme]\n", ["\"Acme\"", "no backend's name"]),
    ] {
        fs::write(folder.path().join("mortise.toml.pub"), "no key\n").unwrap();
        let error = read(text).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        let error = format!("{error:?}");
        for part in parts {
            assert!(error.contains(part), "{text}: {error}");
        }
    }
    let good = format!(
        "trusted-keys = [\"{KNOWN_KEY}\"]\n[plugins.acme]\nsha256 = \"{}\"\n",
        sha256(b"")
    );
    read(&good).unwrap();
}

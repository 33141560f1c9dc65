//! Pins and signatures, as operators see them.

use std::fs;
use std::io::Cursor;

use insta::assert_snapshot;
use minisign::KeyPair;
use mortise_backends::MEMORY;
use sha2::{Digest as _, Sha256};

use super::Cli;

fn sha256(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn sign(key: &KeyPair, bytes: &[u8]) -> String {
    let signature = minisign::sign(None, &key.sk, Cursor::new(bytes), None, None);
    signature.unwrap().into_string()
}

#[test]
fn inspect_shows_pin_and_signature() {
    let cli = Cli::without_store();
    fs::create_dir_all(cli.path("keys")).unwrap();
    fs::create_dir(cli.path("plugins")).unwrap();
    let key = KeyPair::generate_unencrypted_keypair().unwrap();
    fs::write(
        cli.path("keys/acme.pub"),
        key.pk.to_box().unwrap().to_string(),
    )
    .unwrap();
    for name in ["acme", "signed", "forged"] {
        fs::write(cli.path(&format!("plugins/{name}.wasm")), MEMORY).unwrap();
    }
    fs::write(cli.path("plugins/signed.wasm.minisig"), sign(&key, MEMORY)).unwrap();
    fs::write(
        cli.path("plugins/forged.wasm.minisig"),
        sign(&key, b"other"),
    )
    .unwrap();
    let config = format!(
        "plugin-dir = 'plugins'\ntrusted-keys = ['keys/acme.pub']\n\
         [plugins.signed]\nsha256 = '{}'\n[plugins.sqlite]\nsha256 = 'sha256:{}'\n",
        sha256(MEMORY),
        sha256(b""),
    );
    fs::write(cli.path("mortise.toml"), config).unwrap();
    let shown = |backend: &str| {
        let run = cli.run(&format!("plugin inspect {backend}"));
        assert_eq!(run.code, 0, "{run}");
        let lines = run.stdout.lines();
        let wanted = ["runs here", "pin", "signature"];
        lines
            .filter(|line| wanted.iter().any(|name| line.starts_with(name)))
            .collect::<Vec<_>>()
            .join("\n")
    };
    let id = key.pk.to_box().unwrap().to_string();
    let id = id
        .lines()
        .next()
        .unwrap()
        .rsplit(' ')
        .next()
        .unwrap()
        .to_owned();
    let filters = vec![(id.as_str(), "[KEY]"), ("[0-9a-f]{64}", "[digest]")];
    insta::with_settings!({ filters => filters }, {
        assert_snapshot!(shown("signed"), @r"
        runs here  yes
        pin        matches
        signature  valid, by key [KEY]
        ");
        assert_snapshot!(shown("acme"), @r"
        runs here  no: it is not signed
        pin        none
        signature  missing
        ");
        assert_snapshot!(shown("forged"), @r"
        runs here  no: its signature is not valid
        pin        none
        signature  invalid: plugins/forged.wasm.minisig names the key [KEY], but is no signature of this file by it
        ");
        assert_snapshot!(shown("./plugins/forged.wasm"), @r"
        runs here  no: its signature is not valid
        pin        none
        signature  invalid: ./plugins/forged.wasm.minisig names the key [KEY], but is no signature of this file by it
        ");
        assert_snapshot!(shown("sqlite"), @r"
        runs here  no: it is not the component that its name is pinned to
        pin        differs: pinned is sha256:[digest]
        signature  not asked
        ");
        assert_snapshot!(shown("memory"), @r"
        runs here  yes
        pin        none
        signature  not asked
        ");
        assert_snapshot!(cli.run("plugin list"), @r"
        exit code 0
        -- stdout
        backend  contract  grants  source
        acme     refused   -       plugins/acme.wasm
        forged   refused   -       plugins/forged.wasm
        memory   0.1.0     -       built-in
        redis    0.1.0     redis   built-in
        signed   0.1.0     -       plugins/signed.wasm
        sqlite   refused   -       built-in
        -- stderr
        acme: open: the component plugins/acme.wasm, digest [digest], has no valid signature by a trusted key ([KEY]): there is no plugins/acme.wasm.minisig
        forged: open: the component plugins/forged.wasm, digest [digest], has no valid signature by a trusted key ([KEY]): plugins/forged.wasm.minisig names the key [KEY], but is no signature of this file by it
        sqlite: open: the carried component sqlite has the digest [digest], but sqlite is pinned to [digest]
        ");
        assert_snapshot!(cli.run("store health --store acme:"), @r"
        exit code 9
        -- stderr
        error: open (backend acme): the component plugins/acme.wasm, digest [digest], has no valid signature by a trusted key ([KEY]): there is no plugins/acme.wasm.minisig
        hint: if it is the component you mean, sign it with a trusted key: `minisign -Sm FILE`
        ");
        assert_snapshot!(cli.run("store health --store sqlite:a.db"), @r"
        exit code 9
        -- stderr
        error: open (backend sqlite): the carried component sqlite has the digest [digest], but sqlite is pinned to [digest]
        hint: put the pinned component back, or, if this is the one you mean (`mortise plugin inspect sqlite`), pin its digest
        ");
    });
    let json = cli.run("plugin inspect forged --format json").stdout;
    let report: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        (&report["pin"], &report["signature"]),
        (&"none".into(), &"invalid".into())
    );
    assert_eq!(report["runs"], false);
    let json = cli.run("plugin inspect signed --format json").stdout;
    let report: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        (&report["pin"], &report["key"]),
        (&"matches".into(), &id.as_str().into())
    );
}

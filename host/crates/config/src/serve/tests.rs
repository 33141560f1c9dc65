//! The server's configuration as it is written, and what is refused there.

use super::*;
use crate::Config;

const TOKEN: &str = r#"
[[serve.tokens]]
name = "ci"
sha256 = "24eaf3439a60c96764c4f2c92a0a81b52bd4fe5d5b91f090184a0f6486b1bf29"
namespaces = "*"
may = ["read"]
"#;

/// Reads this as a file.
fn config(text: &str) -> Result<ServeConfig> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mortise.toml");
    std::fs::write(&file, text).unwrap();
    let mut config = Config::from_file(&file)?.serve;
    if let Some(tls) = &mut config.tls {
        tls.certificate = tls.certificate.strip_prefix(folder.path()).unwrap().into();
    }
    Ok(config)
}

/// The whole text of a refusal, without the file's name.
fn refusal(text: &str) -> String {
    let error = config(text).unwrap_err();
    let whole = error.with_causes();
    let (_, text) = whole.split_once("mortise.toml ").unwrap();
    let cause = std::error::Error::source(&error).and_then(|cause| cause.downcast_ref());
    let hint = cause
        .and_then(Error::hint)
        .map(|hint| format!("\nhint: {hint}"));
    format!("{text}{}", hint.unwrap_or_default())
}

fn with_token(line: &str) -> String {
    format!("[serve]\n{line}\n{TOKEN}")
}

#[test]
fn nothing_said_is_loopback_without_tokens() {
    let config = config("").unwrap();
    assert_eq!(config, ServeConfig::default());
    assert_eq!(config.listen.to_string(), "127.0.0.1:7337");
}

#[test]
fn files_start_at_the_folder_of_the_configuration() {
    let text = "[serve]\ntls = { certificate = \"cert.pem\", key = \"/etc/key.pem\" }";
    let tls = config(text).unwrap().tls.unwrap();
    assert_eq!(tls, TlsConfig::new("cert.pem", "/etc/key.pem"));
}

#[test]
fn limits_are_written_as_people_write_them() {
    let text = r#"
[serve.limits]
body-bytes = "1MiB"
connections = 7
head-timeout = "500ms"
per-second = 100
burst = 300
drain-deadline = "0s"
"#;
    let limits = config(text).unwrap().limits;
    assert_eq!(limits.body_bytes, ByteSize::mib(1));
    assert_eq!(limits.connections, 7);
    assert_eq!(limits.head_timeout, Duration::from_millis(500));
    assert_eq!(limits.burst.map(NonZeroU32::get), Some(300));
    assert_eq!(
        limits.request_timeout,
        ServeLimits::default().request_timeout
    );
}

#[test]
fn whom_nobody_named_does_not_get_in() {
    for address in ["0.0.0.0:7337", "[::]:7337", "192.0.2.7:1"] {
        let refusal = refusal(&format!("[serve]\nlisten = \"{address}\""));
        assert_eq!(
            refusal,
            format!(
                "[serve]: configure: without tokens a server listens on loopback alone, not on \
                 {address}: whoever reaches it may do everything\n\
                 hint: make a token with `mortise token new`, or listen on 127.0.0.1"
            )
        );
    }
    for address in [
        "127.0.0.1:0",
        "127.9.9.9:7337",
        "[::1]:7337",
        "[::ffff:127.0.0.1]:1",
    ] {
        config(&format!("[serve]\nlisten = \"{address}\"")).unwrap();
    }
}

#[test]
fn tokens_do_not_cross_a_network_in_plain_text() {
    let listen = "listen = \"192.0.2.7:7337\"";
    assert_eq!(
        refusal(&with_token(listen)),
        "[serve]: configure: tokens would cross the network in plain text: 192.0.2.7:7337 is not \
         loopback, and there is no tls\n\
         hint: name a certificate: tls = { certificate = \"cert.pem\", key = \"key.pem\" }; behind a \
         proxy that ends TLS, set allow-plain-http = true"
    );
    let plain = "allow-plain-http = true";
    let tls = "tls = { certificate = \"a\", key = \"b\" }";
    config(&with_token(&format!("{listen}\n{plain}"))).unwrap();
    config(&with_token(&format!("{listen}\n{tls}"))).unwrap();
    config(&with_token("")).unwrap();
    assert_eq!(
        refusal(&with_token(&format!("{listen}\n{tls}\n{plain}"))),
        "[serve]: configure: tls and allow-plain-http are both set, expected one: nothing is served \
         without TLS where it is set"
    );
}

#[test]
fn a_token_is_there_once() {
    assert_eq!(
        refusal(&format!("{TOKEN}{TOKEN}")),
        "[serve]: configure: two tokens have the name \"ci\"\n\
         hint: give each a name of its own"
    );
    assert_eq!(
        refusal(&format!("{TOKEN}{}", TOKEN.replace("\"ci\"", "\"ada\""))),
        "[serve]: configure: \"ci\" and \"ada\" are the same token\n\
         hint: make another one with `mortise token new`"
    );
}

#[test]
fn limits_that_stop_everything_are_refused() {
    for (limit, told) in [
        (
            "body-bytes = \"0B\"",
            "limit body-bytes is 0, expected more: \"64MiB\"",
        ),
        (
            "head-timeout = \"0s\"",
            "limit head-timeout is 0, expected more: \"30s\"",
        ),
        (
            "request-timeout = \"0s\"",
            "limit request-timeout is 0, expected more: \"30s\"",
        ),
        (
            "all-bodies-bytes = \"1MiB\"",
            "limit all-bodies-bytes is 1.0 MiB, expected at least body-bytes, 64.0 MiB",
        ),
        (
            "connections = 0",
            "limit connections is 0, expected at least 1",
        ),
        (
            "per-second = 1000001",
            "limit per-second is 1000001, expected at most 1000000\n\
             hint: leave it out to have no limit",
        ),
        (
            "burst = 10",
            "limit burst is set, but not per-second\n\
             hint: say how many requests a second: per-second = 200",
        ),
    ] {
        let refusal = refusal(&format!("[serve.limits]\n{limit}"));
        assert_eq!(refusal, format!("[serve]: configure: {told}"));
    }
}

#[test]
fn what_is_not_understood_is_refused_with_its_place() {
    for (text, place, told) in [
        (
            "[serve]\nport = 1",
            "line 2, column 1",
            "unknown field `port`",
        ),
        (
            "[serve]\nlisten = \"localhost\"",
            "line 2, column 10",
            "\"localhost\" is no address with a port, expected one like \"127.0.0.1:7337\"",
        ),
        (
            "[serve]\ntokens = []",
            "line 2, column 10",
            "tokens is empty: add one, as `mortise token new` writes it, or leave it out",
        ),
        (
            "[serve]\ntls = { certificate = \"a\" }",
            "line 2, column 7",
            "missing field `key`",
        ),
        (
            "[serve.limits]\nper-second = 0",
            "line 2, column 14",
            "expected a nonzero u32",
        ),
        (
            "[serve.limits]\nrequest-timeout = \"soon\"",
            "line 2, column 19",
            "\"soon\" is no duration, expected one like \"250ms\" or \"5s\"",
        ),
    ] {
        let refusal = refusal(text);
        assert!(
            refusal.contains(place) && refusal.contains(told),
            "{refusal}"
        );
    }
}

#[test]
fn an_error_in_the_file_shows_no_token() {
    let text = TOKEN.replace("\"24eaf3", "\"mortise_secret");
    let refusal = refusal(&text);
    assert!(!refusal.contains("secret"), "{refusal}");
    assert!(
        refusal.contains("line 4: sha256 is a token itself"),
        "{refusal}"
    );
}

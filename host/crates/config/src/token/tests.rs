//! Tokens as they are written in the configuration, and what is refused there.

use super::*;

const HASH: &str = "24eaf3439a60c96764c4f2c92a0a81b52bd4fe5d5b91f090184a0f6486b1bf29";

fn parse(lines: &str) -> Result<TokenConfig, String> {
    toml::from_str(lines).map_err(|error| error.message().to_owned())
}

fn token(rest: &str) -> Result<TokenConfig, String> {
    parse(&format!("name = \"ci\"\nsha256 = \"{HASH}\"\n{rest}"))
}

fn checked(rest: &str) -> String {
    token(rest).unwrap().check().unwrap_err().to_string()
}

#[test]
fn a_token_is_written_as_it_is_read() {
    let namespaces = Namespaces::named(["a\"b\\c", "d\u{7f}\n\u{85}e", "é"]).unwrap();
    let may = [Permission::Operate, Permission::Read, Permission::Read];
    let hash = HASH.parse().unwrap();
    let token = TokenConfig::new("ci", hash, namespaces, may, Some(1_798_761_600_000)).unwrap();
    let written = token.to_string();
    assert_eq!(
        written,
        format!(
            "[[serve.tokens]]\nname = \"ci\"\nsha256 = \"{HASH}\"\n\
             namespaces = [\"a\\\"b\\\\c\", \"d\\u007F\\u000A\\u0085e\", \"é\"]\n\
             may = [\"read\", \"operate\"]\nexpires-at = 2027-01-01T00:00:00Z"
        )
    );
    let lines = written.strip_prefix("[[serve.tokens]]\n").unwrap();
    assert_eq!(parse(lines).unwrap(), token);
}

#[test]
fn namespaces_are_a_list_or_all() {
    let all = "may = [\"read\"]\nnamespaces = \"*\"";
    assert_eq!(token(all).unwrap().namespaces, Namespaces::All);
    let only = token("may = [\"read\"]\nnamespaces = [\"a\"]").unwrap();
    assert!(only.namespaces.contains("a") && !only.namespaces.contains("b"));
    for (namespaces, told) in [
        ("[\"*\", \"a\"]", "namespaces has \"*\" among others"),
        ("[\"\"]", "the namespace \"\" has 0 bytes, expected 1 to 64"),
        ("7", "expected a list of namespaces, or \"*\""),
    ] {
        let error = token(&format!("may = []\nnamespaces = {namespaces}")).unwrap_err();
        assert!(error.contains(told), "{error}");
    }
}

#[test]
fn an_instant_is_quoted_or_not_and_has_an_offset() {
    for at in ["2027-01-01T01:00:00+01:00", "\"2027-01-01T00:00:00Z\""] {
        let token = token(&format!("may = []\nexpires-at = {at}")).unwrap();
        assert_eq!(token.expires_at, Some(1_798_761_600_000), "{at}");
    }
    for at in [
        "2027-01-01",
        "2027-01-01T00:00:00",
        "\"soon\"",
        "\"1900-01-01T00:00:00Z\"",
    ] {
        let error = token(&format!("may = []\nexpires-at = {at}")).unwrap_err();
        assert!(
            error.contains("is no instant, expected one like"),
            "{error}"
        );
    }
}

#[test]
fn what_allows_nothing_is_refused() {
    assert_eq!(
        checked("may = []"),
        "configure: the token \"ci\" allows nothing: may is empty"
    );
    assert_eq!(
        checked("may = [\"operate\", \"write\"]"),
        "configure: the token \"ci\" allows to read or write, but in no namespace"
    );
    token("may = [\"operate\"]").unwrap().check().unwrap();
    let error = token("may = [\"admin\"]").unwrap_err();
    assert!(
        error.contains("expected one of `read`, `write`, `operate`"),
        "{error}"
    );
}

#[test]
fn a_name_is_plain() {
    let long = "n".repeat(65);
    for name in ["", "a b", "é", "a\n", &long] {
        let namespaces = Namespaces::All;
        let hash = HASH.parse().unwrap();
        let error = TokenConfig::new(name, hash, namespaces, Permission::ALL, None);
        let error = error.unwrap_err().to_string();
        assert!(error.contains("is no name of a token"), "{error}");
    }
}

#[test]
fn a_token_in_the_place_of_its_hash_is_not_repeated() {
    let error = parse("name = \"ci\"\nsha256 = \"mortise_secret\"\nmay = []").unwrap_err();
    assert!(!error.contains("secret"), "{error}");
    assert!(error.contains("`mortise token hash` tells it"), "{error}");
}

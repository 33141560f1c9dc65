//! Where a store is served: its URL, read.

use std::path::PathBuf;
use std::time::Duration;

use mortise_config::inside::{is_served, parameters};
use mortise_store::inside::ErrorInside as _;
use mortise_store::limits::parse_duration;
use mortise_store::{Error, Result};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use reqwest::Url;

/// What a part of a path or of a query is written without. All else is escaped, also what a URL's parser would pass
/// over, as line feeds.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// How long one attempt may take, where the URL does not say.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a call may take with all of its attempts.
const TIMEOUT: Duration = Duration::from_secs(20);
/// The same for the calls that touch a whole store: as long as a store takes for them itself, and some more.
const UPKEEP_TIMEOUT: Duration = Duration::from_secs(310);

/// Where a store is served, who asks, and how patiently.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    /// The server's URL, which ends with a slash.
    server: Url,
    /// The store's name there; none where the URL leaves it out.
    pub(crate) store: Option<String>,
    pub(crate) token_env: Option<String>,
    pub(crate) token_file: Option<PathBuf>,
    pub(crate) ca_file: Option<PathBuf>,
    pub(crate) attempt_timeout: Duration,
    pub(crate) timeout: Duration,
    pub(crate) upkeep_timeout: Duration,
}

impl Address {
    /// Reads the URL of a store.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let (place, query) = text.split_once('?').unwrap_or((text, ""));
        // What stands before an @ may be a secret: it is looked for first, and never shown.
        if place.contains('@') {
            return Err(Error::config(
                "the URL of a server has an @, and tokens do not belong there",
            )
            .with_hint("name what has the token: ?token-env=NAME or ?token-file=PATH"));
        }
        let bad = |what: String| {
            Error::config(format!("{what}, in {place:?}"))
                .with_hint("write http://HOST:PORT/STORE, or https://…")
        };
        let mut server = Url::parse(place).map_err(|error| bad(format!("no URL: {error}")))?;
        if !is_served(server.as_str()) {
            return Err(bad(format!(
                "{:?} is not served over HTTP",
                server.scheme()
            )));
        }
        if server.fragment().is_some() {
            return Err(bad("a URL of a store has no #".to_owned()));
        }
        let path = server.path().to_owned();
        let (prefix, name) = path.rsplit_once('/').unwrap_or(("", ""));
        server.set_path(&format!("{prefix}/"));
        let name = percent_decode_str(name).decode_utf8();
        let name = name.map_err(|_| bad("the store's name is not UTF-8".to_owned()))?;
        let mut address = Self {
            server,
            store: Some(name.into_owned()).filter(|name| !name.is_empty()),
            token_env: None,
            token_file: None,
            ca_file: None,
            attempt_timeout: ATTEMPT_TIMEOUT,
            timeout: TIMEOUT,
            upkeep_timeout: UPKEEP_TIMEOUT,
        };
        for (name, value) in parameters(place, query)? {
            address.set(&name, value).map_err(bad)?;
        }
        address.check().map_err(bad)?;
        Ok(address)
    }

    fn set(&mut self, name: &str, value: String) -> Result<(), String> {
        let time = || match parse_duration(&value) {
            Ok(time) if time.is_zero() => Err(format!("{name} is 0, expected more: \"5s\"")),
            Ok(time) => Ok(time),
            Err(reason) => Err(format!("{name}: {reason}")),
        };
        match name {
            "token-env" => self.token_env = Some(value),
            "token-file" => self.token_file = Some(value.into()),
            "ca-file" => self.ca_file = Some(value.into()),
            "timeout" => self.timeout = time()?,
            "attempt-timeout" => self.attempt_timeout = time()?,
            "upkeep-timeout" => self.upkeep_timeout = time()?,
            // Not its value: whoever tries to give a token so should not find it in a log.
            _ => {
                return Err(format!(
                    "{name:?} is no parameter of a store that is served; expected token-env, token-file, ca-file, \
                     timeout, attempt-timeout or upkeep-timeout"
                ));
            }
        }
        Ok(())
    }

    fn check(&self) -> Result<(), String> {
        if self.token_env.is_some() && self.token_file.is_some() {
            return Err(
                "the token is given twice: expected one of token-env and token-file".into(),
            );
        }
        if self.ca_file.is_some() && !self.is_encrypted() {
            return Err("a ca-file is set, but http:// asks for no TLS".into());
        }
        Ok(())
    }

    /// Whether the connection is TLS.
    pub(crate) fn is_encrypted(&self) -> bool {
        self.server.scheme() == "https"
    }

    /// Whether the server is on this machine.
    pub(crate) fn is_loopback(&self) -> bool {
        let host = self.server.host_str().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost"
            || host
                .parse()
                .is_ok_and(|address: std::net::IpAddr| address.is_loopback())
    }

    /// The server's URL.
    pub(crate) fn server(&self) -> &str {
        self.server.as_str()
    }

    /// The URL of what a server has under a path of these segments.
    pub(crate) fn url(&self, segments: &[&str], query: &[(&str, &str)]) -> Url {
        let mut url = self.server.clone();
        let mut path = url.path().to_owned();
        path.push_str("v1");
        for segment in segments {
            path.push('/');
            path.extend(utf8_percent_encode(segment, ESCAPED));
        }
        url.set_path(&path);
        if !query.is_empty() {
            let pairs = query.iter().map(|(name, value)| {
                let value = utf8_percent_encode(value, ESCAPED);
                format!("{name}={value}")
            });
            url.set_query(Some(&pairs.collect::<Vec<_>>().join("&")));
        }
        url
    }
}

/// Whether a segment can be in a URL's path: the two others lead elsewhere, however they are escaped.
pub(crate) fn fits_path(segment: &str) -> bool {
    segment != "." && segment != ".."
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_a_server_and_a_store() {
        for (text, server, store) in [
            (
                "http://127.0.0.1:7337/tasks",
                "http://127.0.0.1:7337/",
                Some("tasks"),
            ),
            ("https://acme.example", "https://acme.example/", None),
            ("http://acme.example/", "http://acme.example/", None),
            ("http://a/b/c/tasks", "http://a/b/c/", Some("tasks")),
            ("http://a/b/", "http://a/b/", None),
            ("http://[::1]:1/a%20%2Fb", "http://[::1]:1/", Some("a /b")),
            ("http://a/x/../tasks", "http://a/", Some("tasks")),
        ] {
            let address = Address::parse(text).unwrap();
            assert_eq!(
                (address.server(), address.store.as_deref()),
                (server, store),
                "{text}"
            );
        }
        let address = "https://a/b?token-env=T&ca-file=c%20.pem&timeout=5s&attempt-timeout=500ms";
        let address = Address::parse(address).unwrap();
        assert_eq!(address.token_env.as_deref(), Some("T"));
        assert_eq!(address.ca_file, Some(PathBuf::from("c .pem")));
        assert_eq!(address.timeout, Duration::from_secs(5));
        assert_eq!(address.attempt_timeout, Duration::from_millis(500));
        assert_eq!(address.upkeep_timeout, UPKEEP_TIMEOUT);
    }

    #[test]
    fn a_bad_url_is_refused_with_what_is_at_fault_and_shows_no_secret() {
        for (text, part) in [
            ("http://", "no URL"),
            ("http://a:port/b", "no URL"),
            ("http://secret@a/b", "tokens do not belong"),
            ("http://me:secret@a/b", "tokens do not belong"),
            ("http://a/b#c", "no #"),
            ("http://a/%ff", "not UTF-8"),
            ("http://a/b?token=secret", "\"token\" is no parameter"),
            ("http://a/b?namespace=x", "no parameter"),
            ("http://a/b?timeout", "has no value"),
            ("http://a/b?timeout=soon", "no duration"),
            ("http://a/b?timeout=0s", "expected more"),
            ("http://a/b?token-env=x&token-file=y", "given twice"),
            ("http://a/b?token-env=x&token-env=y", "given twice"),
            ("http://a/b?ca-file=x", "asks for no TLS"),
        ] {
            let error = Address::parse(text).unwrap_err();
            assert!(error.to_string().contains(part), "{text}: {error}");
            assert!(!format!("{error:?}").contains("secret"), "{error:?}");
        }
    }

    #[test]
    fn every_segment_stays_one_segment() {
        let address = Address::parse("http://a/p/s").unwrap();
        for (segment, escaped) in [
            ("a/b", "a%2Fb"),
            ("a\\b", "a%5Cb"),
            ("?#%", "%3F%23%25"),
            ("%2e%2e", "%252e%252e"),
            ("a\n\tb", "a%0A%09b"),
            ("...", "..."),
            (" ä", "%20%C3%A4"),
            ("", ""),
        ] {
            let url = address.url(&["x", segment, "y"], &[]);
            assert_eq!(url.path(), format!("/p/v1/x/{escaped}/y"), "{segment:?}");
        }
        let url = address.url(&[], &[("a", "b&c=+ "), ("d", "")]);
        assert_eq!(url.as_str(), "http://a/p/v1?a=b%26c%3D%2B%20&d=");
        assert!(fits_path("a") && !fits_path(".") && !fits_path(".."));
    }

    #[test]
    fn a_server_on_this_machine_is_known() {
        for (text, here) in [
            ("http://localhost/a", true),
            ("http://127.0.0.1:1/a", true),
            ("http://[::1]/a", true),
            ("http://10.0.0.1/a", false),
            ("http://acme.example/a", false),
        ] {
            assert_eq!(Address::parse(text).unwrap().is_loopback(), here, "{text}");
        }
    }
}

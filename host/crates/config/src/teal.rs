//! The environment variables of Teal Agents' Redis store: `env:teal`.

use mortise_store::inside::ErrorInside as _;
use mortise_store::{Error, Result};

use crate::grant::redis::RedisGrant;
use crate::store::StoreConfig;

const HOST: &str = "TA_REDIS_HOST";
const PORT: &str = "TA_REDIS_PORT";
const DATABASE: &str = "TA_REDIS_DB";
const TTL: &str = "TA_REDIS_TTL";
const PASSWORD: &str = "TA_REDIS_PWD";
const TLS: &str = "TA_REDIS_SSL";

/// The store that the environment variables of a platform name.
pub(crate) fn named(platform: &str) -> Result<StoreConfig> {
    if platform != "teal" {
        return Err(Error::config(format!(
            "no environment variables of {platform:?} are known, expected env:teal"
        )));
    }
    from_variables(|name| std::env::var(name).ok())
}

/// What the variables mean:
///
/// | variable | value | default |
/// |---|---|---|
/// | `TA_REDIS_HOST`, `TA_REDIS_PORT`, `TA_REDIS_DB` | the server and its database | `localhost`, 6379, 0 |
/// | `TA_REDIS_PWD` | the password | none |
/// | `TA_REDIS_SSL` | `true` or `false`: by TLS, verified | `false` |
/// | `TA_REDIS_TTL` | seconds that a record lives after its last write | for ever |
fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Result<StoreConfig> {
    let set = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
    let names = [HOST, PORT, DATABASE, TTL, PASSWORD, TLS];
    if names.into_iter().all(|name| set(name).is_none()) {
        return Err(
            Error::config("env:teal is named, but no variable TA_REDIS_… is set")
                .with_hint("set TA_REDIS_HOST"),
        );
    }
    let bad = |name: &str, value: &str, expected: &str| {
        Error::config(format!("{name} is {value:?}, expected {expected}"))
    };
    let number = |name: &str, default: u64, most: u64| match set(name) {
        None => Ok(default),
        Some(value) => match value.trim().parse() {
            Ok(number) if number <= most => Ok(number),
            _ => Err(bad(name, &value, &format!("a number of at most {most}"))),
        },
    };
    let host = set(HOST).unwrap_or_else(|| "localhost".to_owned());
    let host = host.trim();
    if host.contains(['/', '@', ',', '?']) {
        return Err(bad(HOST, "…", "the name of one host"));
    }
    let host = match host.contains(':') && !host.starts_with('[') {
        true => format!("[{host}]"),
        false => host.to_owned(),
    };
    let tls = match set(TLS)
        .map(|value| value.trim().to_ascii_lowercase())
        .as_deref()
    {
        None | Some("false" | "0" | "no" | "off") => false,
        Some("true" | "1" | "yes" | "on") => true,
        // A typing error must not lead to plaintext.
        Some(other) => return Err(bad(TLS, other, "true or false")),
    };
    let (port, database) = (
        number(PORT, 6379, 65_535)?,
        number(DATABASE, 0, i64::MAX as u64)?,
    );
    let scheme = if tls { "rediss" } else { "redis" };
    let mut grant = RedisGrant::new(format!("{scheme}://{host}:{port}/{database}"));
    grant.password_env = set(PASSWORD).map(|_| PASSWORD.to_owned());
    let mut config = StoreConfig::new("redis");
    config.redis = Some(grant);
    let ttl = number(TTL, 0, u64::from(u32::MAX))?;
    if ttl > 0 {
        // Each of its writes starts the time anew.
        config = config
            .option("ttl", format!("{ttl}s"))
            .option("ttl-policy", "on-write");
    }
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::StoreConfigInside as _;

    fn config(set: &[(&str, &str)]) -> Result<StoreConfig> {
        from_variables(|name| {
            let found = set.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn the_variables_name_the_store() {
        let all = config(&[
            (HOST, "redis.acme"),
            (PORT, "7000"),
            (DATABASE, "2"),
            (TTL, "3600"),
            (PASSWORD, "secret"),
            (TLS, "True"),
        ]);
        let all = all.unwrap();
        let grant = all.redis.as_ref().unwrap();
        assert_eq!(grant.url, "rediss://redis.acme:7000/2");
        assert_eq!(grant.password_env.as_deref(), Some(PASSWORD));
        assert_eq!(all.options["ttl"], "3600s");
        assert_eq!(all.options["ttl-policy"], "on-write");
        all.check().unwrap();
        let least = config(&[(HOST, "::1"), (TLS, "false")]).unwrap();
        assert_eq!(least.redis.as_ref().unwrap().url, "redis://[::1]:6379/0");
        assert!(least.options.is_empty() && least.redis.unwrap().password_env.is_none());
    }

    #[test]
    fn what_is_no_value_is_refused() {
        for (name, value) in [
            (PORT, "70000"),
            (DATABASE, "x"),
            (TTL, "-1"),
            (TLS, "ture"),
            (HOST, "a@b"),
        ] {
            let error = config(&[(HOST, "a"), (name, value)].map(|pair| pair)).err();
            let error = error.or_else(|| config(&[(name, value)]).err()).unwrap();
            assert!(error.to_string().contains(name), "{error}");
        }
        assert!(config(&[]).unwrap_err().to_string().contains("TA_REDIS_"));
    }
}

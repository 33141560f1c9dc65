//! The configuration file, `mortise.toml`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use mortise_store::inside::ErrorInside as _;
use mortise_store::{Digest, Error, Result};
use serde::Deserialize;

use crate::key::{TrustedKey, trusted_keys};
use crate::serve::{ServeConfig, ServeConfigInside as _};
use crate::store::{StoreConfig, StoreConfigInside as _};
use crate::token::TOKEN_PREFIX;

/// `mortise.toml`.
///
/// ```
/// # let text = r#"
/// plugin-dir = "plugins"            # relative paths start at this file's folder
/// default-store = "tasks"
/// trusted-keys = ["RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3", "keys/acme.pub"]
///
/// [plugins.my-backend]              # refuses any other component of this name
/// sha256 = "24eaf3439a60c96764c4f2c92a0a81b52bd4fe5d5b91f090184a0f6486b1bf29"
///
/// [stores.tasks]
/// backend = "sqlite"
/// sqlite = { path = "tasks.db" }    # the grant
/// limits = { deadline = "2s" }
///
/// [stores.shared]
/// backend = "redis"
/// redis = { url = "rediss://redis.acme.example", password-file = "redis.password", connect-timeout = "1s" }
/// options = { ttl = "30d", ttl-policy = "on-write" }
///
/// [stores.scratch]
/// backend = "memory"
/// # "#;
/// # let config: mortise_config::Config = toml::from_str(text).unwrap();
/// # assert_eq!(config.stores.len(), 3);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// Where backends are found as `NAME.wasm`.
    #[serde(default)]
    pub plugin_dir: Option<PathBuf>,
    /// Where compiled components are kept. Default: `mortise` in the user's cache folder.
    #[serde(default)]
    pub cache_dir: Option<PathBuf>,
    /// The store that the command line uses where none is named.
    #[serde(default)]
    pub default_store: Option<String>,
    /// Minisign public keys, or files with them: with any, components from the plug-in folder are loaded
    /// only if they are signed by one (`HostBuilder::trusted_key`).
    #[serde(default, deserialize_with = "trusted_keys")]
    pub trusted_keys: Vec<TrustedKey>,
    /// What is asked of backends, by name.
    #[serde(default)]
    pub plugins: BTreeMap<String, PluginConfig>,
    /// Stores by name.
    #[serde(default)]
    pub stores: BTreeMap<String, StoreConfig>,
    /// How `mortise serve` is reached, and by whom.
    #[serde(default)]
    pub serve: ServeConfig,
}

/// What is asked of one backend, whichever stores use it: `[plugins.NAME]`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub struct PluginConfig {
    /// Refuses any other component under this name (`HostBuilder::pin`).
    #[serde(default)]
    pub sha256: Option<Digest>,
}

impl Config {
    /// Reads a configuration file; relative paths in it start at its folder.
    ///
    /// # Errors
    ///
    /// `Config`: the file cannot be read, or says something that is not understood, with its line.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let failed = |what: &str| Error::config(format!("{} {what}", path.display()));
        let text = std::fs::read_to_string(path)
            .map_err(|error| failed("cannot be read").with_source(error))?;
        let mut config: Self = toml::from_str(&text).map_err(|error| {
            if !may_tell_secret(&error.to_string()) {
                return failed("is not understood").with_source(error);
            }
            // Its excerpt of the file, and a value that it quotes, may have it.
            let what = match error.message() {
                quotes if may_tell_secret(quotes) => "a value is not of the kind that is expected",
                what => what,
            };
            let before = error.span().and_then(|span| text.get(..span.start));
            let line = before.map_or(0, |before| before.matches('\n').count()) + 1;
            failed(&format!("is not understood, line {line}: {what}"))
        })?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let paths = [&mut config.plugin_dir, &mut config.cache_dir];
        for relative in paths.into_iter().flatten() {
            *relative = folder.join(&*relative);
        }
        for key in &mut config.trusted_keys {
            key.start_at(folder);
        }
        for store in config.stores.values_mut() {
            if let Some(grant) = &mut store.sqlite {
                grant.path = folder.join(&grant.path);
            }
            if let Some(snapshot) = &mut store.snapshot {
                snapshot.path = folder.join(&snapshot.path);
            }
            if let Some(grant) = &mut store.redis {
                let files = [&mut grant.password_file, &mut grant.ca_file];
                for relative in files.into_iter().flatten() {
                    *relative = folder.join(&*relative);
                }
            }
        }
        config.serve.start_at(folder);
        config
            .serve
            .check()
            .map_err(|error| failed("[serve]").with_source(error))?;
        for (name, store) in &config.stores {
            store
                .check()
                .map_err(|error| failed(&format!("[stores.{name}]")).with_source(error))?;
        }
        if let Some(name) = &config.default_store
            && !config.stores.contains_key(name)
            && !name.contains(':')
        {
            return Err(failed(&format!(
                "has no [stores.{name}], its default-store"
            )));
        }
        Ok(config)
    }
}

/// Whether a piece of a configuration may have the password of a Redis in its URL, or a token.
fn may_tell_secret(text: &str) -> bool {
    text.contains('@') || text.contains(TOKEN_PREFIX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_in_the_file_shows_no_password() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("mortise.toml");
        for (grant, told) in [
            (
                r#"{ url = "redis://:secret@a", port = 1 }"#,
                "line 3: unknown field `port`",
            ),
            (
                r#""redis://:secret@a""#,
                "line 3: a value is not of the kind",
            ),
        ] {
            let text = format!("[stores.a]\nbackend = \"redis\"\nredis = {grant}\n");
            std::fs::write(&file, text).unwrap();
            let all = format!("{:?}", Config::from_file(&file).unwrap_err());
            assert!(all.contains(told), "{all}");
            assert!(!all.contains("secret"), "{all}");
        }
    }
}

//! Secrets, read from where the operator keeps them.

use std::path::Path;

use mortise_store::inside::ErrorInside as _;
use mortise_store::{Error, Result};

/// What the file has, without white space around it, or the environment variable; none where neither is named.
/// `what` is what an error calls it.
pub fn secret(what: &str, file: Option<&Path>, env: Option<&str>) -> Result<Option<String>> {
    let failed = |why: String| Error::config(format!("{what}: {why}"));
    let text = match (file, env) {
        (Some(file), _) => {
            let text = std::fs::read_to_string(file).map_err(|error| {
                failed(format!("{} cannot be read", file.display())).with_source(error)
            })?;
            text.trim().to_owned()
        }
        (None, Some(name)) => std::env::var(name).map_err(|_| {
            failed(format!(
                "the environment variable {name} is not set, or is no text"
            ))
        })?,
        (None, None) => return Ok(None),
    };
    if text.is_empty() {
        return Err(failed("it is empty".to_owned()));
    }
    Ok(Some(text))
}

//! Names to components: the plug-in folder, and what the program carries.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use mortise_config::is_backend_name;
use mortise_store::inside::ErrorInside as _;
use mortise_store::limits::MAX_COMPONENT_BYTES;
use mortise_store::{Error, ErrorKind, Operation, Result};

use crate::source::Source;
use crate::trust::Trust;

/// Where backends are found by name.
#[derive(Default)]
pub struct Registry {
    /// The folder of `NAME.wasm`.
    pub plugin_dir: Option<PathBuf>,
    /// What the program carries, by name.
    pub carried: BTreeMap<String, Cow<'static, [u8]>>,
    /// What the operator trusts.
    pub trust: Trust,
}

impl Registry {
    /// The bytes of a backend, if they are what the operator trusts.
    pub fn read(&self, name: &str) -> Result<Cow<'_, [u8]>> {
        let (source, bytes) = self.find(name)?;
        self.trust.check(name, &source, &bytes)?;
        Ok(bytes)
    }

    /// The bytes of a backend, trusted or not. A file in the plug-in folder takes precedence over what is
    /// carried.
    pub fn find(&self, name: &str) -> Result<(Source, Cow<'_, [u8]>)> {
        if let Some(path) = self.file(name) {
            if self.carried.contains_key(name) {
                tracing::info!(
                    backend = name,
                    file = %path.display(),
                    "the file in the plug-in folder takes precedence over the carried component"
                );
            }
            let bytes = read_file(&path)?;
            return Ok((Source::File(path), Cow::Owned(bytes)));
        }
        if let Some(bytes) = self.carried.get(name) {
            return Ok((Source::Carried, Cow::Borrowed(bytes)));
        }
        let known: Vec<_> = self.list()?.into_keys().collect();
        let place = match &self.plugin_dir {
            Some(folder) => format!("put {name}.wasm into {}", folder.display()),
            None => "configure a plug-in folder".to_owned(),
        };
        let known = if known.is_empty() {
            "none".to_owned()
        } else {
            known.join(", ")
        };
        Err(Error::new(
            ErrorKind::Config,
            Operation::Open,
            format!("there is no backend named {name:?}; known: {known}"),
        )
        .with_hint(place))
    }

    /// Every backend that can be opened, by name.
    pub fn list(&self) -> Result<BTreeMap<String, Source>> {
        let mut found: BTreeMap<_, _> = self
            .carried
            .keys()
            .map(|name| (name.clone(), Source::Carried))
            .collect();
        let Some(folder) = &self.plugin_dir else {
            return Ok(found);
        };
        let entries = fs::read_dir(folder).map_err(|error| {
            Error::config(format!(
                "the plug-in folder {} cannot be read",
                folder.display()
            ))
            .with_source(error)
        })?;
        for entry in entries.flatten() {
            let path = entry.path();
            let is_wasm = path
                .extension()
                .is_some_and(|extension| extension == "wasm");
            if let Some(name) = path.file_stem().and_then(|stem| stem.to_str())
                && is_wasm
                && path.is_file()
                && is_backend_name(name)
            {
                found.insert(name.to_owned(), Source::File(path));
            }
        }
        Ok(found)
    }

    /// The file of a backend in the plug-in folder, where there is one.
    pub fn file(&self, name: &str) -> Option<PathBuf> {
        let path = self.plugin_dir.as_ref()?.join(format!("{name}.wasm"));
        path.is_file().then_some(path)
    }
}

/// Reads a component's file, unless it is too large to be one.
fn read_file(path: &Path) -> Result<Vec<u8>> {
    let failed = |error: std::io::Error| {
        Error::new(
            ErrorKind::Component,
            Operation::Open,
            format!("the component {} cannot be read", path.display()),
        )
        .with_source(error)
    };
    let size = fs::metadata(path).map_err(failed)?.len();
    if size > MAX_COMPONENT_BYTES {
        return Err(Error::new(
            ErrorKind::Component,
            Operation::Open,
            format!(
                "the file {} has {size} bytes, more than the {MAX_COMPONENT_BYTES} that a component \
                 may have",
                path.display()
            ),
        ));
    }
    fs::read(path).map_err(failed)
}

//! From bytes to a compiled component: nothing of it runs before every check has passed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use mortise_config::Capability;
use mortise_store::inside::ErrorInside as _;
use mortise_store::{Digest, Error, ErrorKind, Operation, Result};
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::artifacts::Artifacts;
use crate::manifest::Manifest;

/// A component that passed every check and was compiled.
pub struct Compiled {
    /// What it is and asks for.
    pub manifest: Manifest,
    pub(crate) component: Component,
}

/// Compiles components, each digest once as long as it is in use.
pub struct Compiler {
    engine: Engine,
    artifacts: Option<Artifacts>,
    compiled: Mutex<HashMap<Digest, Weak<Compiled>>>,
}

impl Compiler {
    pub(crate) fn new(engine: Engine, artifacts: Option<Artifacts>) -> Self {
        Self {
            engine,
            artifacts,
            compiled: Mutex::default(),
        }
    }

    /// What runs components.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Size, format, contract, imports against grants; then the machine code, as it was kept where it was
    /// compiled before.
    pub fn load(&self, bytes: &[u8], granted: &[Capability]) -> Result<Arc<Compiled>> {
        let manifest = Manifest::read(bytes)?;
        manifest.check_contract()?;
        manifest.check_imports(granted)?;
        let known = self.lock().get(&manifest.digest).and_then(Weak::upgrade);
        if let Some(compiled) = known {
            return Ok(compiled);
        }
        let digest = manifest.digest;
        let artifacts = self.artifacts.as_ref();
        let kept = artifacts.and_then(|artifacts| artifacts.load(&self.engine, digest));
        let component = match kept {
            Some(component) => component,
            None => self.compile(bytes, digest)?,
        };
        let compiled = Arc::new(Compiled {
            manifest,
            component,
        });
        let mut known = self.lock();
        known.retain(|_, compiled| compiled.strong_count() > 0);
        known.insert(digest, Arc::downgrade(&compiled));
        Ok(compiled)
    }

    fn compile(&self, bytes: &[u8], digest: Digest) -> Result<Component> {
        let component = Component::from_binary(&self.engine, bytes).map_err(|error| {
            Error::new(
                ErrorKind::Component,
                Operation::Open,
                "the component does not compile",
            )
            .with_source(error)
        })?;
        if let Some(artifacts) = &self.artifacts {
            artifacts.keep(&self.engine, digest, &component);
        }
        Ok(component)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Digest, Weak<Compiled>>> {
        self.compiled.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

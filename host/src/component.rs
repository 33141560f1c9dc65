//! From bytes to a compiled component: nothing of it runs before every check has passed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use wasmtime::Engine;
use wasmtime::component::Component;

use crate::capability::Capability;
use crate::error::{Error, ErrorKind, Operation, Result};
use crate::manifest::{Digest, Manifest};

/// A component that passed every check and was compiled.
pub(crate) struct Compiled {
    pub(crate) manifest: Manifest,
    pub(crate) component: Component,
}

/// Compiles components, each digest once.
pub(crate) struct Compiler {
    engine: Engine,
    compiled: Mutex<HashMap<Digest, Component>>,
}

impl Compiler {
    pub(crate) fn new(engine: Engine) -> Self {
        Self {
            engine,
            compiled: Mutex::default(),
        }
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Size, format, contract, imports against grants; then the machine code, from wasmtime's
    /// compilation cache where it was compiled before.
    pub(crate) fn load(&self, bytes: &[u8], granted: &[Capability]) -> Result<Arc<Compiled>> {
        let manifest = Manifest::read(bytes)?;
        manifest.check_contract()?;
        manifest.check_imports(granted)?;
        let known = self.lock().get(&manifest.digest).cloned();
        let component = match known {
            Some(component) => component,
            None => {
                let component = Component::from_binary(&self.engine, bytes).map_err(|error| {
                    Error::new(
                        ErrorKind::Component,
                        Operation::Open,
                        "the component does not compile",
                    )
                    .with_source(error)
                })?;
                self.lock().insert(manifest.digest, component.clone());
                component
            }
        };
        Ok(Arc::new(Compiled {
            manifest,
            component,
        }))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Digest, Component>> {
        self.compiled.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

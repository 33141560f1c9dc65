//! What a component is and asks for, read from its bytes without running or compiling any of it.

use mortise_config::Capability;
use mortise_config::inside::CapabilityInside as _;
use mortise_store::inside::ErrorInside as _;
use mortise_store::limits::MAX_COMPONENT_BYTES;
use mortise_store::{CONTRACT_VERSION, Digest, Error, ErrorKind, Operation, Result};
use wasmparser::{Encoding, Parser, Payload};

/// The package of the contract.
const PACKAGE: &str = "mortise:persistence";
/// What every backend exports.
const EXPORTS: [&str; 3] = ["lifecycle", "store", "transfer"];

/// What a component says about itself by its imports and exports.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Manifest {
    /// The version of `mortise:persistence` that it exports, if it exports any of it.
    pub contract: Option<String>,
    /// Every import, as written in the component.
    pub imports: Vec<String>,
    /// Every export, as written in the component.
    pub exports: Vec<String>,
    /// SHA-256 of the file.
    pub digest: Digest,
    /// Size of the file.
    pub size: u64,
}

impl Manifest {
    /// Reads the imports and exports of a component.
    ///
    /// # Errors
    ///
    /// `Component` where the bytes are over [`MAX_COMPONENT_BYTES`], or are no component.
    pub fn read(bytes: &[u8]) -> Result<Self> {
        let refused = |message: String| Error::new(ErrorKind::Component, Operation::Open, message);
        if bytes.len() as u64 > MAX_COMPONENT_BYTES {
            return Err(refused(format!(
                "the file has {} bytes, more than the {MAX_COMPONENT_BYTES} that a component may have",
                bytes.len()
            )));
        }
        if !Parser::is_component(bytes) {
            if Parser::is_core_wasm(bytes) {
                return Err(
                    refused("the file is a core module, expected a component".to_owned())
                        .with_hint("make it a component with `wasm-tools component new`"),
                );
            }
            return Err(refused(
                "the file is no Wasm at all, expected a component".to_owned(),
            ));
        }
        let (mut imports, mut exports) = (Vec::new(), Vec::new());
        let mut depth = 0_u32;
        for payload in Parser::new(0).parse_all(bytes) {
            let payload = payload
                .map_err(|error| refused("the file is damaged".to_owned()).with_source(error))?;
            match payload {
                Payload::Version {
                    encoding: Encoding::Component | Encoding::Module,
                    ..
                } => {
                    depth += 1;
                }
                Payload::End(_) => depth -= 1,
                Payload::ComponentImportSection(section) if depth == 1 => {
                    for import in section {
                        let import = import.map_err(|error| {
                            refused("the import section is damaged".to_owned()).with_source(error)
                        })?;
                        imports.push(import.name.name.to_owned());
                    }
                }
                Payload::ComponentExportSection(section) if depth == 1 => {
                    for export in section {
                        let export = export.map_err(|error| {
                            refused("the export section is damaged".to_owned()).with_source(error)
                        })?;
                        exports.push(export.name.name.to_owned());
                    }
                }
                _ => {}
            }
        }
        let contract = exports
            .iter()
            .filter_map(|name| Interface::parse(name))
            .find(|interface| interface.package == PACKAGE)
            .and_then(|interface| interface.version.map(str::to_owned));
        let digest = Digest::of(bytes);
        Ok(Self {
            contract,
            imports,
            exports,
            digest,
            size: bytes.len() as u64,
        })
    }

    /// The capabilities that it imports, in the order of [`Capability::ALL`].
    pub fn capabilities(&self) -> Vec<Capability> {
        let wanted = |capability: &Capability| {
            self.imports
                .iter()
                .filter_map(|name| Interface::parse(name))
                .any(|interface| {
                    interface.package == PACKAGE && interface.name == capability.as_str()
                })
        };
        Capability::ALL.into_iter().filter(wanted).collect()
    }

    /// Whether it imports WASI, which is linked with an empty context.
    pub fn uses_wasi(&self) -> bool {
        self.imports.iter().any(|name| name.starts_with("wasi:"))
    }

    /// Whether it exports `schema`.
    pub fn has_schema(&self) -> bool {
        self.exports
            .iter()
            .filter_map(|name| Interface::parse(name))
            .any(|interface| interface.package == PACKAGE && interface.name == "schema")
    }

    /// Refuses a component that does not export this host's contract.
    pub(crate) fn check_contract(&self) -> Result<()> {
        let missing: Vec<_> = EXPORTS
            .into_iter()
            .filter(|wanted| {
                !self
                    .exports
                    .iter()
                    .filter_map(|name| Interface::parse(name))
                    .any(|interface| {
                        interface.package == PACKAGE
                            && interface.name == *wanted
                            && interface.version.is_some_and(compatible)
                    })
            })
            .map(|name| format!("{PACKAGE}/{name}@{CONTRACT_VERSION}"))
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        let has = match &self.contract {
            Some(version) => format!("it has contract {version}"),
            None => format!("it exports nothing of {PACKAGE}"),
        };
        Err(Error::new(
            ErrorKind::Component,
            Operation::Open,
            format!(
                "the component is no backend for this host: it lacks {}; {has}",
                missing.join(", ")
            ),
        )
        .with_hint(format!("build it against contract {CONTRACT_VERSION}")))
    }

    /// Refuses a component that imports what it was not granted, or what no host has.
    pub fn check_imports(&self, granted: &[Capability]) -> Result<()> {
        let (mut ungranted, mut unknown) = (Vec::new(), Vec::new());
        for name in &self.imports {
            let Some(interface) = Interface::parse(name) else {
                unknown.push(name.as_str());
                continue;
            };
            match interface.package {
                // Values only; and WASI, which shows an empty world.
                PACKAGE if interface.name == "types" => {}
                package if package.starts_with("wasi:") => {}
                PACKAGE => match Capability::from_name(interface.name) {
                    Some(_) if !interface.version.is_some_and(compatible) => unknown.push(name),
                    Some(capability) if granted.contains(&capability) => {}
                    Some(capability) => ungranted.push(capability.as_str()),
                    None => unknown.push(name),
                },
                _ => unknown.push(name),
            }
        }
        if !unknown.is_empty() {
            return Err(Error::new(
                ErrorKind::Component,
                Operation::Open,
                format!(
                    "the component imports what this host does not have: {}",
                    unknown.join(", ")
                ),
            ));
        }
        if !ungranted.is_empty() {
            return Err(Error::new(
                ErrorKind::NotGranted,
                Operation::Open,
                format!(
                    "the component asks for capabilities that it was not granted: {}",
                    ungranted.join(", ")
                ),
            )
            .with_hint(format!(
                "grant it in the store's configuration, or in its URL: `?{}=…`",
                ungranted[0]
            )));
        }
        Ok(())
    }
}

/// `package:name/interface@version`.
struct Interface<'a> {
    package: &'a str,
    name: &'a str,
    version: Option<&'a str>,
}

impl<'a> Interface<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let (package, rest) = text.split_once('/')?;
        let (name, version) = match rest.split_once('@') {
            Some((name, version)) => (name, Some(version)),
            None => (rest, None),
        };
        Some(Self {
            package,
            name,
            version,
        })
    }
}

/// Before 1.0, what has the same minor version.
fn compatible(version: &str) -> bool {
    let minor = |version: &str| version.rsplit_once('.').map(|(minor, _)| minor.to_owned());
    !version.contains(['-', '+']) && minor(version) == minor(CONTRACT_VERSION)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(imports: &[&str], exports: &[&str]) -> Manifest {
        Manifest {
            contract: None,
            imports: imports.iter().map(|name| (*name).to_owned()).collect(),
            exports: exports.iter().map(|name| (*name).to_owned()).collect(),
            digest: Digest::from([0; 32]),
            size: 0,
        }
    }

    #[test]
    fn what_is_no_component_is_named() {
        let error = Manifest::read(b"hello").unwrap_err();
        assert!(error.to_string().contains("no Wasm at all"), "{error}");
        let error = Manifest::read(b"\0asm\x01\0\0\0").unwrap_err();
        assert!(error.to_string().contains("a core module"), "{error}");
        let error = Manifest::read(b"\0asm\x0d\0\x01\0\xff\xff").unwrap_err();
        assert!(error.to_string().contains("damaged"), "{error}");
    }

    #[test]
    fn a_contract_of_another_version_is_refused_with_what_is_missing() {
        let error = manifest(&[], &["mortise:persistence/store@0.2.0"])
            .check_contract()
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Component);
        assert!(
            error
                .to_string()
                .contains("mortise:persistence/store@0.1.0"),
            "{error}"
        );
        let names = ["lifecycle", "store", "transfer"];
        let exports = names.map(|name| format!("mortise:persistence/{name}@0.1.7"));
        manifest(&[], &exports.each_ref().map(String::as_str))
            .check_contract()
            .unwrap();
    }

    #[test]
    fn what_was_not_granted_is_refused_and_named() {
        let greedy = manifest(
            &[
                "mortise:persistence/sqlite@0.1.0",
                "wasi:cli/environment@0.2.6",
            ],
            &[],
        );
        let error = greedy.check_imports(&[Capability::Clock]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotGranted);
        assert!(error.to_string().contains("sqlite"), "{error}");
        greedy.check_imports(&[Capability::Sqlite]).unwrap();
        let odd = manifest(&["acme:gpu/kernel@1.0.0"], &[])
            .check_imports(&Capability::ALL)
            .unwrap_err();
        assert_eq!(odd.kind(), ErrorKind::Component);
    }
}

//! What both sides of TLS share: the cryptography, certificates in files, and whom clients trust.

use std::path::Path;
use std::sync::Arc;

use mortise_store::inside::ErrorInside as _;
use mortise_store::{Error, Result};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// The cryptography of every connection.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// The certificates of a file, in their order: one at least. `what` is what an error calls the file.
pub fn certificates(what: &str, file: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let failed = |reason: &str| Error::config(format!("{what} {} {reason}", file.display()));
    let certificates = CertificateDer::pem_file_iter(file)
        .map_err(|error| failed("cannot be read").with_source(error))?
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| failed("is no PEM").with_source(error))?;
    if certificates.is_empty() {
        return Err(failed("has no certificate"));
    }
    Ok(certificates)
}

/// The authorities in the file, or those of the system.
pub fn authorities(ca_file: Option<&Path>) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    match ca_file {
        Some(file) => {
            for certificate in certificates("the ca-file", file)? {
                roots.add(certificate).map_err(|error| {
                    let what = format!("the ca-file {} has no certificate", file.display());
                    Error::config(what).with_source(error)
                })?;
            }
        }
        None => {
            let found = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(found.certs);
            if roots.is_empty() {
                return Err(Error::config("this system has no certificates to trust")
                    .with_hint("name the certificate of your authority as ca-file"));
            }
        }
    }
    Ok(roots)
}

/// TLS that trusts these authorities, and nobody else.
pub fn trusting(authorities: RootCertStore) -> ClientConfig {
    ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("ring speaks both versions of TLS")
        .with_root_certificates(authorities)
        .with_no_client_auth()
}

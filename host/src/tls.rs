//! TLS of the connections that are made from here: whom they trust.

use std::path::Path;
use std::sync::Arc;

use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};

use crate::error::{Error, Result};

/// The authorities in the file, or those of the system.
pub(crate) fn authorities(ca_file: Option<&Path>) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    match ca_file {
        Some(file) => {
            let failed =
                |what: &str| Error::config(format!("the ca-file {} {what}", file.display()));
            let certificates = CertificateDer::pem_file_iter(file)
                .map_err(|error| failed("cannot be read").with_source(error))?;
            for certificate in certificates {
                let certificate =
                    certificate.map_err(|error| failed("is no PEM").with_source(error))?;
                roots
                    .add(certificate)
                    .map_err(|error| failed("has no certificate").with_source(error))?;
            }
            if roots.is_empty() {
                return Err(failed("has no certificate"));
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
pub(crate) fn trusting(authorities: RootCertStore) -> ClientConfig {
    let provider = Arc::new(crypto::ring::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring speaks both versions of TLS")
        .with_root_certificates(authorities)
        .with_no_client_auth()
}

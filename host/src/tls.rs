//! What the two sides of TLS share: the cryptography, and certificates in files.

use std::path::Path;
use std::sync::Arc;

use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;

use crate::error::{Error, Result};

/// The cryptography of every connection.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// The certificates of a file, in their order: one at least. `what` is what an error calls the file.
pub(crate) fn certificates(what: &str, file: &Path) -> Result<Vec<CertificateDer<'static>>> {
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

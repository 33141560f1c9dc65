//! HTTPS: the certificate from its files, and the handshake.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use mortise_config::TlsConfig;
use mortise_config::inside::tls;
use mortise_store::inside::ErrorInside as _;
use mortise_store::{Error, Result};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject as _};
use tokio_rustls::rustls::{self, InconsistentKeys, ServerConfig};
use tokio_rustls::server::TlsStream;

/// What is spoken over TLS; a client that offers only another protocol is refused in the handshake.
const PROTOCOL: &[u8] = b"http/1.1";

/// The server's side of TLS, 1.2 and 1.3.
pub(crate) struct Tls {
    handshake_timeout: Duration,
    acceptor: TlsAcceptor,
}

impl Tls {
    /// Reads the certificate and its key.
    ///
    /// # Errors
    ///
    /// `Config`: a file cannot be read, has no certificate or no key, or the key is another certificate's.
    pub(crate) fn open(files: &TlsConfig, handshake_timeout: Duration) -> Result<Self> {
        Ok(Self {
            acceptor: acceptor(files)?,
            handshake_timeout,
        })
    }

    /// Shakes hands with a client that has connected.
    ///
    /// # Errors
    ///
    /// What the client does is no handshake, or it does not end within the limit (`TimedOut`).
    pub(crate) async fn accept<S>(&self, stream: S) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let handshake = self.acceptor.accept(stream);
        match tokio::time::timeout(self.handshake_timeout, handshake).await {
            Ok(shaken) => shaken,
            Err(_) => Err(io::Error::new(
                io::ErrorKind::TimedOut,
                format!(
                    "the handshake of TLS did not end within {:?}",
                    self.handshake_timeout
                ),
            )),
        }
    }
}

fn acceptor(files: &TlsConfig) -> Result<TlsAcceptor> {
    let chain = tls::certificates("the certificate", &files.certificate)?;
    let key = key(files)?;
    let mut config = ServerConfig::builder_with_provider(tls::provider())
        .with_safe_default_protocol_versions()
        .expect("ring speaks both versions of TLS")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| unusable(files, error))?;
    config.alpn_protocols = vec![PROTOCOL.to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn key(files: &TlsConfig) -> Result<PrivateKeyDer<'static>> {
    let failed = |what: &str| Error::config(format!("the key {} {what}", files.key.display()));
    PrivateKeyDer::from_pem_file(&files.key).map_err(|error| match error {
        pem::Error::NoItemsFound => failed("has no private key")
            .with_hint("expected PEM: PKCS #8, PKCS #1 or SEC1, not encrypted"),
        pem::Error::Io(error) => failed("cannot be read").with_source(error),
        error => failed("is no PEM").with_source(error),
    })
}

/// Why a certificate and a key, each of which could be read, are not served.
fn unusable(files: &TlsConfig, error: rustls::Error) -> Error {
    let (certificate, key) = (files.certificate.display(), files.key.display());
    match error {
        rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => Error::config(format!(
            "the key {key} is not the one of the certificate {certificate}"
        ))
        .with_hint(
            "the server's own certificate comes first in its file, its authority's after it",
        ),
        error => Error::config(format!(
            "the certificate {certificate} and the key {key} cannot be used"
        ))
        .with_source(error),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
    use rustls::pki_types::ServerName;
    use rustls::{ClientConfig, ProtocolVersion, RootCertStore, SupportedProtocolVersion, version};
    use tempfile::TempDir;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};
    use tokio_rustls::{TlsConnector, client};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    /// A folder with a certificate of `localhost` and its key.
    fn folder() -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        certify(folder.path());
        folder
    }

    fn certify(folder: &Path) {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        fs::write(folder.join("cert.pem"), cert.pem()).unwrap();
        fs::write(folder.join("key.pem"), signing_key.serialize_pem()).unwrap();
    }

    fn files(folder: &Path) -> TlsConfig {
        TlsConfig::new(folder.join("cert.pem"), folder.join("key.pem"))
    }

    /// A client that trusts the certificate in the folder.
    fn client(
        folder: &Path,
        protocol: &[u8],
        versions: &[&'static SupportedProtocolVersion],
    ) -> TlsConnector {
        let mut roots = RootCertStore::empty();
        for certificate in tls::certificates("", &folder.join("cert.pem")).unwrap() {
            roots.add(certificate).unwrap();
        }
        let mut config = ClientConfig::builder_with_provider(tls::provider())
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![protocol.to_vec()];
        TlsConnector::from(Arc::new(config))
    }

    /// Both ends of a connection over the machine's network, after the handshake.
    async fn connect(
        tls: &Tls,
        client: &TlsConnector,
    ) -> (
        io::Result<TlsStream<TcpStream>>,
        io::Result<client::TlsStream<TcpStream>>,
    ) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let dialed = TcpStream::connect(listener.local_addr().unwrap()).await;
        let (accepted, _) = listener.accept().await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        tokio::join!(tls.accept(accepted), client.connect(name, dialed.unwrap()))
    }

    fn refusal(folder: &Path) -> String {
        let error = Tls::open(&files(folder), PATIENCE).err().unwrap();
        let told = error.with_causes();
        told.replace(&folder.display().to_string(), "")
    }

    #[tokio::test]
    async fn a_client_that_trusts_the_certificate_is_served_by_both_versions() {
        let folder = folder();
        let tls = Tls::open(&files(folder.path()), PATIENCE).unwrap();
        for (version, spoken) in [
            (&version::TLS12, ProtocolVersion::TLSv1_2),
            (&version::TLS13, ProtocolVersion::TLSv1_3),
        ] {
            let client = client(folder.path(), PROTOCOL, &[version]);
            let (served, asked) = connect(&tls, &client).await;
            let (mut served, mut asked) = (served.unwrap(), asked.unwrap());
            asked.write_all(b"ping").await.unwrap();
            asked.flush().await.unwrap();
            let mut got = [0; 4];
            served.read_exact(&mut got).await.unwrap();
            assert_eq!(&got, b"ping");
            let (_, session) = served.get_ref();
            assert_eq!(session.alpn_protocol(), Some(PROTOCOL));
            assert_eq!(session.protocol_version(), Some(spoken));
        }
    }

    #[tokio::test]
    async fn a_client_of_another_protocol_is_refused() {
        let folder = folder();
        let tls = Tls::open(&files(folder.path()), PATIENCE).unwrap();
        let client = client(folder.path(), b"h2", rustls::ALL_VERSIONS);
        let (served, asked) = connect(&tls, &client).await;
        assert!(served.is_err() && asked.is_err());
    }

    #[tokio::test]
    async fn what_is_no_handshake_is_refused() {
        let folder = folder();
        let tls = Tls::open(&files(folder.path()), PATIENCE).unwrap();
        let (served, mut asked) = tokio::io::duplex(1024);
        asked.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        let error = tls.accept(served).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }

    #[tokio::test]
    async fn a_handshake_that_does_not_end_is_given_up() {
        let folder = folder();
        let tls = Tls::open(&files(folder.path()), Duration::from_millis(20)).unwrap();
        let (served, mut asked) = tokio::io::duplex(1024);
        // The first bytes of a handshake, and no more.
        asked.write_all(&[22, 3, 1, 2, 0, 1]).await.unwrap();
        let error = tls.accept(served).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(
            error.to_string(),
            "the handshake of TLS did not end within 20ms"
        );
    }

    #[test]
    fn files_that_are_none_are_refused_by_name() {
        let folder = folder();
        let folder = folder.path();
        let other = KeyPair::generate().unwrap().serialize_pem();
        let certificate = fs::read_to_string(folder.join("cert.pem")).unwrap();
        let key = fs::read_to_string(folder.join("key.pem")).unwrap();
        let no_der = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for (certificate, key, told) in [
            ("", &key, "the certificate /cert.pem has no certificate"),
            (&key, &key, "the certificate /cert.pem has no certificate"),
            (
                "-----BEGIN CERTIFICATE-----\n",
                &key,
                "the certificate /cert.pem is no PEM: ",
            ),
            (
                no_der,
                &key,
                "the certificate /cert.pem and the key /key.pem cannot be used: ",
            ),
            (
                &certificate,
                &certificate,
                "the key /key.pem has no private key",
            ),
            (
                &certificate,
                &other,
                "the key /key.pem is not the one of the certificate /cert.pem",
            ),
        ] {
            fs::write(folder.join("cert.pem"), certificate).unwrap();
            fs::write(folder.join("key.pem"), key).unwrap();
            let refusal = refusal(folder);
            assert!(
                refusal.starts_with(&format!("configure: {told}")),
                "{refusal}"
            );
        }
        for (file, told) in [
            ("key.pem", "the key /key.pem cannot be read: "),
            ("cert.pem", "the certificate /cert.pem cannot be read: "),
        ] {
            fs::write(folder.join("cert.pem"), &certificate).unwrap();
            fs::remove_file(folder.join(file)).unwrap();
            let refusal = refusal(folder);
            assert!(
                refusal.starts_with(&format!("configure: {told}")),
                "{refusal}"
            );
        }
    }
}

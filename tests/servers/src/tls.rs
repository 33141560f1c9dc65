//! Certificates, made by openssl.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

/// A CA, the certificate that it gave a server on this machine, and a CA that knows nothing of it.
pub struct Tls {
    folder: TempDir,
}

impl Tls {
    /// Makes all of them.
    pub fn issued() -> Self {
        let tls = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        for name in ["ca", "stranger"] {
            let subject = format!("/CN=mortise test {name}");
            tls.openssl(
                &format!("req -x509 {KEY} -keyout {name}.key -out {name}.crt -days 30"),
                &[
                    "-subj",
                    &subject,
                    "-addext",
                    "basicConstraints=critical,CA:TRUE",
                ],
            );
        }
        tls.openssl(
            &format!("req {KEY} -keyout server.key -out server.csr"),
            &["-subj", "/CN=localhost"],
        );
        let extensions = "subjectAltName=IP:127.0.0.1,DNS:localhost\nbasicConstraints=CA:FALSE\n";
        fs::write(tls.path("extensions"), extensions).unwrap();
        tls.openssl(
            "x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out server.crt \
             -days 30 -extfile extensions",
            &[],
        );
        tls
    }

    /// The CA of the server's certificate.
    pub fn ca(&self) -> PathBuf {
        self.path("ca.crt")
    }

    /// A CA that did not give it.
    pub fn stranger(&self) -> PathBuf {
        self.path("stranger.crt")
    }

    /// The server's certificate, for 127.0.0.1 and localhost.
    pub fn certificate(&self) -> PathBuf {
        self.path("server.crt")
    }

    /// The key of the server's certificate.
    pub fn key(&self) -> PathBuf {
        self.path("server.key")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn openssl(&self, arguments: &str, more: &[&str]) {
        let output = Command::new("openssl")
            .args(arguments.split_whitespace())
            .args(more)
            .current_dir(self.folder.path())
            .output();
        let output = match output {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                panic!("openssl is not installed: apt-get install openssl")
            }
            output => output.unwrap(),
        };
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "openssl {arguments}: {said}");
    }
}

/// For `openssl req`: a new key, unencrypted.
const KEY: &str = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";

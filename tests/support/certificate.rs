//! A certificate for a development server that speaks TLS.

use std::fs;
use std::path::PathBuf;

use super::folder::Folder;

/// A self-signed certificate for `localhost`, in files that are gone with it.
pub struct Certificate {
    folder: Folder,
}

impl Certificate {
    /// Makes one.
    pub fn new() -> Certificate {
        let folder = Folder::new("certificate");
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let pair = rcgen::generate_simple_self_signed(names).expect("a certificate");
        fs::write(folder.path().join("certificate.pem"), pair.cert.pem()).expect("it is written");
        fs::write(folder.path().join("key.pem"), pair.signing_key.serialize_pem())
            .expect("it is written");
        Certificate { folder }
    }

    /// The certificate, which is its own authority.
    pub fn file(&self) -> PathBuf {
        self.folder.path().join("certificate.pem")
    }

    /// What makes a development server use it.
    pub fn arguments(&self) -> [String; 4] {
        let file = |name| self.folder.path().join(name).display().to_string();
        ["--tls-cert".into(), file("certificate.pem"), "--tls-key".into(), file("key.pem")]
    }
}

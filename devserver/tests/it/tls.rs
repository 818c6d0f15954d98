use crate::support::{Client, Server, WAIT_LIMIT};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// A certificate and its key.
    fn issue(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }
}

fn file(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

fn connect(server: &Server, ca: &str, identity: Option<&(String, String)>) -> Client {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca.as_bytes()).unwrap()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let config = match identity {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => builder
            .with_client_auth_cert(
                vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()],
                PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
            )
            .unwrap(),
    };
    let name = ServerName::try_from("localhost").unwrap();
    let tls = ClientConnection::new(Arc::new(config), name).unwrap();
    let socket = TcpStream::connect(server.address).unwrap();
    socket.set_read_timeout(Some(WAIT_LIMIT)).unwrap();
    Client::over(StreamOwned::new(tls, socket))
}

#[test]
fn the_server_speaks_tls() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let (cert, key) = authority.issue("localhost");
    let cert = file(folder.path(), "cert.pem", &cert);
    let key = file(folder.path(), "key.pem", &key);
    let server =
        Server::start(&["--tls-cert", cert.to_str().unwrap(), "--tls-key", key.to_str().unwrap()]);
    assert!(server.url.starts_with("https://127.0.0.1:"));
    let mut client = connect(&server, &authority.pem, None);
    client.post("/databases", r#"{"name":"d"}"#).is(201);
    assert_eq!(client.value("SELECT 1"), 1);
    assert!(
        connect(&server, &Authority::new().pem, None).try_send("GET", "/health", None).is_err()
    );
    let mut plain = server.connect();
    assert!(plain.try_send("GET", "/health", None).is_err());
    crate::support::wait_until("failed handshakes are no connections", || {
        client.get("/stats").is(200)["connections_open"] == 1
    });
}

#[test]
fn a_client_shows_its_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let (authority, clients) = (Authority::new(), Authority::new());
    let (cert, key) = authority.issue("localhost");
    let cert = file(folder.path(), "cert.pem", &cert);
    let key = file(folder.path(), "key.pem", &key);
    let ca = file(folder.path(), "ca.pem", &clients.pem);
    let server = Server::start(&[
        "--tls-cert",
        cert.to_str().unwrap(),
        "--tls-key",
        key.to_str().unwrap(),
        "--tls-client-ca",
        ca.to_str().unwrap(),
    ]);
    let known = clients.issue("someone");
    assert_eq!(connect(&server, &authority.pem, Some(&known)).get("/health").status, 200);
    let strange = Authority::new().issue("someone");
    for identity in [None, Some(&strange)] {
        let mut client = connect(&server, &authority.pem, identity);
        assert!(client.try_send("GET", "/health", None).is_err());
    }
}

#[test]
fn files_that_make_no_sense_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let (cert, key) = Authority::new().issue("localhost");
    let (_, other_key) = Authority::new().issue("localhost");
    let cert = file(folder.path(), "cert.pem", &cert);
    let key = file(folder.path(), "key.pem", &key);
    let other = file(folder.path(), "other.pem", &other_key);
    let empty = file(folder.path(), "empty.pem", "");
    let missing = folder.path().join("missing.pem");
    for (cert, key, named) in [
        (&empty, &key, "empty.pem"),
        (&missing, &key, "missing.pem"),
        (&cert, &empty, "empty.pem"),
        (&cert, &missing, "missing.pem"),
        (&cert, &other, "cert.pem"),
    ] {
        let output = crate::support::command()
            .args([
                "--port",
                "0",
                "--tls-cert",
                cert.to_str().unwrap(),
                "--tls-key",
                key.to_str().unwrap(),
            ])
            .output()
            .unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && told.contains(named), "{told}");
        assert!(output.stdout.is_empty());
    }
}

//! TLS settings, and what goes wrong with TLS in plain words.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{
    AlertDescription, CertificateError, ClientConfig, ClientConnection, InvalidMessage,
    RootCertStore,
};
use rustls_native_certs::{CertificateResult, load_certs_from_paths, load_native_certs};

use crate::client::response::excerpt::excerpt;
use crate::config::Options;
use crate::error::{Code, Error, Result};
use crate::os::clock;
use crate::os::privileges;

/// The TLS settings of an endpoint. The system's certificates are loaded when first needed; files
/// are read again after [`Tls::expire`], since certificates are renewed while programs run.
#[derive(Debug)]
pub(in crate::client) struct Tls {
    server: ServerName<'static>,
    files: Files,
    /// Not behind a lock, which a forked child might inherit held.
    current: ArcSwap<Material>,
    is_expired: AtomicBool,
}

#[derive(Clone, Debug)]
struct Files {
    authorities: Option<PathBuf>,
    /// The certificate and its key.
    identity: Option<(PathBuf, PathBuf)>,
}

/// What was read last, and with success.
#[derive(Clone, Debug, Default)]
struct Material {
    roots: Option<Arc<RootCertStore>>,
    identity: Option<Identity>,
    /// There once the roots are.
    config: Option<Arc<ClientConfig>>,
    /// Why some of it may be old or missing.
    complaint: Option<String>,
    /// When to read again what could not be read.
    retry_at: Option<Instant>,
}

#[derive(Clone, Debug)]
struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: Arc<PrivateKeyDer<'static>>,
}

/// After how long what could not be read is read again.
const RETRY: Duration = Duration::from_secs(1);

/// How many sessions are remembered for a quicker handshake; one server needs few.
const SESSIONS: usize = 16;

impl Tls {
    /// Reads the files that the options name; errors name the option.
    pub(in crate::client) fn new(host: &str, options: &Options) -> Result<Tls> {
        let server = ServerName::try_from(host.to_owned()).map_err(|_| {
            Error::invalid_argument(
                "base_url",
                "the host is not a name that a certificate can hold",
            )
        })?;
        let identity = match (&options.tls_cert_file, &options.tls_key_file) {
            (Some(chain), Some(key)) => Some((chain.clone(), key.clone())),
            _ => None,
        };
        let files = Files { authorities: options.tls_ca_file.clone(), identity };
        let identity = files.read_identity()?;
        let mut material = Material::default();
        let roots = match &files.authorities {
            Some(path) => read_roots(path)?,
            None => RootCertStore::empty(),
        };
        let roots = Arc::new(roots);
        // Without a CA file this only checks that certificate and key belong together.
        let config = build(&roots, identity.as_ref())?;
        if files.authorities.is_some() {
            (material.roots, material.config) = (Some(roots), Some(config));
        }
        material.identity = identity;
        let current = ArcSwap::from_pointee(material);
        Ok(Tls { server, files, current, is_expired: AtomicBool::new(false) })
    }

    /// The same in a forked child: with a session cache of its own, since the parent's may be
    /// locked.
    pub(in crate::client) fn reborn(&self) -> Tls {
        let mut material = Material::clone(&self.current.load());
        if let Some(parents) = &material.config {
            let mut own = ClientConfig::clone(parents);
            own.resumption = Resumption::in_memory_sessions(SESSIONS);
            material.config = Some(Arc::new(own));
        }
        Tls {
            server: self.server.clone(),
            files: self.files.clone(),
            current: ArcSwap::from_pointee(material),
            is_expired: AtomicBool::new(self.is_expired.load(Ordering::Relaxed)),
        }
    }

    /// The next session reads the files again, and resumes no older one.
    pub(in crate::client) fn expire(&self) {
        self.is_expired.store(true, Ordering::Relaxed);
    }

    /// What else there is to say when TLS failed: why the files could not be read again.
    pub(in crate::client) fn complaint(&self) -> String {
        let material = self.current.load();
        material.complaint.as_ref().map(|why| format!("; {why}")).unwrap_or_default()
    }

    /// A new TLS session, with nothing said yet.
    pub(in crate::client) fn session(&self) -> Result<ClientConnection> {
        let material = self.current.load_full();
        let is_due = material.retry_at.is_some_and(|at| at <= clock::now());
        let is_expired = self.is_expired.swap(false, Ordering::Relaxed) || is_due;
        let config = match &material.config {
            Some(config) if !is_expired => config.clone(),
            _ => self.renew(&material, is_expired)?,
        };
        ClientConnection::new(config, self.server.clone())
            .map_err(|error| Error::new(Code::Tls, format!("TLS can't be set up: {error}")))
    }

    /// Reads what is to be read. What can't be is kept as it was, and tried again at the next
    /// session: a file may be missing for a moment, or all descriptors be in use.
    fn renew(&self, old: &Material, is_expired: bool) -> Result<Arc<ClientConfig>> {
        let mut complaints = Vec::new();
        let identity = match is_expired.then(|| self.files.read_identity()) {
            Some(Ok(identity)) => identity,
            Some(Err(error)) => {
                complaints.push(format!("not read again: {error}"));
                old.identity.clone()
            }
            None => old.identity.clone(),
        };
        let read = match &self.files.authorities {
            Some(path) => read_roots(path).map(|roots| (roots, None)),
            None => system_roots(),
        };
        let (roots, skipped) = match (read, &old.roots) {
            (Ok((roots, skipped)), _) => (Arc::new(roots), skipped),
            (Err(error), Some(roots)) => {
                complaints.push(format!("not read again: {error}"));
                (roots.clone(), None)
            }
            (Err(error), None) => return Err(self.still_expired(is_expired, error)),
        };
        let (config, identity) = match (build(&roots, identity.as_ref()), &old.config) {
            (Ok(config), _) => (config, identity),
            // The certificate is renewed already, and its key will be in a moment.
            (Err(error), Some(config)) => {
                complaints.push(format!("not used: {error}"));
                (config.clone(), old.identity.clone())
            }
            (Err(error), None) => return Err(self.still_expired(is_expired, error)),
        };
        let retry_at = (!complaints.is_empty()).then(|| clock::now() + RETRY);
        complaints.extend(skipped);
        let complaint = (!complaints.is_empty()).then(|| complaints.join("; "));
        let new = Material {
            roots: Some(roots),
            identity,
            config: Some(config.clone()),
            complaint,
            retry_at,
        };
        self.current.store(Arc::new(new));
        Ok(config)
    }

    fn still_expired(&self, is_expired: bool, error: Error) -> Error {
        if is_expired {
            self.expire();
        }
        error
    }
}

impl Files {
    fn read_identity(&self) -> Result<Option<Identity>> {
        let Some((chain, key)) = &self.identity else { return Ok(None) };
        Identity::read(chain, key).map(Some)
    }
}

impl Identity {
    fn read(chain_file: &Path, key_file: &Path) -> Result<Identity> {
        let chain = read_certificates("tls_cert_file", chain_file)?;
        let key = PrivateKeyDer::from_pem_file(key_file).map_err(|error| {
            let why = match error {
                rustls::pki_types::pem::Error::NoItemsFound => {
                    "holds no private key in PEM form (an encrypted one can't be used)".to_owned()
                }
                other => described(other),
            };
            Error::invalid_argument("tls_key_file", format_args!("{}: {why}", key_file.display()))
        })?;
        Ok(Identity { chain, key: Arc::new(key) })
    }
}

fn read_certificates(option: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let refused =
        |why: String| Error::invalid_argument(option, format_args!("{}: {why}", path.display()));
    let certificates = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<std::result::Result<Vec<_>, _>>)
        .map_err(|error| refused(described(error)))?;
    if certificates.is_empty() {
        return Err(refused("holds no certificate in PEM form".to_owned()));
    }
    Ok(certificates)
}

fn described(error: rustls::pki_types::pem::Error) -> String {
    match error {
        rustls::pki_types::pem::Error::Io(error) => format!("can't be read: {error}"),
        other => format!("is not a valid PEM file: {other}"),
    }
}

fn read_roots(path: &Path) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in read_certificates("tls_ca_file", path)? {
        roots.add(certificate).map_err(|error| {
            Error::invalid_argument("tls_ca_file", format_args!("{}: {error}", path.display()))
        })?;
    }
    Ok(roots)
}

/// The system's certificates, and why some are missing, if some are.
fn system_roots() -> Result<(RootCertStore, Option<String>)> {
    let found =
        if privileges::is_privileged() { of_well_known_places() } else { load_native_certs() };
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    let error = found.errors.first().map(|error| excerpt(error.to_string().as_bytes()));
    if !roots.is_empty() {
        let skipped = |why| format!("not all of the system's certificates were read ({why})");
        return Ok((roots, error.map(skipped)));
    }
    let why = match error {
        Some(error) => format!("the system's can't be read ({error}); fix that"),
        None => "the system has none; install them (on Debian: the package ca-certificates)".into(),
    };
    let text = format!("no certificates to check the server's with: {why} or set tls_ca_file");
    Err(Error::new(Code::Tls, text))
}

/// The certificates of the system for a program whose environment is not to be believed: its user
/// would choose whom the program trusts.
fn of_well_known_places() -> CertificateResult {
    let file = CERTIFICATE_FILES.iter().map(Path::new).find(|path| path.exists());
    load_certs_from_paths(file, None)
}

/// Where systems have all certificates in one file: Debian and its like, Fedora, RHEL, SUSE,
/// Alpine.
const CERTIFICATE_FILES: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

fn build(roots: &Arc<RootCertStore>, identity: Option<&Identity>) -> Result<Arc<ClientConfig>> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(|error| Error::new(Code::Tls, format!("TLS can't be set up: {error}")))?
        .with_root_certificates(Arc::clone(roots));
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some(identity) => builder
            .with_client_auth_cert(identity.chain.clone(), identity.key.clone_key())
            .map_err(|error| match error {
                rustls::Error::InconsistentKeys(_) => Error::invalid_argument(
                    "tls_key_file",
                    "is not the private key of the certificate in tls_cert_file",
                ),
                other => Error::invalid_argument("tls_cert_file", other),
            })?,
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.resumption = Resumption::in_memory_sessions(SESSIONS);
    Ok(Arc::new(config))
}

/// A TLS error in plain words, with what to do about it.
pub(in crate::client) fn explained(error: &rustls::Error) -> String {
    use CertificateError as C;
    match error {
        rustls::Error::InvalidCertificate(why) => match why {
            C::Expired | C::ExpiredContext { .. } => {
                "the server's certificate has expired".to_owned()
            }
            C::NotValidYet | C::NotValidYetContext { .. } => {
                "the server's certificate is not valid yet (is this machine's clock right?)"
                    .to_owned()
            }
            C::NotValidForName | C::NotValidForNameContext { .. } => {
                "the server's certificate is for another host name than the one in base_url"
                    .to_owned()
            }
            C::UnknownIssuer => "the server's certificate is self-signed or signed by an unknown \
                                 authority; if that is intended, set tls_ca_file to the \
                                 authority's certificate"
                .to_owned(),
            C::Revoked => "the server's certificate was revoked".to_owned(),
            C::BadSignature => "the server's certificate was not signed by the authority that is \
                                trusted under that name; if the authority was renewed, renew \
                                tls_ca_file, which the next try reads again"
                .to_owned(),
            C::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
                "the server's certificate is an authority's own (self-signed), which can't be a \
                 server's; have it issue one for the server"
                    .to_owned()
            }
            other => {
                let why = excerpt(other.to_string().as_bytes());
                format!("the server's certificate is not acceptable: {why}")
            }
        },
        rustls::Error::AlertReceived(alert) => match alert {
            AlertDescription::CertificateRequired => "the server wants a client certificate; set \
                                                      tls_cert_file and tls_key_file"
                .to_owned(),
            AlertDescription::HandshakeFailure => "the server refused the TLS handshake: it \
                                                   wants a client certificate (tls_cert_file and \
                                                   tls_key_file), or shares no cipher"
                .to_owned(),
            AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::UnknownCA
            | AlertDescription::CertificateUnknown
            | AlertDescription::DecryptError
            | AlertDescription::AccessDenied => {
                format!("the server refused the client certificate in tls_cert_file ({alert:?})")
            }
            AlertDescription::CertificateExpired => {
                "the client certificate in tls_cert_file has expired".to_owned()
            }
            AlertDescription::CertificateRevoked => {
                "the client certificate in tls_cert_file was revoked".to_owned()
            }
            AlertDescription::ProtocolVersion => {
                "the server speaks neither TLS 1.2 nor TLS 1.3".to_owned()
            }
            other => format!("the server ended TLS with the alert {other:?}"),
        },
        rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            "the server does not speak TLS on this port; should base_url begin with http://?"
                .to_owned()
        }
        rustls::Error::PeerIncompatible(_) => {
            format!("the server's TLS settings do not fit TLS 1.2 or 1.3: {error}")
        }
        other => excerpt(other.to_string().as_bytes()),
    }
}

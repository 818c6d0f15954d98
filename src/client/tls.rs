//! TLS settings, and what goes wrong with TLS in plain words.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{
    AlertDescription, CertificateError, ClientConfig, ClientConnection, InvalidMessage,
    RootCertStore,
};

use crate::config::Options;
use crate::error::{Code, Error, Result};

/// The TLS settings of an endpoint; the system's certificates are loaded when first needed.
#[derive(Debug)]
pub(super) struct Tls {
    server: ServerName<'static>,
    /// Ready from the start with a CA file, which is then known to be good.
    config: OnceLock<Result<Arc<ClientConfig>>>,
    identity: Option<Identity>,
}

#[derive(Clone, Debug)]
struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: Arc<PrivateKeyDer<'static>>,
}

/// How many sessions are remembered for a quicker handshake; one server needs few.
const SESSIONS: usize = 16;

impl Tls {
    /// Reads the files that the options name; errors name the option.
    pub(super) fn new(host: &str, options: &Options) -> Result<Tls> {
        let server = ServerName::try_from(host.to_owned()).map_err(|_| {
            Error::invalid_argument("base_url", "the host is no name that a certificate can hold")
        })?;
        let identity = match (&options.tls_cert_file, &options.tls_key_file) {
            (Some(chain), Some(key)) => Some(Identity::read(chain, key)?),
            _ => None,
        };
        let config = OnceLock::new();
        let roots = match &options.tls_ca_file {
            Some(path) => read_roots(path)?,
            None => RootCertStore::empty(),
        };
        // Without a CA file this only checks that certificate and key belong together.
        let built = build(roots, identity.as_ref())?;
        if options.tls_ca_file.is_some() {
            let _ = config.set(Ok(built));
        }
        Ok(Tls { server, config, identity })
    }

    /// The same in a forked child: with a session cache of its own, since the parent's may be locked.
    pub(super) fn reborn(&self) -> Tls {
        let config = OnceLock::new();
        if let Some(Ok(parents)) = self.config.get() {
            let mut own = ClientConfig::clone(parents);
            own.resumption = Resumption::in_memory_sessions(SESSIONS);
            let _ = config.set(Ok(Arc::new(own)));
        }
        Tls { server: self.server.clone(), config, identity: self.identity.clone() }
    }

    /// A new TLS session, with nothing said yet.
    pub(super) fn session(&self) -> Result<ClientConnection> {
        let config = self
            .config
            .get_or_init(|| build(system_roots()?, self.identity.as_ref()))
            .as_ref()
            .map_err(Clone::clone)?;
        ClientConnection::new(Arc::clone(config), self.server.clone())
            .map_err(|error| Error::new(Code::Tls, format!("TLS can't be set up: {error}")))
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
        other => format!("is no valid PEM file: {other}"),
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

fn system_roots() -> Result<RootCertStore> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let why = found.errors.first().map(|error| format!(" ({error})")).unwrap_or_default();
        return Err(Error::new(
            Code::Tls,
            format!(
                "no certificates to check the server's with: the system has none{why}; install \
                 them (on Debian: the package ca-certificates) or set tls_ca_file"
            ),
        ));
    }
    Ok(roots)
}

fn build(roots: RootCertStore, identity: Option<&Identity>) -> Result<Arc<ClientConfig>> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(|error| Error::new(Code::Tls, format!("TLS can't be set up: {error}")))?
        .with_root_certificates(roots);
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
pub(super) fn explained(error: &rustls::Error) -> String {
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
                                 authority; if that is meant to be so, set tls_ca_file to the \
                                 authority's certificate"
                .to_owned(),
            C::Revoked => "the server's certificate was revoked".to_owned(),
            C::BadSignature => "the server's certificate was not signed by the authority that is \
                                trusted under that name; if the authority was renewed, renew \
                                tls_ca_file"
                .to_owned(),
            C::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
                "the server's certificate is an authority's own (self-signed), which can't be a \
                 server's; have it issue one for the server"
                    .to_owned()
            }
            other => format!("the server's certificate is not acceptable: {other}"),
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
            format!("the server's TLS settings do not go with TLS 1.2 or 1.3: {error}")
        }
        other => other.to_string(),
    }
}

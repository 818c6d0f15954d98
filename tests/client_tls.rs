//! TLS: who is trusted, who is not and why, and how TLS ends.

mod support;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use phantomdb::internal::{Connection, Request};
use phantomdb::{Code, Error, Options};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use support::alone::alone;
use support::fake_server::{WAIT_LIMIT, client, is_done_with, ok, soon};

/// A certificate with its key.
struct Pair {
    certificate: rcgen::Certificate,
    key: KeyPair,
}

/// An authority that signs.
struct Authority {
    certificate: rcgen::Certificate,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Authority {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        Authority::named(&format!("authority {}", NUMBER.fetch_add(1, Ordering::Relaxed)))
    }

    fn named(name: &str) -> Authority {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Authority { certificate, issuer: Issuer::new(params, key) }
    }

    fn sign(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Pair {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Pair { certificate, key }
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.der().clone()).unwrap();
        roots
    }
}

fn server_config(pair: &Pair, clients: Option<RootCertStore>) -> Arc<ServerConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(roots) => builder.with_client_cert_verifier(
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap(),
        ),
    };
    let key = PrivateKeyDer::Pkcs8(pair.key.serialize_der().into());
    let mut config = builder.with_single_cert(vec![pair.certificate.der().clone()], key).unwrap();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Arc::new(config)
}

/// A file that is gone with the test.
struct TempFile(PathBuf);

impl TempFile {
    fn new(text: &str) -> TempFile {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("phantomdb-tls-{}-{number}.pem", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, text).unwrap();
        TempFile(path)
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

type Stream = StreamOwned<ServerConnection, TcpStream>;

/// Accepts one connection, and hands it to a script. What TLS makes of the client shows there.
struct TlsServer {
    url: String,
    script: JoinHandle<()>,
}

impl TlsServer {
    fn start(
        host: &str,
        config: Arc<ServerConfig>,
        script: impl FnOnce(Stream, &TcpListener) + Send + 'static,
    ) -> TlsServer {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("https://{host}:{}", listener.local_addr().unwrap().port());
        let script = thread::spawn(move || script(accept(&listener, config), &listener));
        TlsServer { url, script }
    }

    fn join(self) {
        self.script.join().unwrap();
    }
}

fn accept(listener: &TcpListener, config: Arc<ServerConfig>) -> Stream {
    let (socket, _) = listener.accept().unwrap();
    socket.set_read_timeout(Some(WAIT_LIMIT)).unwrap();
    socket.set_nodelay(true).unwrap();
    StreamOwned::new(ServerConnection::new(config).unwrap(), socket)
}

/// Reads a request and responds to it, if TLS gets that far.
fn serve(stream: &mut Stream) -> std::io::Result<()> {
    let mut text = Vec::new();
    let mut byte = [0];
    while !text.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        text.push(byte[0]);
    }
    stream.write_all(ok("{\"databases\":[\"safe\"]}").as_bytes())?;
    stream.flush()
}

fn trusting(url: &str, authority: &Authority) -> (Connection, TempFile) {
    let file = TempFile::new(&authority.certificate.pem());
    let path = file.0.clone();
    (client(url, |options| options.tls_ca_file = Some(path)), file)
}

/// What a client that trusts `authority` says to a server with `pair`.
fn refusal(
    host: &str,
    pair: &Pair,
    authority: &Authority,
    clients: Option<RootCertStore>,
) -> Error {
    let server = TlsServer::start(host, server_config(pair, clients), |mut stream, _| {
        assert!(serve(&mut stream).is_err(), "TLS must not get that far");
    });
    let (mut client, _file) = trusting(&server.url, authority);
    let error = client.request(&Request::list_databases(), soon()).unwrap_err();
    assert_eq!(error.code(), Code::Tls, "{error}");
    assert!(!error.is_retriable() && is_done_with(&client));
    assert!(error.message().contains(&server.url), "{error}");
    server.join();
    error
}

#[test]
fn a_trusted_server_is_spoken_to_over_one_session() {
    for (name, host) in [("localhost", "localhost"), ("127.0.0.1", "127.0.0.1")] {
        let authority = Authority::new();
        let pair = authority.sign(name, |_| {});
        let server = TlsServer::start(host, server_config(&pair, None), |mut stream, _| {
            for _ in 0..10 {
                serve(&mut stream).unwrap();
            }
            // The close_notify of TLS comes first: no error.
            assert_eq!(stream.read(&mut [0]).unwrap(), 0);
        });
        let (mut client, _file) = trusting(&server.url, &authority);
        for _ in 0..5 {
            let response = client.request(&Request::list_databases(), soon()).unwrap();
            assert_eq!(response.text().unwrap(), "[\"safe\"]");
            assert!(client.probe(), "session tickets are no reason to close");
            client.ping(soon()).unwrap();
        }
        client.close(WAIT_LIMIT);
        server.join();
    }
}

#[test]
fn each_reason_not_to_trust_a_server_is_told_in_plain_words() {
    let authority = Authority::new();
    let other = Authority::new();
    let good = authority.sign("localhost", |_| {});
    let error = refusal("localhost", &good, &other, None);
    assert!(error.message().contains("signed by an unknown authority"), "{error}");
    assert!(error.message().contains("set tls_ca_file"), "{error}");

    let (old, new) = (Authority::named("same"), Authority::named("same"));
    let error = refusal("localhost", &new.sign("localhost", |_| {}), &old, None);
    assert!(error.message().contains("renew tls_ca_file"), "{error}");

    let error = refusal("127.0.0.1", &good, &authority, None);
    assert!(error.message().contains("is for another host name"), "{error}");

    let expired = authority.sign("localhost", |params| {
        params.not_before = rcgen::date_time_ymd(2001, 1, 1);
        params.not_after = rcgen::date_time_ymd(2002, 1, 1);
    });
    let error = refusal("localhost", &expired, &authority, None);
    assert!(error.message().contains("has expired"), "{error}");

    let early = authority.sign("localhost", |params| {
        params.not_before = rcgen::date_time_ymd(3001, 1, 1);
        params.not_after = rcgen::date_time_ymd(3002, 1, 1);
    });
    let error = refusal("localhost", &early, &authority, None);
    assert!(error.message().contains("not valid yet"), "{error}");

    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let error = refusal("localhost", &Pair { certificate, key }, &authority, None);
    assert!(error.message().contains("self-signed"), "{error}");
}

#[test]
fn a_client_certificate_is_sent_where_it_is_wanted() {
    let authority = Authority::new();
    let pair = authority.sign("localhost", |_| {});
    let ca = TempFile::new(&authority.certificate.pem());
    let mine = authority.sign("me", |_| {});
    let chain = TempFile::new(&mine.certificate.pem());
    let key = TempFile::new(&mine.key.serialize_pem());
    let config = server_config(&pair, Some(authority.roots()));
    let server = TlsServer::start("localhost", config, |mut stream, _| {
        serve(&mut stream).unwrap();
        assert_eq!(stream.conn.peer_certificates().unwrap().len(), 1);
    });
    let mut with = client(&server.url, |options| {
        options.tls_ca_file = Some(ca.0.clone());
        options.tls_cert_file = Some(chain.0.clone());
        options.tls_key_file = Some(key.0.clone());
    });
    with.ping(soon()).unwrap();
    server.join();

    let error = refusal("localhost", &pair, &authority, Some(authority.roots()));
    assert!(error.message().contains("wants a client certificate; set tls_cert_file"), "{error}");

    let stranger = Authority::new().sign("me", |_| {});
    let chain = TempFile::new(&stranger.certificate.pem());
    let key = TempFile::new(&stranger.key.serialize_pem());
    let config = server_config(&pair, Some(authority.roots()));
    let server = TlsServer::start("localhost", config, |mut stream, _| {
        assert!(serve(&mut stream).is_err());
    });
    let mut wrong = client(&server.url, |options| {
        options.tls_ca_file = Some(ca.0.clone());
        options.tls_cert_file = Some(chain.0.clone());
        options.tls_key_file = Some(key.0.clone());
    });
    let error = wrong.ping(soon()).unwrap_err();
    assert_eq!(error.code(), Code::Tls, "{error}");
    assert!(error.message().contains("refused the client certificate in tls_cert_file"), "{error}");
    server.join();
}

#[test]
fn tls_files_are_checked_when_the_endpoint_is_made() {
    let authority = Authority::new();
    let one = authority.sign("me", |_| {});
    let two = authority.sign("me", |_| {});
    let chain = TempFile::new(&one.certificate.pem());
    let key = TempFile::new(&one.key.serialize_pem());
    let wrong_key = TempFile::new(&two.key.serialize_pem());
    let refused = |cert: &TempFile, key: &TempFile| {
        let options = Options {
            base_url: "https://localhost".to_owned(),
            tls_cert_file: Some(cert.0.clone()),
            tls_key_file: Some(key.0.clone()),
            ..Options::default()
        };
        let error = phantomdb::internal::Endpoint::new(&options).unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument);
        error.message().to_owned()
    };
    assert!(refused(&chain, &wrong_key).starts_with("tls_key_file: is not the private key"));
    assert!(refused(&chain, &chain).contains("holds no private key"));
    assert!(refused(&key, &key).contains("holds no certificate"));
}

#[test]
fn a_silent_handshake_ends_at_connect_timeout() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://127.0.0.1:{}", listener.local_addr().unwrap().port());
    let (authority, limit) = (Authority::new(), Duration::from_millis(150));
    let file = TempFile::new(&authority.certificate.pem());
    let mut client = client(&url, |options| {
        options.tls_ca_file = Some(file.0.clone());
        options.connect_timeout = limit;
    });
    let start = Instant::now();
    let error = client.ping(soon()).unwrap_err();
    let took = start.elapsed();
    assert_eq!(error.code(), Code::Timeout, "{error}");
    assert!(
        error.message().contains("after 150 ms (connect_timeout): the server did not complete")
    );
    assert!(took >= limit && took < WAIT_LIMIT, "{took:?}");

    let cancel_handle = client.cancel_handle();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| client.ping(soon()).unwrap_err());
        // Connected: the first bytes of the handshake are there.
        let (first, _) = listener.accept().unwrap();
        let (second, _) = listener.accept().unwrap();
        second.peek(&mut [0]).unwrap();
        cancel_handle.cancel();
        assert_eq!(waiting.join().unwrap().code(), Code::Cancelled);
        drop(first);
    });
}

#[test]
fn a_server_without_tls_is_told_apart() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://127.0.0.1:{}", listener.local_addr().unwrap().port());
    let script = thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let _ = socket.read(&mut [0; 16]);
        let _ = socket.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        let _ = socket.read_to_end(&mut Vec::new());
    });
    let (mut client, _file) = trusting(&url, &Authority::new());
    let error = client.ping(soon()).unwrap_err();
    assert_eq!(error.code(), Code::Tls, "{error}");
    assert!(error.message().contains("should base_url begin with http://?"), "{error}");
    script.join().unwrap();
}

/// What a server says that knows TLS 1.1 at most, to a client that offers more: a ServerHello with
/// that version, 32 random bytes, no session, TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, no compression.
fn old_server_hello() -> Vec<u8> {
    let record = [0x16, 3, 2, 0, 42];
    let message = [2, 0, 0, 38, 3, 2];
    [&record[..], &message, &[0x5a; 32], &[0, 0xc0, 0x13, 0]].concat()
}

#[test]
fn an_older_tls_than_1_2_is_refused_by_either_side() {
    let alert = vec![0x15, 3, 1, 0, 2, 2, 70];
    for (said, told) in [
        (old_server_hello(), "do not fit TLS 1.2 or 1.3"),
        (alert, "speaks neither TLS 1.2 nor TLS 1.3"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("https://127.0.0.1:{}", listener.local_addr().unwrap().port());
        let script = thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            let _ = socket.read(&mut [0; 4096]);
            let _ = socket.write_all(&said);
            let _ = socket.read_to_end(&mut Vec::new());
        });
        let (mut client, _file) = trusting(&url, &Authority::new());
        let error = client.ping(soon()).unwrap_err();
        assert_eq!(error.code(), Code::Tls, "{error}");
        assert!(error.message().contains(told), "{error}");
        script.join().unwrap();
    }
}

#[test]
fn a_response_that_ends_without_close_notify_must_say_itself_where_it_ends() {
    let health = Request::health_check;
    let raw = || Request::raw("GET", "/x", None).unwrap();
    let text = "Content-Type: text/plain\r\n";
    for (request, head, body, good) in [
        (health(), "", "{\"status\":\"ok\"}", true),
        (health(), "", "\u{feff} {\"status\":\"ok\"}\r\n", true),
        (raw(), "", "[1, 2]", true),
        (raw(), "", "\"text\"", true),
        (health(), "", "{\"status\":", false),
        (health(), "", "", false),
        (raw(), "", "", false),
        // Of 12345.
        (raw(), "", "12", false),
        (raw(), "", "-", false),
        (raw(), "", "true", false),
        (raw(), "", "[1, 2", false),
        (raw(), "", "\"tex", false),
        (raw(), text, "the whole tex", false),
        (raw(), text, "{\"a\":1}", false),
        (raw(), "Content-Length: 5\r\n", "12", false),
        (raw(), "Transfer-Encoding: chunked\r\n", "2\r\n12\r\n", false),
    ] {
        let authority = Authority::new();
        let pair = authority.sign("localhost", |_| {});
        let server =
            TlsServer::start("localhost", server_config(&pair, None), move |mut stream, _| {
                let mut request = [0; 4];
                stream.read_exact(&mut request).unwrap();
                let head = format!("HTTP/1.1 200 OK\r\nConnection: close\r\n{head}\r\n");
                stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
                stream.flush().unwrap();
                // The request's rest stays unread in TLS, not in the socket: no reset, just an end.
                stream.sock.shutdown(std::net::Shutdown::Write).unwrap();
                let _ = stream.sock.read_to_end(&mut Vec::new());
            });
        let (mut client, _file) = trusting(&server.url, &authority);
        let result = client.request(&request, soon());
        match result {
            Ok(response) => assert!(good, "{body:?} gives {:?}", response.text()),
            Err(error) => {
                assert!(!good, "{error}");
                assert_eq!(error.code(), Code::ConnectionLost, "{body:?}: {error}");
            }
        }
        drop(client);
        server.join();
    }
}

/// Serves one request on each of these sessions, or fails to, one after the other.
fn serving(configs: Vec<Arc<ServerConfig>>) -> (String, JoinHandle<Vec<bool>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    (url, serving_on(listener, configs))
}

fn serving_on(listener: TcpListener, configs: Vec<Arc<ServerConfig>>) -> JoinHandle<Vec<bool>> {
    thread::spawn(move || {
        let mut served = Vec::new();
        for config in configs {
            let mut stream = accept(&listener, config);
            served.push(serve(&mut stream).is_ok());
            // Until the client goes.
            let _ = stream.read_to_end(&mut Vec::new());
        }
        served
    })
}

#[test]
fn renewed_authorities_are_read_after_a_failure() {
    let (old, new) = (Authority::new(), Authority::new());
    let config = server_config(&new.sign("localhost", |_| {}), None);
    let (url, server) = serving(vec![config.clone(), config.clone(), config]);
    let (mut client, file) = trusting(&url, &old);
    assert_eq!(client.ping(soon()).unwrap_err().code(), Code::Tls);
    // A file that is gone for a moment does not make the client give up.
    std::fs::remove_file(&file.0).unwrap();
    let error = client.ping(soon()).unwrap_err();
    assert_eq!(error.code(), Code::Tls);
    assert!(error.message().contains("not read again: tls_ca_file: "), "{error}");
    assert!(error.message().contains("No such file"), "{error}");
    std::fs::write(&file.0, new.certificate.pem()).unwrap();
    client.ping(soon()).unwrap();
    drop(client);
    assert_eq!(server.join().unwrap(), [false, false, true]);
}

#[test]
fn a_renewed_client_certificate_is_read_after_the_old_one_was_refused() {
    let (authority, clients, strangers) = (Authority::new(), Authority::new(), Authority::new());
    let config = server_config(&authority.sign("localhost", |_| {}), Some(clients.roots()));
    let (url, server) = serving(vec![config.clone(), config.clone(), config]);
    let stranger = strangers.sign("me", |_| {});
    let chain = TempFile::new(&stranger.certificate.pem());
    let key = TempFile::new(&stranger.key.serialize_pem());
    let roots = TempFile::new(&authority.certificate.pem());
    let mut client = client(&url, |options| {
        options.tls_ca_file = Some(roots.0.clone());
        options.tls_cert_file = Some(chain.0.clone());
        options.tls_key_file = Some(key.0.clone());
    });
    let insert = Request::insert("d", "t", "{}").unwrap();
    let error = client.request(&insert, soon()).unwrap_err();
    assert_eq!(error.code(), Code::Tls, "{error}");
    let friend = clients.sign("me", |_| {});
    // The certificate comes first, and is of no use without its key.
    std::fs::write(&chain.0, friend.certificate.pem()).unwrap();
    assert_eq!(client.ping(soon()).unwrap_err().code(), Code::Tls);
    std::fs::write(&key.0, friend.key.serialize_pem()).unwrap();
    client.ping(soon()).unwrap();
    drop(client);
    assert_eq!(server.join().unwrap(), [false, false, true]);
}

#[test]
fn rule_18_a_reset_reads_the_tls_files_again() {
    let (old, new) = (Authority::new(), Authority::new());
    let config = |authority: &Authority| server_config(&authority.sign("localhost", |_| {}), None);
    let (url, server) = serving(vec![config(&old), config(&new)]);
    let file = TempFile::new(&old.certificate.pem());
    let options = Options {
        base_url: url,
        tls_ca_file: Some(file.0.clone()),
        min_connections: 0,
        max_connections: 1,
        ..Options::default()
    };
    let pool = phantomdb::Pool::new(options).unwrap();
    pool.request(&Request::list_databases()).unwrap();
    std::fs::write(&file.0, new.certificate.pem()).unwrap();
    pool.reset();
    pool.request(&Request::list_databases()).unwrap();
    pool.close().unwrap();
    assert_eq!(server.join().unwrap(), [true, true]);
}

/// Of the process, which must have one test only.
fn set_variable(name: &str, value: &std::path::Path) {
    // SAFETY: no other thread of the process reads or changes its environment meanwhile.
    unsafe { std::env::set_var(name, value) };
}

/// Leaves so many descriptors to this process; gives what undoes it.
fn leave_descriptors(count: u64) -> impl FnOnce() {
    use std::os::fd::AsRawFd;
    let next = std::fs::File::open("/dev/null").unwrap().as_raw_fd() as u64;
    let mut before = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: it writes to a local of the right type.
    assert_eq!(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut before) }, 0);
    let set = |limit: libc::rlimit| {
        // SAFETY: it reads a local of the right type.
        assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) }, 0);
    };
    set(libc::rlimit { rlim_cur: next + count, ..before });
    move || set(before)
}

#[test]
fn one_bad_moment_does_not_spoil_tls_for_ever() {
    alone("one_bad_moment_does_not_spoil_tls_for_ever", || {
        let authority = Authority::new();
        let config = server_config(&authority.sign("127.0.0.1", |_| {}), None);
        let file = TempFile::new(&authority.certificate.pem());
        set_variable("SSL_CERT_FILE", &file.0);
        set_variable("SSL_CERT_DIR", std::path::Path::new(""));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("https://127.0.0.1:{}", listener.local_addr().unwrap().port());
        let mut client = client(&url, |_| {});

        // The socket takes the last descriptor, and there is none for the certificates.
        let undo = leave_descriptors(1);
        let error = client.ping(soon()).unwrap_err();
        undo();
        assert_eq!(error.code(), Code::Tls, "{error}");
        assert!(error.message().contains("Too many open files"), "{error}");
        assert!(!error.message().contains("the system has none"), "{error}");

        let kept = std::fs::read(&file.0).unwrap();
        std::fs::remove_file(&file.0).unwrap();
        let error = client.ping(soon()).unwrap_err();
        assert!(error.message().contains("No such file"), "{error}");
        std::fs::write(&file.0, kept).unwrap();

        // The first two connections are gone.
        let server = serving_on(listener, vec![config; 3]);
        client.ping(soon()).unwrap();
        drop(client);
        assert_eq!(server.join().unwrap(), [false, false, true]);
    });
}

/// Where the child of the test below finds its server.
const PRIVILEGED: &str = "PHANTOMDB_TEST_PRIVILEGED";

#[test]
fn a_program_with_rights_of_its_own_does_not_believe_its_environment() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    use std::os::unix::process::CommandExt;
    let name = "a_program_with_rights_of_its_own_does_not_believe_its_environment";
    if let Ok(url) = std::env::var(PRIVILEGED) {
        let said = match client(&url, |_| {}).ping(soon()) {
            Ok(_) => "it is trusted".to_owned(),
            Err(error) => error.to_string(),
        };
        let owner = std::fs::metadata("/proc/self").unwrap().uid();
        println!("<{said}> as {owner}");
        return;
    }
    if std::fs::metadata("/proc/self").unwrap().uid() != 0 {
        eprintln!("only root can make a program that is set-uid for another user");
        return;
    }
    let authority = Authority::new();
    let config = server_config(&authority.sign("localhost", |_| {}), None);
    let file = TempFile::new(&authority.certificate.pem());
    std::fs::set_permissions(&file.0, PermissionsExt::from_mode(0o644)).unwrap();
    let program = TempFile::new("");
    std::fs::copy(std::env::current_exe().unwrap(), &program.0).unwrap();
    let (url, server) = serving(vec![config.clone(), config]);
    let run = |mode: u32| {
        std::fs::set_permissions(&program.0, PermissionsExt::from_mode(mode)).unwrap();
        let output = std::process::Command::new(&program.0)
            .args([name, "--exact", "--nocapture", "--test-threads", "1"])
            .env(PRIVILEGED, &url)
            .env("SSL_CERT_FILE", &file.0)
            .current_dir("/")
            .uid(65_534)
            .gid(65_534)
            .output()
            .unwrap();
        [output.stdout, output.stderr].map(|it| String::from_utf8_lossy(&it).into_owned()).concat()
    };
    let own = run(0o755);
    assert!(own.contains("<it is trusted> as 65534"), "{own}");
    let privileged = run(0o4755);
    if privileged.contains("as 65534") {
        eprintln!("programs can't be set-uid here");
        drop(TcpStream::connect(url.trim_start_matches("https://")));
        return;
    }
    assert!(!privileged.contains("it is trusted"), "{privileged}");
    assert!(privileged.contains("certificate"), "{privileged}");
    assert_eq!(server.join().unwrap(), [true, false]);
}

#[test]
fn a_stale_session_is_noticed_and_replaced() {
    let authority = Authority::new();
    let pair = authority.sign("localhost", |_| {});
    let config = server_config(&pair, None);
    let again = config.clone();
    let (closed, is_closed) = mpsc::channel();
    let server = TlsServer::start("localhost", config, move |mut stream, listener| {
        serve(&mut stream).unwrap();
        stream.conn.send_close_notify();
        stream.flush().unwrap();
        drop(stream);
        closed.send(()).unwrap();
        serve(&mut accept(listener, again)).unwrap();
    });
    let (mut client, _file) = trusting(&server.url, &authority);
    client.ping(soon()).unwrap();
    is_closed.recv().unwrap();
    let end = soon();
    while client.probe() && !is_done_with(&client) {
        assert!(Instant::now() < end);
        thread::yield_now();
    }
    client.request(&Request::list_databases(), soon()).unwrap();
    server.join();
}

#[test]
fn notes_between_the_tls_layers_do_not_end_an_idle_session() {
    let authority = Authority::new();
    let pair = authority.sign("localhost", |_| {});
    let (responded, has_response) = mpsc::channel();
    let (noted, is_noted) = mpsc::channel();
    let server = TlsServer::start("localhost", server_config(&pair, None), move |mut stream, _| {
        serve(&mut stream).unwrap();
        has_response.recv().unwrap();
        stream.conn.refresh_traffic_keys().unwrap();
        stream.flush().unwrap();
        noted.send(()).unwrap();
        serve(&mut stream).unwrap();
    });
    let (mut client, _file) = trusting(&server.url, &authority);
    client.ping(soon()).unwrap();
    let opened = client.opened_at().unwrap();
    responded.send(()).unwrap();
    is_noted.recv().unwrap();
    assert!(client.probe(), "new keys are no reason to close");
    client.request(&Request::list_databases(), soon()).unwrap();
    assert_eq!(client.opened_at(), Some(opened));
    server.join();
}

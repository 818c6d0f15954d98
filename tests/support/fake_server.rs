//! A scripted server on raw TCP, and a client for it.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use phantomdb::internal::{Connection, DialLimiter, DialPermit, Endpoint, SocketHandle};
use phantomdb::{Error, Options, Result};

/// Longer than anything in these tests takes, so that a hang fails instead of passing late.
pub const WAIT_LIMIT: Duration = Duration::from_secs(10);

/// A deadline that no test should meet.
pub fn soon() -> Instant {
    Instant::now() + WAIT_LIMIT
}

/// A server whose one thread does what a script says.
pub struct FakeServer {
    address: SocketAddr,
    script: Option<JoinHandle<()>>,
}

impl FakeServer {
    /// Listens on a free port and runs the script.
    pub fn start(script: impl FnOnce(&TcpListener) + Send + 'static) -> FakeServer {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("its address");
        let script = Some(thread::spawn(move || script(&listener)));
        FakeServer { address, script }
    }

    /// Serves one connection with these responses, one for each request, and gives the requests.
    pub fn responding(responses: &[&str]) -> (FakeServer, Arc<Mutex<Vec<String>>>) {
        let responses: Vec<String> =
            responses.iter().map(|response| (*response).to_owned()).collect();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let requests = Arc::clone(&seen);
        let server = FakeServer::start(move |listener| {
            let mut peer = Peer::accept(listener);
            for response in responses {
                let request = peer.request();
                requests.lock().unwrap().push(request);
                peer.send(response.as_bytes());
            }
            peer.expect_end();
        });
        (server, seen)
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A client of it with the default options.
    pub fn client(&self) -> Connection {
        self.client_with(|_| {})
    }

    /// A client of it with other options.
    pub fn client_with(&self, change: impl FnOnce(&mut Options)) -> Connection {
        client(&self.url(), change)
    }

    /// Waits for the end of the script, and fails if that failed.
    pub fn join(mut self) {
        if let Some(script) = self.script.take() {
            script.join().expect("the script runs to its end");
        }
    }
}

/// A client of any URL.
pub fn client(url: &str, change: impl FnOnce(&mut Options)) -> Connection {
    let mut options = Options { base_url: url.to_owned(), ..Options::default() };
    change(&mut options);
    let endpoint = Endpoint::new(&options).expect("the options are good");
    Connection::new(Arc::new(endpoint), Arc::new(NoLimit::default()))
}

/// Permits every dial, and counts.
#[derive(Default)]
pub struct NoLimit {
    /// How many dials were permitted.
    pub permits: AtomicU32,
    /// How each ended.
    pub outcomes: Arc<Mutex<Vec<std::result::Result<(), Error>>>>,
}

impl DialLimiter for NoLimit {
    fn permit(&self, _: Instant, _: &SocketHandle) -> Result<Option<DialPermit>> {
        self.permits.fetch_add(1, Ordering::SeqCst);
        let outcomes = self.outcomes.clone();
        Ok(Some(DialPermit::new(move |outcome| {
            outcomes.lock().unwrap().push(outcome.map_err(Clone::clone));
        })))
    }

    fn wake(&self) {}
}

/// Whether no later request will use the socket of the last one.
pub fn is_done_with(client: &Connection) -> bool {
    !client.is_open() || !client.is_reusable()
}

/// One accepted connection.
pub struct Peer(pub TcpStream);

impl Peer {
    /// Waits for a connection.
    pub fn accept(listener: &TcpListener) -> Peer {
        let (stream, _) = listener.accept().expect("a connection");
        stream.set_read_timeout(Some(WAIT_LIMIT)).expect("a time-out");
        stream.set_write_timeout(Some(WAIT_LIMIT)).expect("a time-out");
        stream.set_nodelay(true).expect("no delay");
        Peer(stream)
    }

    /// Reads one whole request, head and body, as text.
    pub fn request(&mut self) -> String {
        let mut text = Vec::new();
        let mut byte = [0];
        while !text.ends_with(b"\r\n\r\n") {
            let count = self.0.read(&mut byte).expect("a request");
            assert_eq!(count, 1, "the client hung up after {:?}", String::from_utf8_lossy(&text));
            text.push(byte[0]);
        }
        let head = String::from_utf8(text.clone()).expect("a head in ASCII").to_ascii_lowercase();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .map_or(0, |length| length.parse().expect("a number"));
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).expect("the whole body");
        text.extend(body);
        String::from_utf8(text).expect("a body in UTF-8")
    }

    /// Sends bytes.
    pub fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).expect("the client takes the response");
    }

    /// Reads a request and responds with a 200 and this JSON.
    pub fn serve(&mut self, json: &str) -> String {
        let request = self.request();
        self.send(ok(json).as_bytes());
        request
    }

    /// Waits until the client closes, having sent nothing more.
    pub fn expect_end(&mut self) {
        let mut rest = Vec::new();
        match self.0.read_to_end(&mut rest) {
            Ok(_) => assert_eq!(String::from_utf8_lossy(&rest), "", "unexpected bytes"),
            // Closed with something of ours unread.
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
        }
    }

    /// Closes so that the client gets a reset.
    pub fn reset(self) {
        // Unread bytes at close make Linux send a reset.
        let mut byte = [0];
        let _ = self.0.peek(&mut byte);
        drop(self);
    }

    /// Says that nothing more comes.
    pub fn finish(&self) {
        self.0.shutdown(Shutdown::Write).expect("it is open");
    }
}

/// A 200 with this body.
pub fn ok(json: &str) -> String {
    response("200 OK", json)
}

/// A response with this status and body.
pub fn response(status: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}

/// Fails if a connection waits to be accepted.
pub fn assert_nobody_waits(listener: &TcpListener) {
    listener.set_nonblocking(true).expect("it can");
    assert!(listener.accept().is_err(), "the client connected again");
}

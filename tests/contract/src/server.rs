//! A server that does what a scenario says: responds by rules, holds responses back, cuts, goes away.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use crate::agent::WAIT_LIMIT;
use crate::json::Json;
use crate::port;

/// The members that a rule may have; README.md explains them.
pub const RULE: [&str; 12] = [
    "method", "path", "times", "status", "reason", "json", "body", "headers", "hold", "raw",
    "bytes", "then",
];

/// Between two looks at what tells nobody when it changes.
const PAUSE: Duration = Duration::from_millis(2);

/// Permits of a hold that lets all pass from now on.
const OPEN: usize = usize::MAX;

/// A scripted server on a port of its own.
pub struct Server {
    shared: Arc<Shared>,
    address: SocketAddr,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    rules: Vec<Rule>,
    streams: HashMap<u64, TcpStream>,
    is_listening: bool,
    /// Raised when the listener is to go.
    epoch: u64,
    accepted: usize,
    peak: usize,
    held: BTreeMap<String, usize>,
    permits: BTreeMap<String, usize>,
    log: Vec<Json>,
}

struct Rule {
    spec: Json,
    left: Option<u64>,
}

struct Request {
    method: String,
    path: String,
    headers: BTreeMap<String, Json>,
}

impl Server {
    /// Listens on a port that nobody else takes, also not while the server is down.
    pub fn start() -> Server {
        let listener = port::listener();
        let address = listener.local_addr().expect("it listens");
        let shared =
            Arc::new(Shared { state: Mutex::new(State::default()), changed: Condvar::new() });
        let server = Server { shared, address };
        server.accept_with(listener);
        server
    }

    /// Where it listens, or did.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Listens again.
    pub fn restart(&self) {
        let listener = eventually(|| TcpListener::bind(self.address).ok());
        self.accept_with(listener);
    }

    /// Does not listen any more; connections stay.
    pub fn refuse(&self) {
        let mut state = self.shared.lock();
        if !state.is_listening {
            return;
        }
        state.epoch += 1;
        drop(state);
        // What wakes the acceptor.
        let _ = TcpStream::connect(self.address);
        self.shared.wait(|state| !state.is_listening);
        eventually(|| TcpStream::connect(self.address).is_err().then_some(()));
    }

    /// Closes every connection.
    pub fn cut(&self) {
        let state = self.shared.lock();
        let last = state.accepted as u64;
        for stream in state.streams.values() {
            let _ = stream.shutdown(Shutdown::Both);
        }
        drop(state);
        self.shared.wait(|state| state.streams.keys().all(|number| *number > last));
    }

    /// From now on responds by this rule, which comes before all older ones.
    pub fn respond(&self, rule: Json) {
        let left = rule.get("times").and_then(Json::number).map(|times| times as u64);
        self.shared.lock().rules.push(Rule { spec: rule, left });
    }

    /// Sends this many of the responses that are held back under this name; all, now and later, if `None`.
    pub fn release(&self, name: &str, count: Option<usize>) {
        let mut state = self.shared.lock();
        let permits = state.permits.entry(name.to_owned()).or_default();
        *permits = count.map_or(OPEN, |count| permits.saturating_add(count));
        drop(state);
        self.shared.changed.notify_all();
    }

    /// What it has seen.
    pub fn figures(&self) -> Json {
        let state = self.shared.lock();
        Json::object([
            ("open", state.streams.len().into()),
            ("peak", state.peak.into()),
            ("accepted", state.accepted.into()),
            ("requests", state.log.len().into()),
            ("held", state.held.values().sum::<usize>().into()),
            ("log", state.log.clone().into()),
        ])
    }

    fn accept_with(&self, listener: TcpListener) {
        let shared = self.shared.clone();
        let mut state = self.shared.lock();
        state.is_listening = true;
        let epoch = state.epoch;
        drop(state);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut state = shared.lock();
                if state.epoch != epoch {
                    break;
                }
                // Gone already, if this fails.
                let Ok(stream) = stream else { continue };
                let Ok(kept) = stream.try_clone() else { continue };
                state.accepted += 1;
                let number = state.accepted as u64;
                state.streams.insert(number, kept);
                state.peak = state.peak.max(state.streams.len());
                drop(state);
                let shared = shared.clone();
                thread::spawn(move || {
                    // An error is the client's going away.
                    let _ = shared.serve(number as usize, &stream);
                    // Before the close, so that who has seen that finds the count right.
                    shared.lock().streams.remove(&number);
                    shared.changed.notify_all();
                });
            }
            drop(listener);
            shared.lock().is_listening = false;
            shared.changed.notify_all();
        });
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.refuse();
        self.cut();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics with it")
    }

    fn wait(&self, is_so: impl Fn(&State) -> bool) {
        drop(self.changed.wait_while(self.lock(), |state| !is_so(state)));
    }

    fn serve(&self, number: usize, stream: &TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        loop {
            let request = read_head(stream)?;
            let rule = self.spec_for(&request);
            let text = |name| rule.get(name).and_then(Json::text);
            if text("then") == Some("reset") && text("raw").is_none() {
                // With a byte unread, which makes the close a reset.
                self.note(number, &request, String::new());
                return Ok(());
            }
            let body = read_rest(stream, &request)?;
            self.note(number, &request, body);
            if let Some(name) = text("hold") {
                self.hold(name, stream)?;
            }
            let mut stream = stream;
            match (text("raw"), text("bytes")) {
                (Some(raw), _) => stream.write_all(raw.as_bytes())?,
                // Each character is a byte.
                (None, Some(bytes)) => {
                    let bytes: Vec<u8> = bytes.chars().map(|it| u32::from(it) as u8).collect();
                    stream.write_all(&bytes)?;
                }
                (None, None) => stream.write_all(&response(&rule))?,
            }
            if text("then") == Some("close") {
                return Ok(());
            }
        }
    }

    fn spec_for(&self, request: &Request) -> Json {
        let mut state = self.lock();
        let rule = state.rules.iter_mut().rev().find(|rule| {
            rule.left != Some(0)
                && is(rule.spec.get("method"), &request.method)
                && is(rule.spec.get("path"), &request.path)
        });
        match rule {
            Some(rule) => {
                rule.left = rule.left.map(|left| left - 1);
                rule.spec.clone()
            }
            None => Json::object([("json", default_response(request))]),
        }
    }

    fn note(&self, number: usize, request: &Request, body: String) {
        let body = if body.is_empty() { Json::Null } else { body.into() };
        self.lock().log.push(Json::object([
            ("connection", number.into()),
            ("method", request.method.as_str().into()),
            ("path", request.path.as_str().into()),
            ("headers", Json::Object(request.headers.clone())),
            ("body", body),
        ]));
        self.changed.notify_all();
    }

    /// Waits until it may respond; an error if the client is gone before.
    fn hold(&self, name: &str, stream: &TcpStream) -> io::Result<()> {
        let mut state = self.lock();
        *state.held.entry(name.to_owned()).or_default() += 1;
        self.changed.notify_all();
        let outcome = loop {
            let permits = state.permits.entry(name.to_owned()).or_default();
            if *permits > 0 {
                *permits -= usize::from(*permits != OPEN);
                break Ok(());
            }
            if let Err(error) = still_there(stream) {
                break Err(error);
            }
            state = self.changed.wait_timeout(state, PAUSE).expect("nobody panics with it").0;
        };
        *state.held.get_mut(name).expect("it was counted") -= 1;
        self.changed.notify_all();
        outcome
    }
}

/// What the attempt gives in the end. A process that is just being started holds copies of all
/// sockets for a moment, so that a listener may outlive its close.
fn eventually<T>(attempt: impl Fn() -> Option<T>) -> T {
    let wait_limit = Instant::now() + WAIT_LIMIT;
    loop {
        if let Some(value) = attempt() {
            return value;
        }
        assert!(Instant::now() < wait_limit, "another program has the port");
        thread::sleep(PAUSE);
    }
}

fn is(wanted: Option<&Json>, actual: &str) -> bool {
    match wanted.and_then(Json::text) {
        None => true,
        Some(wanted) => match wanted.strip_suffix('*') {
            Some(start) => actual.starts_with(start),
            None => actual == wanted,
        },
    }
}

/// The response to a request for which there is no rule.
fn default_response(request: &Request) -> Json {
    let list = |name| Json::object([(name, vec!["alpha".into(), "beta".into()].into())]);
    match (request.method.as_str(), request.path.as_str()) {
        ("GET", "/health") => Json::object([("status", "healthy".into())]),
        ("GET", "/databases") => list("databases"),
        ("POST", "/transactions") => Json::object([("transaction_id", "t-1".into())]),
        _ => Json::object([]),
    }
}

fn response(rule: &Json) -> Vec<u8> {
    let text = |name: &str| rule.get(name).and_then(Json::text);
    let status = rule.get("status").map_or("200".to_owned(), Json::to_string);
    let reason = text("reason").unwrap_or("As Told");
    let body = match (rule.get("json"), text("body")) {
        (Some(json), _) => json.to_string(),
        (None, body) => body.unwrap_or_default().to_owned(),
    };
    let mut head = format!("HTTP/1.1 {status} {reason}\r\nContent-Length: {}\r\n", body.len());
    if let Some(Json::Object(headers)) = rule.get("headers") {
        for (name, value) in headers {
            head += &format!("{name}: {}\r\n", value.text().unwrap_or_default());
        }
    } else {
        head += "Content-Type: application/json\r\n";
    }
    (head + "\r\n" + &body).into_bytes()
}

/// All of a request's head but its last byte.
fn read_head(mut stream: &TcpStream) -> io::Result<Request> {
    let mut text = Vec::new();
    let mut byte = [0];
    while !text.ends_with(b"\r\n\r") {
        stream.read_exact(&mut byte)?;
        text.push(byte[0]);
    }
    let text = String::from_utf8_lossy(&text).into_owned();
    let mut lines = text.lines();
    let mut words = lines.next().unwrap_or_default().split(' ');
    let mut word = || words.next().unwrap_or_default().to_owned();
    let (method, path) = (word(), word());
    let headers = lines
        .filter_map(|line| line.trim_end().split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.into()))
        .collect();
    Ok(Request { method, path, headers })
}

fn read_rest(mut stream: &TcpStream, request: &Request) -> io::Result<String> {
    let length = request.headers.get("content-length").and_then(Json::text);
    let length: usize = length.map_or(0, |text| text.parse().unwrap_or(0));
    let mut rest = vec![0; 1 + length];
    stream.read_exact(&mut rest)?;
    Ok(String::from_utf8_lossy(&rest[1..]).into_owned())
}

fn still_there(stream: &TcpStream) -> io::Result<()> {
    stream.set_nonblocking(true)?;
    let seen = stream.peek(&mut [0]);
    stream.set_nonblocking(false)?;
    match seen {
        Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
        Err(error) => Err(error),
    }
}

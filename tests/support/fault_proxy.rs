//! A relay between a pool and its server that does to connections what networks do to them.
//!
//! Each connection has one thread, so that a reset is one close with nobody else at the socket.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::port;

/// Longer than anything in these tests takes.
const WAIT_LIMIT: Duration = Duration::from_secs(20);

/// What becomes of the connections that are accepted from now on.
#[derive(Clone, Copy, Debug)]
pub enum Mode {
    /// They reach the server.
    Pass,
    /// What the server sends comes late: its first bytes on a connection, and all later ones.
    Late { first: Duration, later: Duration },
    /// They are accepted, and whatever comes is swallowed.
    Silent,
    /// They are accepted and reset at once.
    HangUp,
    /// Nobody listens.
    Refuse,
    /// They are ended after so many bytes of responses.
    CutAfter { bytes: u64, end: End },
    /// They are ended somewhere in their first so many bytes of requests and responses.
    CutWithin { bytes: u64 },
}

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// In the regular way.
    Close,
    /// With a reset.
    Reset,
}

/// What the proxy has seen, as a server in its place would.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// Connections that are open.
    pub open: usize,
    /// The most that were open at once.
    pub peak: usize,
    /// Connections accepted.
    pub dials: usize,
    /// Of them, those since the last change of the mode.
    pub dials_in_mode: usize,
    /// Bytes received from the pool.
    pub received: u64,
    /// Connections that the proxy cut.
    pub cuts: usize,
}

/// A proxy, which ends with its threads when it is dropped.
pub struct FaultProxy {
    shared: Arc<Shared>,
    address: SocketAddr,
    acceptor: Option<JoinHandle<()>>,
    /// Its end tells the acceptor to look at the state.
    poke: UnixStream,
}

/// The state of a socket in /proc/net/tcp whose peer has not closed.
const ESTABLISHED: &str = "01";

struct Shared {
    server: SocketAddr,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    mode: Mode,
    is_in_force: bool,
    is_ending: bool,
    chance: fastrand::Rng,
    counts: Counts,
    relays: Vec<Handle>,
}

/// What the proxy keeps of a connection.
struct Handle {
    thread: JoinHandle<()>,
    client: Option<SocketAddr>,
    orders: Arc<Orders>,
    /// Written to after a change of the orders; closed to end the connection.
    poke: UnixStream,
}

#[derive(Default)]
struct Orders {
    close: AtomicBool,
    reset: AtomicBool,
    freeze: AtomicBool,
}

impl FaultProxy {
    /// Listens on a free port for the server on `port` of this machine.
    pub fn before(port: u16) -> FaultProxy {
        FaultProxy::with_seed(port, 0)
    }

    /// The same, with the seed of its random faults.
    pub fn with_seed(server: u16, seed: u64) -> FaultProxy {
        let listener = port::listener();
        let address = listener.local_addr().expect("it listens");
        let shared = Arc::new(Shared {
            server: (Ipv4Addr::LOCALHOST, server).into(),
            state: Mutex::new(State {
                mode: Mode::Pass,
                is_in_force: true,
                is_ending: false,
                chance: fastrand::Rng::with_seed(seed),
                counts: Counts::default(),
                relays: Vec::new(),
            }),
            changed: Condvar::new(),
        });
        let (poke, poked) = UnixStream::pair().expect("a pair of sockets");
        let acceptor = {
            let shared = shared.clone();
            thread::spawn(move || accept(&shared, listener, address, poked))
        };
        FaultProxy { shared, address, acceptor: Some(acceptor), poke }
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// `https://localhost:PORT`.
    pub fn tls_url(&self) -> String {
        format!("https://localhost:{}", self.address.port())
    }

    /// Changes what becomes of connections, and returns when that holds.
    pub fn set(&self, mode: Mode) {
        let mut state = self.shared.lock();
        state.mode = mode;
        state.is_in_force = false;
        state.counts.dials_in_mode = 0;
        drop(state);
        self.wake();
        self.shared.wait("the mode is in force", |state| state.is_in_force);
    }

    /// Resets every connection that is open, and returns when that is done.
    pub fn reset_all(&self) {
        self.end_all(|orders| &orders.reset);
    }

    /// Closes every connection that is open, and returns when that is done.
    pub fn close_all(&self) {
        self.end_all(|orders| &orders.close);
    }

    fn end_all(&self, order: impl Fn(&Orders) -> &AtomicBool) {
        let relays = std::mem::take(&mut self.shared.lock().relays);
        for relay in &relays {
            order(&relay.orders).store(true, Ordering::SeqCst);
            relay.poke();
        }
        for Handle { thread, client, .. } in relays {
            thread.join().expect("a relay does not panic");
            if let Some(client) = client {
                self.wait_until_told(client);
            }
        }
    }

    /// Waits until the client's socket knows that its connection has ended: on a busy machine the
    /// kernel delivers that a moment after the close.
    fn wait_until_told(&self, client: SocketAddr) {
        let is_open = || {
            let sockets = std::fs::read_to_string("/proc/thread-self/net/tcp").expect("Linux");
            sockets.lines().any(|line| {
                let mut words = line.split_whitespace().skip(1);
                words.next() == Some(&in_hex(client))
                    && words.next() == Some(&in_hex(self.address))
                    && words.next() == Some(ESTABLISHED)
            })
        };
        let end = Instant::now() + WAIT_LIMIT;
        while is_open() {
            assert!(Instant::now() < end, "{client} never heard of the end of its connection");
            thread::yield_now();
        }
    }

    /// The server's side of every open connection is gone, and the pool hears nothing of that.
    pub fn freeze_all(&self) {
        for relay in &self.shared.lock().relays {
            relay.orders.freeze.store(true, Ordering::SeqCst);
            relay.poke();
        }
    }

    /// What it has seen until now.
    pub fn counts(&self) -> Counts {
        self.shared.lock().counts
    }

    /// Waits until it has seen what is expected.
    pub fn wait(&self, what: &str, is_so: impl Fn(&Counts) -> bool) {
        self.shared.wait(what, |state| is_so(&state.counts));
    }

    fn wake(&self) {
        (&self.poke).write_all(&[0]).expect("the acceptor runs");
    }
}

impl Handle {
    fn poke(&self) {
        // One that has ended hears nothing.
        let _ = (&self.poke).write(&[0]);
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.shared.lock().is_ending = true;
        self.wake();
        if let Some(acceptor) = self.acceptor.take() {
            acceptor.join().expect("the acceptor does not panic");
        }
        let relays = std::mem::take(&mut self.shared.lock().relays);
        for Handle { thread, poke, .. } in relays {
            drop(poke);
            thread.join().expect("a relay does not panic");
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics with it")
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }

    fn wait(&self, what: &str, is_so: impl Fn(&State) -> bool) {
        let (state, timeout) = self
            .changed
            .wait_timeout_while(self.lock(), WAIT_LIMIT, |state| !is_so(state))
            .expect("nobody panics with it");
        assert!(!timeout.timed_out(), "never came to pass: {what}; {:?}", state.counts);
    }
}

fn accept(shared: &Arc<Shared>, listener: TcpListener, address: SocketAddr, mut poked: UnixStream) {
    let mut listener = Some(listener);
    loop {
        let mut state = shared.lock();
        if state.is_ending {
            return;
        }
        if matches!(state.mode, Mode::Refuse) {
            listener = None;
        } else if listener.is_none() {
            listener = Some(TcpListener::bind(address).expect("the port is still free"));
        }
        state.is_in_force = true;
        drop(state);
        shared.changed.notify_all();

        let incoming = listener.as_ref().map_or(-1, AsRawFd::as_raw_fd);
        let [is_poked, has_come] = wait_for([poked.as_raw_fd(), incoming], None);
        if is_poked {
            let _ = poked.read(&mut [0; 64]).expect("the proxy lives");
        } else if let (true, Some(listener)) = (has_come, &listener) {
            // Gone already, if this fails.
            if let Ok((client, _)) = listener.accept() {
                begin(shared, client);
            }
        }
    }
}

fn begin(shared: &Arc<Shared>, client: TcpStream) {
    let (poke, poked) = UnixStream::pair().expect("a pair of sockets");
    let orders = Arc::new(Orders::default());
    let mut state = shared.lock();
    state.counts.open += 1;
    state.counts.peak = state.counts.peak.max(state.counts.open);
    state.counts.dials += 1;
    state.counts.dials_in_mode += 1;
    let mode = state.mode;
    let address = client.peer_addr().ok();
    let luck = (state.chance.f64(), state.chance.bool());
    let thread = {
        let (shared, orders) = (shared.clone(), orders.clone());
        thread::spawn(move || {
            let end = Relay::new(&shared, &client, &orders, poked, mode, luck).run();
            // Before the pool can learn of the end and replace the connection.
            shared.change(|state| state.counts.open -= 1);
            if end == End::Reset {
                reset_at_close(&client);
            }
        })
    };
    state.relays.retain(|relay| !relay.thread.is_finished());
    state.relays.push(Handle { thread, client: address, orders, poke });
    drop(state);
    shared.changed.notify_all();
}

struct Relay<'a> {
    shared: &'a Shared,
    client: &'a TcpStream,
    /// Gone if the connection is silent.
    server: Option<TcpStream>,
    orders: &'a Orders,
    poked: UnixStream,
    mode: Mode,
    /// How many bytes it still carries, and how it ends then.
    left: Option<(u64, End)>,
    has_responded: bool,
    client_is_done: bool,
}

impl<'a> Relay<'a> {
    fn new(
        shared: &'a Shared,
        client: &'a TcpStream,
        orders: &'a Orders,
        poked: UnixStream,
        mode: Mode,
        luck: (f64, bool),
    ) -> Relay<'a> {
        let left = match mode {
            Mode::CutAfter { bytes, end } => Some((bytes, end)),
            Mode::CutWithin { bytes } => {
                let end = if luck.1 { End::Close } else { End::Reset };
                Some(((bytes as f64 * luck.0) as u64, end))
            }
            _ => None,
        };
        Relay {
            shared,
            client,
            server: None,
            orders,
            poked,
            mode,
            left,
            has_responded: false,
            client_is_done: false,
        }
    }

    fn run(mut self) -> End {
        match self.mode {
            Mode::HangUp | Mode::Refuse => return End::Reset,
            Mode::Silent => {}
            _ => match TcpStream::connect(self.shared.server) {
                Ok(server) => {
                    let _ = (server.set_nodelay(true), self.client.set_nodelay(true));
                    self.server = Some(server);
                }
                Err(_) => return End::Reset,
            },
        }
        loop {
            let client = if self.client_is_done { -1 } else { self.client.as_raw_fd() };
            let server = self.server.as_ref().map_or(-1, AsRawFd::as_raw_fd);
            let [is_poked, asks, responses] =
                wait_for([self.poked.as_raw_fd(), client, server], None);
            let end = if is_poked {
                self.obey()
            } else if asks {
                self.ask()
            } else if responses {
                self.response()
            } else {
                None
            };
            if let Some(end) = end {
                return end;
            }
        }
    }

    fn obey(&mut self) -> Option<End> {
        let goes_on = matches!(self.poked.read(&mut [0; 8]), Ok(1..));
        if !goes_on || self.orders.close.load(Ordering::SeqCst) {
            return Some(End::Close);
        }
        if self.orders.reset.load(Ordering::SeqCst) {
            return Some(End::Reset);
        }
        if self.orders.freeze.load(Ordering::SeqCst) {
            self.server = None;
        }
        None
    }

    fn ask(&mut self) -> Option<End> {
        let mut buffer = [0; 16 * 1024];
        let count = match (&mut self.client).read(&mut buffer) {
            Err(_) => return Some(End::Close),
            Ok(0) => {
                self.client_is_done = true;
                // Without a server nobody else ends it.
                let Some(server) = &self.server else { return Some(End::Close) };
                return server.shutdown(Shutdown::Write).is_err().then_some(End::Close);
            }
            Ok(count) => count,
        };
        self.shared.change(|state| state.counts.received += count as u64);
        let (bytes, end) = match self.mode {
            Mode::CutWithin { .. } => self.allow(&buffer[..count]),
            _ => (&buffer[..count], None),
        };
        match self.server.as_mut().map(|server| server.write_all(bytes)) {
            Some(Err(_)) => Some(End::Reset),
            _ => end,
        }
    }

    fn response(&mut self) -> Option<End> {
        let mut buffer = [0; 16 * 1024];
        let count = match self.server.as_mut()?.read(&mut buffer) {
            // The server is killed with something unread.
            Err(_) => return Some(End::Reset),
            Ok(0) => return Some(End::Close),
            Ok(count) => count,
        };
        let was_first = !std::mem::replace(&mut self.has_responded, true);
        if let Mode::Late { first, later } = self.mode {
            let delay = if was_first { first } else { later };
            if wait_for([self.poked.as_raw_fd()], Some(delay)) == [true] {
                if let Some(end) = self.obey() {
                    return Some(end);
                }
            }
        }
        let (bytes, end) = self.allow(&buffer[..count]);
        if self.client.write_all(bytes).is_err() {
            return Some(End::Close);
        }
        end
    }

    /// As many of these bytes as may pass, and what comes after them.
    fn allow<'b>(&mut self, bytes: &'b [u8]) -> (&'b [u8], Option<End>) {
        let Some((left, end)) = &mut self.left else { return (bytes, None) };
        if *left >= bytes.len() as u64 {
            *left -= bytes.len() as u64;
            return (bytes, None);
        }
        self.shared.change(|state| state.counts.cuts += 1);
        (&bytes[..*left as usize], Some(*end))
    }
}

/// Which of these are readable, or at their end; `-1` never is.
fn wait_for<const N: usize>(fds: [RawFd; N], timeout: Option<Duration>) -> [bool; N] {
    let mut entries = fds.map(|fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 });
    let millis = timeout.map_or(-1, |timeout| timeout.as_millis() as libc::c_int);
    // SAFETY: the pointer and the length describe `entries`, which outlives the call.
    unsafe { libc::poll(entries.as_mut_ptr(), N as libc::nfds_t, millis) };
    entries.map(|entry| entry.revents != 0)
}

/// As /proc/net/tcp has it.
fn in_hex(address: SocketAddr) -> String {
    let IpAddr::V4(ip) = address.ip() else { return String::new() };
    format!("{:08X}:{:04X}", u32::from_ne_bytes(ip.octets()), address.port())
}

fn reset_at_close(stream: &TcpStream) {
    let at_once = libc::linger { l_onoff: 1, l_linger: 0 };
    // SAFETY: the pointer and the length describe `at_once`, which outlives the call.
    unsafe {
        libc::setsockopt(
            stream.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_LINGER,
            (&raw const at_once).cast(),
            size_of_val(&at_once) as libc::socklen_t,
        )
    };
}

//! A TCP socket whose every wait ends at an absolute deadline.
//!
//! A request on a kept connection costs one `send` and one `recv` here, and one `recv` for the
//! probe before it. std's sockets can't connect in a way that another thread can cut, look at a
//! socket without waiting, or send without the risk of SIGPIPE on every platform: hence libc.
#![allow(unsafe_code)]

use std::collections::BTreeSet;
use std::fmt;
use std::io::{self, Read};
use std::mem;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::client::watch::OnClose;
use crate::os::fork;
use crate::os::locks::Mutex;

/// The last stretch before a deadline is waited for with `poll`, which is exact to a millisecond;
/// SO_RCVTIMEO is rounded up to the kernel's ticks (up to 10 ms).
const EXACT: Duration = Duration::from_millis(25);

/// After how long without traffic the kernel asks whether the peer is still there, in seconds.
const KEEPALIVE_IDLE: libc::c_int = 60;
/// How long it waits for each response, in seconds.
const KEEPALIVE_INTERVAL: libc::c_int = 15;

/// What a look at an idle socket finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::client) enum Peek {
    /// Nothing: it is open and silent.
    Quiet,
    /// Bytes that nobody asked for.
    Bytes,
    /// The peer closed it, or it is broken.
    Gone,
}

/// The descriptors of all sockets of this process, so that a forked child can close its copies:
/// as long as it has them, the server does not learn of a close in the parent.
static OPEN: Mutex<BTreeSet<RawFd>> = Mutex::new(BTreeSet::new());

/// A TCP socket. Shared with whoever may cut it; only its owner reads and writes.
#[derive(Debug)]
pub(in crate::client) struct Socket {
    /// There until the drop.
    stream: Option<TcpStream>,
    generation: u64,
    /// No other socket of this process ever has it.
    pub(in crate::client) number: usize,
    /// The number of the poller that watches it.
    pub(in crate::client) watched_by: AtomicU64,
    /// Whether the program was given the descriptor, and may have a duplicate.
    is_lent: AtomicBool,
    closed: Notices,
}

/// Who is told when a socket is closed.
#[derive(Default)]
struct Notices(Mutex<Vec<OnClose>>);

impl fmt::Debug for Notices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notices").finish_non_exhaustive()
    }
}

static LAST_SOCKET: AtomicUsize = AtomicUsize::new(0);

fn hold_open_sockets() -> Box<dyn FnOnce(fork::Side)> {
    let mut open = OPEN.lock();
    Box::new(move |side| {
        if side == fork::Side::Child {
            for fd in mem::take(&mut *open) {
                // SAFETY: the descriptor is this process's copy of an open one. The `Socket` that
                // it belongs to is of the parent's generation and does not close it again.
                unsafe { libc::close(fd) };
            }
        }
    })
}

impl Drop for Socket {
    fn drop(&mut self) {
        let mut open = OPEN.lock();
        let Some(stream) = self.stream.take() else { return };
        if self.generation != fork::generation() {
            // Closed at the fork; by now the number may be another file's. The program's
            // duplicates are its own, and so is whoever watches them: the parent.
            let _ = stream.into_raw_fd();
            return;
        }
        open.remove(&stream.as_raw_fd());
        if *self.is_lent.get_mut() {
            // A duplicate would keep the connection open.
            let _ = stream.shutdown(Shutdown::Both);
        }
        drop(stream);
        drop(open);
        let notices = mem::take(&mut *self.closed.0.lock());
        for closed in notices {
            closed(self.number);
        }
    }
}

impl AsRawFd for Socket {
    fn as_raw_fd(&self) -> RawFd {
        self.stream().as_raw_fd()
    }
}

impl Socket {
    /// A socket for this kind of address, not connected yet.
    pub(in crate::client) fn new(address: &SocketAddr) -> io::Result<Socket> {
        let family = if address.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
        let kind = libc::SOCK_STREAM | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
        fork::hold_during_fork(&OPEN, hold_open_sockets);
        // Held, so that no fork comes between making the descriptor and noting it.
        let mut open = OPEN.lock();
        // SAFETY: socket takes plain numbers and returns a new descriptor or -1.
        let fd = check(unsafe { libc::socket(family, kind, 0) })?;
        open.insert(fd);
        // SAFETY: the descriptor is new, open, and owned by nobody else.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(Socket::of(TcpStream::from(fd)))
    }

    fn of(stream: TcpStream) -> Socket {
        Socket {
            stream: Some(stream),
            generation: fork::generation(),
            number: LAST_SOCKET.fetch_add(1, Ordering::Relaxed) + 1,
            watched_by: AtomicU64::new(0),
            is_lent: AtomicBool::new(false),
            closed: Notices::default(),
        }
    }

    /// Takes over one that is connected; for fuzzers.
    #[cfg(fuzzing)]
    pub(in crate::client) fn adopt(stream: TcpStream) -> Socket {
        OPEN.lock().insert(stream.as_raw_fd());
        Socket::of(stream)
    }

    fn stream(&self) -> &TcpStream {
        self.stream.as_ref().expect("the stream is there until the drop")
    }

    /// The descriptor, for the program to watch.
    pub(in crate::client) fn lend(&self) -> RawFd {
        self.is_lent.store(true, Ordering::Relaxed);
        self.as_raw_fd()
    }

    /// A duplicate of the descriptor, for the program to watch and to close. `on_close` is called when
    /// the socket itself is closed, whatever the peer had sent by then.
    pub(in crate::client) fn duplicate(&self, on_close: Option<OnClose>) -> io::Result<OwnedFd> {
        let duplicate = self.stream().try_clone()?;
        self.is_lent.store(true, Ordering::Relaxed);
        self.closed.0.lock().extend(on_close);
        Ok(duplicate.into())
    }

    /// Connects; `TimedOut` if that lasts beyond `until`.
    pub(in crate::client) fn connect(
        &self,
        address: &SocketAddr,
        until: Instant,
    ) -> io::Result<()> {
        match self.start_connecting(address) {
            Ok(()) => {}
            Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => {
                if !self.wait(libc::POLLOUT, until)? {
                    return Err(io::ErrorKind::TimedOut.into());
                }
                if let Some(error) = self.stream().take_error()? {
                    return Err(error);
                }
                // A socket that was shut down while it connected is ready without an error.
                self.stream().peer_addr()?;
            }
            Err(error) => return Err(error),
        }
        self.stream().set_nonblocking(false)?;
        self.stream().set_nodelay(true)?;
        self.set_option(libc::SOL_SOCKET, libc::SO_KEEPALIVE, 1)?;
        #[cfg(target_os = "linux")]
        {
            self.set_option(libc::IPPROTO_TCP, libc::TCP_KEEPIDLE, KEEPALIVE_IDLE)?;
            self.set_option(libc::IPPROTO_TCP, libc::TCP_KEEPINTVL, KEEPALIVE_INTERVAL)?;
        }
        Ok(())
    }

    fn start_connecting(&self, address: &SocketAddr) -> io::Result<()> {
        let fd = self.stream().as_raw_fd();
        let result = match address {
            SocketAddr::V4(v4) => {
                // SAFETY: all zeros is a valid sockaddr_in, a struct of plain numbers.
                let mut raw: libc::sockaddr_in = unsafe { std::mem::zeroed() };
                raw.sin_family = libc::AF_INET as libc::sa_family_t;
                raw.sin_port = v4.port().to_be();
                raw.sin_addr.s_addr = u32::from_ne_bytes(v4.ip().octets());
                // SAFETY: the pointer and length describe `raw`, which outlives the call.
                unsafe { libc::connect(fd, (&raw const raw).cast(), socklen(size_of_val(&raw))) }
            }
            SocketAddr::V6(v6) => {
                // SAFETY: all zeros is a valid sockaddr_in6, a struct of plain numbers.
                let mut raw: libc::sockaddr_in6 = unsafe { std::mem::zeroed() };
                raw.sin6_family = libc::AF_INET6 as libc::sa_family_t;
                raw.sin6_port = v6.port().to_be();
                raw.sin6_addr.s6_addr = v6.ip().octets();
                raw.sin6_flowinfo = v6.flowinfo();
                raw.sin6_scope_id = v6.scope_id();
                // SAFETY: the pointer and length describe `raw`, which outlives the call.
                unsafe { libc::connect(fd, (&raw const raw).cast(), socklen(size_of_val(&raw))) }
            }
        };
        check(result).map(drop)
    }

    fn set_option(
        &self,
        level: libc::c_int,
        name: libc::c_int,
        value: libc::c_int,
    ) -> io::Result<()> {
        let length = socklen(size_of::<libc::c_int>());
        // SAFETY: the pointer and length describe `value`, which outlives the call.
        let result = unsafe {
            libc::setsockopt(
                self.stream().as_raw_fd(),
                level,
                name,
                (&raw const value).cast(),
                length,
            )
        };
        check(result).map(drop)
    }

    /// Waits for one of `events` (or an error, or a hang-up); false if `until` comes first.
    fn wait(&self, events: libc::c_short, until: Instant) -> io::Result<bool> {
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let millis = left.as_micros().div_ceil(1000).min(libc::c_int::MAX as u128);
            let mut entry = libc::pollfd { fd: self.stream().as_raw_fd(), events, revents: 0 };
            // SAFETY: the pointer is to one pollfd, which outlives the call.
            match check(unsafe { libc::poll(&raw mut entry, 1, millis as libc::c_int) }) {
                Ok(0) if Instant::now() >= until => return Ok(false),
                Ok(0) => {}
                Ok(_) => return Ok(true),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Receives at least one byte, or 0 at the peer's end; `TimedOut` at `until`.
    ///
    /// `wait_limit` is the receive time-out that is set on the socket (zero: none yet). It is kept
    /// well below what is left, so that it hardly ever needs to be set anew; when it ends early,
    /// the wait goes on.
    pub(in crate::client) fn recv(
        &self,
        buffer: &mut [u8],
        until: Instant,
        wait_limit: &mut Duration,
    ) -> io::Result<usize> {
        loop {
            let left = until.saturating_duration_since(Instant::now());
            // Without this a peer that never pauses would be listened to for ever.
            if left.is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            let received = if left <= EXACT {
                if !self.wait(libc::POLLIN, until)? {
                    return Err(io::ErrorKind::TimedOut.into());
                }
                self.recv_now(buffer, 0)
            } else {
                if wait_limit.is_zero() || *wait_limit > left - EXACT / 2 {
                    *wait_limit = left / 2;
                    self.stream().set_read_timeout(Some(*wait_limit))?;
                }
                let received = (self.stream()).read(buffer);
                if matches!(&received, Err(error) if error.kind() == io::ErrorKind::WouldBlock) {
                    // Ended early: what is left now calls for another patience.
                    *wait_limit = Duration::ZERO;
                }
                received
            };
            match received {
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock
                    ) => {}
                done => return done,
            }
        }
    }

    /// Receives what is there; `WouldBlock` if nothing is.
    pub(in crate::client) fn recv_at_once(&self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.recv_now(buffer, 0) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                done => return done,
            }
        }
    }

    fn recv_now(&self, buffer: &mut [u8], flags: libc::c_int) -> io::Result<usize> {
        // SAFETY: the pointer and length describe `buffer`, which outlives the call.
        let count = unsafe {
            libc::recv(
                self.stream().as_raw_fd(),
                buffer.as_mut_ptr().cast(),
                buffer.len(),
                flags | libc::MSG_DONTWAIT,
            )
        };
        usize::try_from(count).map_err(|_| io::Error::last_os_error())
    }

    /// Looks whether the socket is open and silent: one system call, no waiting.
    pub(in crate::client) fn peek(&self) -> Peek {
        loop {
            match self.recv_now(&mut [0], libc::MSG_PEEK) {
                Ok(0) => return Peek::Gone,
                Ok(_) => return Peek::Bytes,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Peek::Quiet,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Peek::Gone,
            }
        }
    }

    /// Sends what the kernel takes at once; `WouldBlock` if it takes nothing.
    pub(in crate::client) fn send_at_once(&self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
            // SAFETY: the pointer and length describe `bytes`, which outlives the call.
            let count = unsafe {
                libc::send(self.stream().as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), flags)
            };
            match usize::try_from(count).map_err(|_| io::Error::last_os_error()) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                done => return done,
            }
        }
    }

    /// Waits until the kernel takes bytes again, or has some of the peer's; false if `until` comes
    /// first.
    pub(in crate::client) fn wait_for_traffic(&self, until: Instant) -> io::Result<bool> {
        self.wait(libc::POLLOUT | libc::POLLIN, until)
    }

    /// Cuts the socket in both directions: whoever waits for it wakes. Allowed from any thread.
    pub(in crate::client) fn cut(&self) {
        // It fails only if there is nothing to cut any more.
        let _ = self.stream().shutdown(Shutdown::Both);
    }

    /// Says that nothing more will be sent, and waits for the peer's end until `until`; true if it
    /// has come, or the connection is gone.
    pub(in crate::client) fn finish(&self, until: Instant) -> bool {
        if self.stream().shutdown(Shutdown::Write).is_err() {
            return true;
        }
        let mut sink = [0; 4096];
        while let Ok(true) = self.wait(libc::POLLIN, until) {
            match self.recv_at_once(&mut sink) {
                Ok(0) => return true,
                Ok(_) if Instant::now() >= until => return false,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return true,
            }
        }
        false
    }
}

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// The size of one of libc's own structs, all of which are tiny.
fn socklen(size: usize) -> libc::socklen_t {
    size as libc::socklen_t
}

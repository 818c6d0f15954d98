//! What a TCP socket needs of the operating system beyond std.
//!
//! std's sockets can't connect in a way that another thread can cancel, look at a socket without
//! waiting, or send without the risk of SIGPIPE on every platform: hence libc.
#![allow(unsafe_code)]

use std::collections::BTreeSet;
use std::io;
use std::mem;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::time::Instant;

use crate::os::fork;
use crate::os::locks::StaticMutex;

/// The descriptors of all sockets of this process, so that a forked child can close its copies:
/// as long as it has them, the server does not learn of a close in the parent.
static OPEN: StaticMutex<BTreeSet<RawFd>> = StaticMutex::new(BTreeSet::new());

/// What to wait for on a socket.
#[derive(Clone, Copy, Debug)]
pub enum Readiness {
    /// It has bytes of the peer's, or the peer's end.
    Readable,
    /// It takes bytes.
    Writable,
    Either,
}

/// A TCP socket that belongs to one process. A forked child closes its copy of the descriptor at
/// the fork, and never touches the number again.
#[derive(Debug)]
pub struct OsSocket {
    /// There until it is closed.
    stream: Option<TcpStream>,
    generation: u64,
}

fn hold_open_sockets() -> Box<dyn FnOnce(fork::Side)> {
    let mut open = OPEN.lock();
    Box::new(move |side| {
        if side == fork::Side::Child {
            for fd in mem::take(&mut *open) {
                // SAFETY: the descriptor is this process's copy of an open one. The `OsSocket`
                // that it belongs to is of the parent's generation and does not close it again.
                unsafe { libc::close(fd) };
            }
        }
    })
}

impl OsSocket {
    /// A socket for this kind of address, not connected yet, that does not block.
    pub fn new(address: &SocketAddr) -> io::Result<OsSocket> {
        let family = if address.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
        let kind = libc::SOCK_STREAM | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
        fork::hold_during_fork(&OPEN, hold_open_sockets);
        // Held, so that no fork comes between making the descriptor and noting it.
        let mut open = OPEN.lock();
        // SAFETY: socket takes plain numbers, and touches no memory of this process.
        let fd = check(unsafe { libc::socket(family, kind, 0) })?;
        open.insert(fd);
        // SAFETY: socket has just returned the descriptor, so it is open and nothing else owns it.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(OsSocket::of(TcpStream::from(fd)))
    }

    /// Takes over one that is connected; for fuzzers.
    #[cfg(fuzzing)]
    pub fn adopt(stream: TcpStream) -> OsSocket {
        OPEN.lock().insert(stream.as_raw_fd());
        OsSocket::of(stream)
    }

    fn of(stream: TcpStream) -> OsSocket {
        OsSocket { stream: Some(stream), generation: fork::generation() }
    }

    /// The socket as std knows it.
    pub fn stream(&self) -> &TcpStream {
        self.stream.as_ref().expect("the stream is there until the socket is closed")
    }

    fn fd(&self) -> RawFd {
        self.stream().as_raw_fd()
    }

    /// Whether the parent of this forked child made it.
    pub fn is_inherited(&self) -> bool {
        self.generation != fork::generation()
    }

    /// Begins to connect; `EINPROGRESS` if that goes on.
    pub fn connect(&self, address: &SocketAddr) -> io::Result<()> {
        let result = match address {
            SocketAddr::V4(v4) => {
                // SAFETY: a sockaddr_in is made of plain numbers, for which all zeros are valid.
                let mut raw: libc::sockaddr_in = unsafe { mem::zeroed() };
                raw.sin_family = libc::AF_INET as libc::sa_family_t;
                raw.sin_port = v4.port().to_be();
                raw.sin_addr.s_addr = u32::from_ne_bytes(v4.ip().octets());
                let length = socklen(size_of_val(&raw));
                // SAFETY: `raw` lives beyond the call, and `length` is its size.
                unsafe { libc::connect(self.fd(), (&raw const raw).cast(), length) }
            }
            SocketAddr::V6(v6) => {
                // SAFETY: a sockaddr_in6 is made of plain numbers, for which all zeros are valid.
                let mut raw: libc::sockaddr_in6 = unsafe { mem::zeroed() };
                raw.sin6_family = libc::AF_INET6 as libc::sa_family_t;
                raw.sin6_port = v6.port().to_be();
                raw.sin6_addr.s6_addr = v6.ip().octets();
                raw.sin6_flowinfo = v6.flowinfo();
                raw.sin6_scope_id = v6.scope_id();
                let length = socklen(size_of_val(&raw));
                // SAFETY: `raw` lives beyond the call, and `length` is its size.
                unsafe { libc::connect(self.fd(), (&raw const raw).cast(), length) }
            }
        };
        check(result).map(drop)
    }

    /// Has the kernel ask the peer whether it is still there, after `idle` seconds without traffic
    /// and every `interval` seconds from then on.
    pub fn set_keepalive(&self, idle: i32, interval: i32) -> io::Result<()> {
        self.set_option(libc::SOL_SOCKET, libc::SO_KEEPALIVE, 1)?;
        #[cfg(target_os = "linux")]
        {
            self.set_option(libc::IPPROTO_TCP, libc::TCP_KEEPIDLE, idle)?;
            self.set_option(libc::IPPROTO_TCP, libc::TCP_KEEPINTVL, interval)?;
        }
        #[cfg(not(target_os = "linux"))]
        let _ = (idle, interval);
        Ok(())
    }

    fn set_option(&self, level: i32, name: i32, value: libc::c_int) -> io::Result<()> {
        let length = socklen(size_of_val(&value));
        let pointer = (&raw const value).cast();
        // SAFETY: `value` lives beyond the call, and `length` is its size.
        check(unsafe { libc::setsockopt(self.fd(), level, name, pointer, length) }).map(drop)
    }

    /// Waits until the socket is ready (or has an error, or was hung up); false if `until` comes
    /// first.
    pub fn wait(&self, readiness: Readiness, until: Instant) -> io::Result<bool> {
        let events = match readiness {
            Readiness::Readable => libc::POLLIN,
            Readiness::Writable => libc::POLLOUT,
            Readiness::Either => libc::POLLIN | libc::POLLOUT,
        };
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let millis = left.as_micros().div_ceil(1000).min(libc::c_int::MAX as u128);
            let mut entry = libc::pollfd { fd: self.fd(), events, revents: 0 };
            // SAFETY: the pointer is to exactly one pollfd, and it lives beyond the call.
            match check(unsafe { libc::poll(&raw mut entry, 1, millis as libc::c_int) }) {
                Ok(0) if Instant::now() >= until => return Ok(false),
                Ok(0) => {}
                Ok(_) => return Ok(true),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Receives what is there; `WouldBlock` if nothing is.
    pub fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.recv(buffer, 0)
    }

    /// As [`OsSocket::receive`], but what is there stays there.
    pub fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.recv(buffer, libc::MSG_PEEK)
    }

    fn recv(&self, buffer: &mut [u8], flags: libc::c_int) -> io::Result<usize> {
        let (pointer, length) = (buffer.as_mut_ptr().cast(), buffer.len());
        loop {
            // SAFETY: the kernel writes at most `length` bytes, into a buffer that is ours alone.
            let count =
                unsafe { libc::recv(self.fd(), pointer, length, flags | libc::MSG_DONTWAIT) };
            match usize::try_from(count).map_err(|_| io::Error::last_os_error()) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                done => return done,
            }
        }
    }

    /// Sends what the kernel takes at once; `WouldBlock` if it takes nothing.
    pub fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        let (pointer, length) = (bytes.as_ptr().cast(), bytes.len());
        let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
        loop {
            // SAFETY: the kernel reads at most `length` bytes, from a slice that is borrowed here.
            let count = unsafe { libc::send(self.fd(), pointer, length, flags) };
            match usize::try_from(count).map_err(|_| io::Error::last_os_error()) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                done => return done,
            }
        }
    }

    /// Shuts one direction down, or both, for all descriptors of the socket. In a forked child the
    /// socket is its parent's, and nothing happens.
    pub fn shut_down(&self, how: Shutdown) -> io::Result<()> {
        if self.is_inherited() {
            return Err(io::ErrorKind::NotConnected.into());
        }
        self.stream().shutdown(how)
    }

    /// Closes it, and before that shuts it down if `shuts_down`. False if there is nothing to close
    /// in this process.
    pub fn close(&mut self, shuts_down: bool) -> bool {
        let mut open = OPEN.lock();
        let Some(stream) = self.stream.take() else { return false };
        if self.generation != fork::generation() {
            // Closed at the fork; by now the number may be another file's.
            let _ = stream.into_raw_fd();
            return false;
        }
        open.remove(&stream.as_raw_fd());
        if shuts_down {
            let _ = stream.shutdown(Shutdown::Both);
        }
        // Before the lock is released: another thread's new socket may get the same number.
        drop(stream);
        true
    }
}

impl Drop for OsSocket {
    fn drop(&mut self) {
        if self.stream.is_some() {
            self.close(false);
        }
    }
}

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// The size of one of libc's own structs, all of which are tiny.
fn socklen(size: usize) -> libc::socklen_t {
    size as libc::socklen_t
}

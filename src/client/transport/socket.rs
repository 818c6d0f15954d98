//! A TCP socket whose every wait ends at an absolute deadline.
//!
//! A request on a kept connection costs one `send` and one `recv` here, and one `recv` for the
//! probe before it.

use std::fmt;
use std::io::{self, Read};
use std::mem;
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::client::cancel::Wait;
use crate::os::clock;
use crate::os::locks::Mutex;
use crate::os::socket::{OsSocket, Readiness};
use crate::os::threads::Uncancelled;

/// The last stretch before a deadline is waited for with `poll`, which is exact to a millisecond;
/// SO_RCVTIMEO is rounded up to the kernel's ticks (up to 10 ms).
const EXACT: Duration = Duration::from_millis(25);

/// After how long without traffic the kernel asks whether the peer is still there, in seconds.
const KEEPALIVE_IDLE: i32 = 60;
/// How long it waits for each response, in seconds.
const KEEPALIVE_INTERVAL: i32 = 15;

/// Called with a socket's number when that is closed, on the thread that closes it, which may hold
/// locks: so it makes a note and wakes a thread, and nothing else.
pub type OnClose = Box<dyn FnOnce(usize) + Send>;

/// What a look at an idle socket finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::client) enum Peek {
    /// Nothing: it is open and silent.
    Quiet,
    /// Bytes that were not asked for.
    Bytes,
    /// The peer closed it, or it is broken.
    Gone,
}

/// A TCP socket. Shared with those who may cancel its request; only its owner reads and writes.
#[derive(Debug)]
pub(in crate::client) struct Socket {
    os: OsSocket,
    /// No other socket of this process ever has it.
    pub(in crate::client) number: usize,
    /// The number of the poller that watches it.
    pub(in crate::client) attached_by: AtomicU64,
    /// Whether the program was given the descriptor, and may have a duplicate.
    is_lent: AtomicBool,
    on_close: OnCloseList,
}

/// What is called when a socket is closed.
#[derive(Default)]
struct OnCloseList(Mutex<Vec<OnClose>>);

impl fmt::Debug for OnCloseList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnCloseList").finish_non_exhaustive()
    }
}

static LAST_SOCKET: AtomicUsize = AtomicUsize::new(0);

impl Drop for Socket {
    fn drop(&mut self) {
        // To close is a cancellation point, and the last to let go of a socket may be a lease.
        let _uncancelled = Uncancelled::begin();
        // A duplicate would keep the connection open.
        let is_closed = self.os.close(*self.is_lent.get_mut());
        // In a forked child, the program's duplicates are the parent's, and so is what watches
        // them.
        if is_closed {
            for on_close in mem::take(&mut *self.on_close.0.lock()) {
                on_close(self.number);
            }
        }
    }
}

impl Wait for Socket {
    /// Shuts the socket down in both directions, which wakes the thread that waits for it.
    fn cancel(&self) {
        // It fails only if the socket is shut down already.
        let _ = self.os.shut_down(Shutdown::Both);
    }
}

impl AsRawFd for Socket {
    fn as_raw_fd(&self) -> RawFd {
        self.os.stream().as_raw_fd()
    }
}

impl Socket {
    /// A socket for this kind of address, not connected yet.
    pub(in crate::client) fn new(address: &SocketAddr) -> io::Result<Socket> {
        OsSocket::new(address).map(Socket::of)
    }

    fn of(os: OsSocket) -> Socket {
        Socket {
            os,
            number: LAST_SOCKET.fetch_add(1, Ordering::Relaxed) + 1,
            attached_by: AtomicU64::new(0),
            is_lent: AtomicBool::new(false),
            on_close: OnCloseList::default(),
        }
    }

    /// Takes over one that is connected; for fuzzers.
    #[cfg(fuzzing)]
    pub(in crate::client) fn adopt(stream: std::net::TcpStream) -> Socket {
        Socket::of(OsSocket::adopt(stream))
    }

    /// The descriptor, for the program to watch.
    pub(in crate::client) fn lend(&self) -> RawFd {
        self.is_lent.store(true, Ordering::Relaxed);
        self.as_raw_fd()
    }

    /// A duplicate of the descriptor, for the program to watch and to close. `on_close` is called
    /// when the socket itself is closed, whatever the peer had sent by then.
    pub(in crate::client) fn duplicate(&self, on_close: Option<OnClose>) -> io::Result<OwnedFd> {
        let duplicate = self.os.stream().try_clone()?;
        self.is_lent.store(true, Ordering::Relaxed);
        self.on_close.0.lock().extend(on_close);
        Ok(duplicate.into())
    }

    /// Connects; `TimedOut` if that lasts beyond `until`.
    pub(in crate::client) fn connect(
        &self,
        address: &SocketAddr,
        until: Instant,
    ) -> io::Result<()> {
        let stream = self.os.stream();
        match self.os.connect(address) {
            Ok(()) => {}
            Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => {
                if !self.os.wait(Readiness::Writable, until)? {
                    return Err(io::ErrorKind::TimedOut.into());
                }
                if let Some(error) = stream.take_error()? {
                    return Err(error);
                }
                // A socket that was shut down while it connected is ready without an error.
                stream.peer_addr()?;
            }
            Err(error) => return Err(error),
        }
        stream.set_nonblocking(false)?;
        stream.set_nodelay(true)?;
        self.os.set_keepalive(KEEPALIVE_IDLE, KEEPALIVE_INTERVAL)
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
            let mut left = until.saturating_duration_since(clock::recent());
            if left <= EXACT * 2 {
                left = until.saturating_duration_since(Instant::now());
            }
            // Without this a peer that never pauses would be listened to for ever.
            if left.is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            let received = if left <= EXACT {
                if !self.os.wait(Readiness::Readable, until)? {
                    return Err(io::ErrorKind::TimedOut.into());
                }
                self.os.receive(buffer)
            } else {
                if wait_limit.is_zero() || *wait_limit > left - EXACT / 2 {
                    *wait_limit = left / 2;
                    self.os.stream().set_read_timeout(Some(*wait_limit))?;
                }
                let received = self.os.stream().read(buffer);
                if matches!(&received, Err(error) if error.kind() == io::ErrorKind::WouldBlock) {
                    // Ended early: what is left now calls for another limit.
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
        self.os.receive(buffer)
    }

    /// Looks whether the socket is open and silent: one system call, no waiting.
    pub(in crate::client) fn peek(&self) -> Peek {
        match self.os.peek(&mut [0]) {
            Ok(0) => Peek::Gone,
            Ok(_) => Peek::Bytes,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Peek::Quiet,
            Err(_) => Peek::Gone,
        }
    }

    /// Sends what the kernel takes at once; `WouldBlock` if it takes nothing.
    pub(in crate::client) fn send_at_once(&self, bytes: &[u8]) -> io::Result<usize> {
        self.os.send(bytes)
    }

    /// Waits until the kernel takes bytes again, or has some of the peer's; false if `until` comes
    /// first.
    pub(in crate::client) fn wait_for_traffic(&self, until: Instant) -> io::Result<bool> {
        self.os.wait(Readiness::Either, until)
    }

    /// Says that nothing more will be sent, and waits for the peer's end until `until`; true if it
    /// has come, or the connection is gone.
    pub(in crate::client) fn finish(&self, until: Instant) -> bool {
        if self.os.shut_down(Shutdown::Write).is_err() {
            return true;
        }
        let mut sink = [0; 4096];
        while let Ok(true) = self.os.wait(Readiness::Readable, until) {
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

#[cfg(all(test, not(shuttle)))]
mod tests {
    use std::thread;

    use super::*;
    use crate::os::threads::cancel_this_thread;

    #[test]
    fn a_cancelled_thread_may_be_the_last_to_let_go_of_a_socket() {
        let closing = thread::spawn(|| {
            let socket = Socket::new(&SocketAddr::from(([127, 0, 0, 1], 9))).unwrap();
            cancel_this_thread();
            drop(socket);
            // What std does at the end of a thread is not to be cancelled either.
            mem::forget(Uncancelled::begin());
        });
        closing.join().unwrap();
    }
}

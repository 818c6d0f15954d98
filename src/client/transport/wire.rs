//! An open socket, with TLS where the URL says so.

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::ClientConnection;

use crate::client::transport::socket::{Peek, Socket};

/// How many reads of post-handshake records a probe makes before it takes the peer for a flood.
const MAX_RECORDS: usize = 64;

/// For how long a connection that no response has come over is new. Afterwards its loss says no
/// more than that of any kept connection: the server, or what stands before it, has forgotten it.
const NEW: Duration = Duration::from_secs(1);

/// Why reading or writing failed.
#[derive(Debug)]
pub(in crate::client) enum WireError {
    TimedOut,
    Lost(io::Error),
    Tls(rustls::Error),
    /// The response's head does not fit the buffer.
    Overflow,
}

impl From<io::Error> for WireError {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::TimedOut && error.raw_os_error().is_none() {
            return WireError::TimedOut;
        }
        WireError::Lost(error)
    }
}

/// Whether to wait for the socket.
#[derive(Clone, Copy, Debug)]
pub(in crate::client) enum Wait {
    Until(Instant),
    No,
}

/// What came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::client) enum Received {
    Bytes(usize),
    /// The peer closed the connection.
    End,
    /// The peer closed the connection without the close_notify of TLS: what came before it
    /// may have been cut short by someone else.
    RaggedEnd,
}

impl Received {
    fn of(count: usize) -> Received {
        if count == 0 { Received::End } else { Received::Bytes(count) }
    }
}

/// An open socket, with TLS where the URL says so.
#[derive(Debug)]
pub(in crate::client) struct Wire {
    socket: Arc<Socket>,
    tls: Option<Box<ClientConnection>>,
    wait_limit: Duration,
    pub(in crate::client) opened_at: Instant,
    /// Until when the server said it keeps the connection.
    pub(in crate::client) keep_alive_until: Option<Instant>,
    /// Whether a response came over it already.
    pub(in crate::client) used: bool,
    half_sent: bool,
}

impl Wire {
    pub(in crate::client) fn new(socket: Arc<Socket>, tls: Option<ClientConnection>) -> Wire {
        Wire {
            socket,
            tls: tls.map(Box::new),
            wait_limit: Duration::ZERO,
            opened_at: Instant::now(),
            keep_alive_until: None,
            used: false,
            half_sent: false,
        }
    }

    fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// Its socket, for who watches for it to be ready.
    pub(in crate::client) fn socket(&self) -> &Arc<Socket> {
        &self.socket
    }

    /// Whether the connection was kept for this request: a response came over it before, or it was
    /// open for a while.
    pub(in crate::client) fn is_kept(&self) -> bool {
        self.used || self.opened_at.elapsed() >= NEW
    }

    /// Completes the TLS handshake.
    pub(in crate::client) fn shake_hands(&mut self, until: Instant) -> Result<(), WireError> {
        let wait = Wait::Until(until);
        let mut written = 0;
        while self.tls.as_ref().is_some_and(|tls| tls.is_handshaking()) {
            if let Err(broken) = self.flush_tls(wait, &mut written) {
                // The peer may have said why it hung up.
                self.read_records(wait)?;
                return Err(broken);
            }
            if self.tls.as_ref().is_some_and(|tls| tls.is_handshaking() && tls.wants_read())
                && self.read_records(wait)? == Some(0)
            {
                let why = "the server closed the connection during the TLS handshake";
                return Err(WireError::Lost(io::Error::new(io::ErrorKind::UnexpectedEof, why)));
            }
        }
        self.flush_tls(wait, &mut written).map(drop)
    }

    /// Receives something into `free`; `None` if nothing is there and it may not wait.
    pub(in crate::client) fn receive(
        &mut self,
        free: &mut [u8],
        wait: Wait,
    ) -> Result<Option<Received>, WireError> {
        if free.is_empty() {
            return Err(WireError::Overflow);
        }
        loop {
            let Some(tls) = &mut self.tls else {
                let received = match wait {
                    Wait::Until(until) => self.socket.recv(free, until, &mut self.wait_limit),
                    Wait::No => self.socket.recv_at_once(free),
                };
                return match received {
                    Ok(count) => Ok(Some(Received::of(count))),
                    Err(error) if would_block(&error, wait) => Ok(None),
                    Err(error) => Err(error.into()),
                };
            };
            match tls.reader().read(free) {
                Ok(count) => return Ok(Some(Received::of(count))),
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    return Ok(Some(Received::RaggedEnd));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if self.read_records(wait)?.is_none() {
                        return Ok(None);
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Whether the peer spoke or hung up before it had heard all: then no more is sent.
    pub(in crate::client) fn is_half_sent(&self) -> bool {
        self.half_sent
    }

    /// Whether bytes that [`Wire::send`] took have not reached the kernel.
    pub(in crate::client) fn has_unsent(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.wants_write())
    }

    /// Sends bytes, and says how many it took: all, unless it may not wait. Adds to `written` what
    /// the kernel took of them (of their records, under TLS).
    ///
    /// A peer that hangs up or responds before it has everything is not an error here: its response
    /// is to be read. Only a kept connection that was gone before the first byte is.
    pub(in crate::client) fn send(
        &mut self,
        bytes: &[u8],
        wait: Wait,
        written: &mut u64,
    ) -> Result<usize, WireError> {
        let sent = if self.tls.is_some() {
            self.send_tls(bytes, wait, written)
        } else {
            self.send_plain(bytes, wait, written)
        };
        match sent {
            Err(WireError::Lost(_)) if *written > 0 || !self.used => {
                self.half_sent = true;
                Ok(bytes.len())
            }
            other => other,
        }
    }

    fn send_plain(
        &mut self,
        bytes: &[u8],
        wait: Wait,
        written: &mut u64,
    ) -> Result<usize, WireError> {
        let mut sent = 0;
        while sent < bytes.len() && !self.half_sent {
            match self.socket.send_at_once(&bytes[sent..]) {
                Ok(count) => {
                    *written += count as u64;
                    sent += count;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if !self.wait_to_send(wait)? {
                        break;
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(sent)
    }

    fn send_tls(
        &mut self,
        bytes: &[u8],
        wait: Wait,
        written: &mut u64,
    ) -> Result<usize, WireError> {
        let mut sent = 0;
        loop {
            if !self.flush_tls(wait, written)? || self.half_sent {
                return Ok(sent);
            }
            let Some(tls) = self.tls.as_mut().filter(|_| sent < bytes.len()) else {
                return Ok(sent);
            };
            // rustls buffers a bounded number of bytes.
            sent += tls.writer().write(&bytes[sent..])?;
        }
    }

    /// Hands the records that rustls has ready to the kernel; says whether it took them all.
    fn flush_tls(&mut self, wait: Wait, written: &mut u64) -> Result<bool, WireError> {
        while let Some(tls) = self.tls.as_mut().filter(|tls| tls.wants_write()) {
            match tls.write_tls(&mut AtOnce(&self.socket)) {
                Ok(count) => *written += count as u64,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if !self.wait_to_send(wait)? {
                        return Ok(false);
                    }
                    if self.half_sent {
                        break;
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(true)
    }

    /// Waits until more can be sent; false if it may not wait. A server that refuses a body may
    /// respond before it has read all of it, and then read no more: such a response ends the
    /// sending.
    fn wait_to_send(&mut self, wait: Wait) -> Result<bool, WireError> {
        match wait {
            Wait::Until(until) if !self.socket.wait_for_traffic(until)? => {
                return Err(WireError::TimedOut);
            }
            _ => {}
        }
        let spoke = match self.socket.peek() {
            Peek::Quiet => false,
            Peek::Gone => true,
            Peek::Bytes => !self.is_tls() || !self.absorb_records(),
        };
        self.half_sent |= spoke;
        Ok(self.half_sent || matches!(wait, Wait::Until(_)))
    }

    /// Waits for TLS records and takes them in; 0 at the peer's end, `None` if none is there and it
    /// may not wait.
    fn read_records(&mut self, wait: Wait) -> Result<Option<usize>, WireError> {
        let Some(tls) = &mut self.tls else { return Ok(Some(0)) };
        let read = match wait {
            Wait::Until(until) => {
                let wait_limit = &mut self.wait_limit;
                tls.read_tls(&mut TimedWaiter { socket: &self.socket, until, wait_limit })
            }
            Wait::No => tls.read_tls(&mut AtOnce(&self.socket)),
        };
        let count = match read {
            Err(error) if would_block(&error, wait) => return Ok(None),
            other => other?,
        };
        if let Err(error) = tls.process_new_packets() {
            // Tells the peer why, if that is possible at once.
            let _ = tls.write_tls(&mut AtOnce(&self.socket));
            return Err(WireError::Tls(error));
        }
        Ok(Some(count))
    }

    /// Takes in the TLS records that are there. False if they are more than notes between the two
    /// TLS layers (new session tickets, new keys), or the connection is gone.
    fn absorb_records(&mut self) -> bool {
        let Some(tls) = &mut self.tls else { return false };
        for _ in 0..MAX_RECORDS {
            match tls.read_tls(&mut AtOnce(&self.socket)) {
                Ok(0) => return false,
                Ok(_) => match tls.process_new_packets() {
                    Ok(state) if state.plaintext_bytes_to_read() > 0 => return false,
                    Ok(state) if state.peer_has_closed() => return false,
                    Ok(_) => {}
                    Err(_) => return false,
                },
                Err(error) => return error.kind() == io::ErrorKind::WouldBlock,
            }
        }
        false
    }

    /// Whether an exchange that has just ended, and understood all that was received, left the
    /// connection fit for the next.
    pub(in crate::client) fn is_clean(&mut self) -> bool {
        !self.half_sent
            && self.tls.as_mut().is_none_or(|tls| {
                tls.process_new_packets().is_ok_and(|state| {
                    state.plaintext_bytes_to_read() == 0 && !state.peer_has_closed()
                })
            })
    }

    /// Whether the idle connection is still open and silent: one system call, no waiting.
    pub(in crate::client) fn probe(&mut self) -> bool {
        match self.socket.peek() {
            Peek::Quiet => true,
            Peek::Gone => false,
            Peek::Bytes => self.absorb_records(),
        }
    }

    /// Says goodbye and waits for the peer's end until `until`; says whether it has come.
    pub(in crate::client) fn finish(&mut self, until: Instant) -> bool {
        if let Some(tls) = &mut self.tls {
            tls.send_close_notify();
            // A close_notify that can't be sent at once is not worth waiting for.
            while tls.wants_write() && tls.write_tls(&mut AtOnce(&self.socket)).is_ok() {}
        }
        self.socket.finish(until)
    }
}

/// Whether there was nothing to be done now by someone who may not wait.
fn would_block(error: &io::Error, wait: Wait) -> bool {
    matches!(wait, Wait::No) && error.kind() == io::ErrorKind::WouldBlock
}

/// Reads and writes without waiting.
struct AtOnce<'a>(&'a Socket);

impl Read for AtOnce<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.recv_at_once(buffer)
    }
}

impl Write for AtOnce<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.send_at_once(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Waits for what it reads, until a deadline.
struct TimedWaiter<'a> {
    socket: &'a Socket,
    until: Instant,
    wait_limit: &'a mut Duration,
}

impl Read for TimedWaiter<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket.recv(buffer, self.until, self.wait_limit)
    }
}

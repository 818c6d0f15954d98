//! An open socket, with TLS where the URL says so, and its buffers.

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::ClientConnection;

use super::buffers::IoBuffers;
use super::socket::{Peek, Socket};

/// How many reads of post-handshake records a probe makes before it takes the peer for a flood.
const MAX_RECORDS: usize = 64;

/// Why reading or writing failed.
#[derive(Debug)]
pub(super) enum Broken {
    TimedOut,
    Lost(io::Error),
    Tls(rustls::Error),
    /// The answer's head does not fit the buffer.
    Overflow,
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::TimedOut && error.raw_os_error().is_none() {
            return Broken::TimedOut;
        }
        Broken::Lost(error)
    }
}

/// What came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Received {
    Bytes(usize),
    /// The peer closed the connection.
    End,
    /// The peer closed the connection without the farewell that TLS wants: what came before it
    /// may have been cut short by someone else.
    RaggedEnd,
}

/// An open socket, with TLS where the URL says so, and its buffers.
#[derive(Debug)]
pub(super) struct Wire {
    socket: Arc<Socket>,
    tls: Option<Box<ClientConnection>>,
    patience: Duration,
    pub(super) buffers: IoBuffers,
    pub(super) opened_at: Instant,
    /// Until when the server said it keeps the connection.
    pub(super) keep_alive_until: Option<Instant>,
    /// Whether an answer came over it already.
    pub(super) used: bool,
    half_sent: bool,
}

impl Wire {
    pub(super) fn new(socket: Arc<Socket>, tls: Option<ClientConnection>) -> Wire {
        Wire {
            socket,
            tls: tls.map(Box::new),
            patience: Duration::ZERO,
            buffers: IoBuffers::default(),
            opened_at: Instant::now(),
            keep_alive_until: None,
            used: false,
            half_sent: false,
        }
    }

    pub(super) fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// Completes the TLS handshake.
    pub(super) fn shake_hands(&mut self, until: Instant) -> Result<(), Broken> {
        let mut written = 0;
        while self.tls.as_ref().is_some_and(|tls| tls.is_handshaking()) {
            if let Err(broken) = self.flush_tls(until, &mut written) {
                // The peer may have said why it hung up.
                self.read_records(until)?;
                return Err(broken);
            }
            if self.tls.as_ref().is_some_and(|tls| tls.is_handshaking() && tls.wants_read())
                && self.read_records(until)? == 0
            {
                let why = "the server closed the connection during the TLS handshake";
                return Err(Broken::Lost(io::Error::new(io::ErrorKind::UnexpectedEof, why)));
            }
        }
        self.flush_tls(until, &mut written)
    }

    /// Receives something into the input buffer.
    pub(super) fn receive(&mut self, until: Instant) -> Result<Received, Broken> {
        if self.buffers.free().is_empty() {
            return Err(Broken::Overflow);
        }
        loop {
            let Some(tls) = &mut self.tls else {
                let count = self.socket.recv(self.buffers.free(), until, &mut self.patience)?;
                return Ok(self.received(count));
            };
            match tls.reader().read(self.buffers.free()) {
                Ok(count) => return Ok(self.received(count)),
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    return Ok(Received::RaggedEnd);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.read_records(until)?;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn received(&mut self, count: usize) -> Received {
        self.buffers.add(count);
        if count == 0 { Received::End } else { Received::Bytes(count) }
    }

    /// Sends bytes; adds to `written` what the kernel took of them (of their records, under TLS).
    ///
    /// A peer that hangs up or answers before it has all is no error here: what it has to say is
    /// to be read. Only a kept connection that was gone before the first byte is.
    pub(super) fn send(
        &mut self,
        bytes: &[u8],
        until: Instant,
        written: &mut u64,
    ) -> Result<(), Broken> {
        if self.half_sent {
            return Ok(());
        }
        let sent = if self.tls.is_some() {
            self.send_tls(bytes, until, written)
        } else {
            self.send_plain(bytes, until, written)
        };
        match sent {
            Err(Broken::Lost(_)) if *written > 0 || !self.used => {
                self.half_sent = true;
                Ok(())
            }
            other => other,
        }
    }

    fn send_plain(
        &mut self,
        mut bytes: &[u8],
        until: Instant,
        written: &mut u64,
    ) -> Result<(), Broken> {
        while !bytes.is_empty() {
            match self.socket.send_at_once(bytes) {
                Ok(count) => {
                    *written += count as u64;
                    bytes = &bytes[count..];
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.wait_to_send(until)?;
                    if self.half_sent {
                        return Ok(());
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn send_tls(
        &mut self,
        mut bytes: &[u8],
        until: Instant,
        written: &mut u64,
    ) -> Result<(), Broken> {
        while !bytes.is_empty() && !self.half_sent {
            let Some(tls) = &mut self.tls else { return Ok(()) };
            // rustls buffers a bounded number of bytes.
            let count = tls.writer().write(bytes)?;
            bytes = &bytes[count..];
            self.flush_tls(until, written)?;
        }
        Ok(())
    }

    /// Hands the records that rustls has ready to the kernel.
    fn flush_tls(&mut self, until: Instant, written: &mut u64) -> Result<(), Broken> {
        while let Some(tls) = self.tls.as_mut().filter(|tls| tls.wants_write()) {
            match tls.write_tls(&mut AtOnce(&self.socket)) {
                Ok(count) => *written += count as u64,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.wait_to_send(until)?;
                    if self.half_sent {
                        return Ok(());
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Waits until more can be sent. A server that refuses a body may answer before it has read it
    /// all, and then read no more: such an answer ends the sending.
    fn wait_to_send(&mut self, until: Instant) -> Result<(), Broken> {
        if !self.socket.wait_for_traffic(until)? {
            return Err(Broken::TimedOut);
        }
        let spoke = match self.socket.peek() {
            Peek::Quiet => false,
            Peek::Gone => true,
            Peek::Bytes => !self.is_tls() || !self.absorb_records(),
        };
        self.half_sent |= spoke;
        Ok(())
    }

    /// Waits for TLS records and takes them in; 0 at the peer's end.
    fn read_records(&mut self, until: Instant) -> Result<usize, Broken> {
        let Some(tls) = &mut self.tls else { return Ok(0) };
        let mut reader = Patient { socket: &self.socket, until, patience: &mut self.patience };
        let count = tls.read_tls(&mut reader)?;
        if let Err(error) = tls.process_new_packets() {
            // Tells the peer why, if that is possible at once.
            let _ = tls.write_tls(&mut AtOnce(&self.socket));
            return Err(Broken::Tls(error));
        }
        Ok(count)
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

    /// Whether an exchange that has just ended left the connection fit for the next.
    pub(super) fn is_clean(&mut self) -> bool {
        !self.half_sent
            && self.buffers.is_empty()
            && self.tls.as_mut().is_none_or(|tls| {
                tls.process_new_packets().is_ok_and(|state| {
                    state.plaintext_bytes_to_read() == 0 && !state.peer_has_closed()
                })
            })
    }

    /// Whether the idle connection is still open and silent: one system call, no waiting.
    pub(super) fn probe(&mut self) -> bool {
        match self.socket.peek() {
            Peek::Quiet => true,
            Peek::Gone => false,
            Peek::Bytes => self.absorb_records(),
        }
    }

    /// Says goodbye and waits for the peer's end until `until`; says whether it has come.
    pub(super) fn finish(&mut self, until: Instant) -> bool {
        if let Some(tls) = &mut self.tls {
            tls.send_close_notify();
            // A farewell that can't be sent at once is not worth waiting for.
            while tls.wants_write() && tls.write_tls(&mut AtOnce(&self.socket)).is_ok() {}
        }
        self.socket.finish(until)
    }
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
struct Patient<'a> {
    socket: &'a Socket,
    until: Instant,
    patience: &'a mut Duration,
}

impl Read for Patient<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket.recv(buffer, self.until, self.patience)
    }
}

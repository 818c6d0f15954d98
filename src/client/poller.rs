//! Tells when sockets are ready, to the one thread that serves many.

use std::io;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token, Waker};

use super::socket::Socket;

/// The token of the bell; sockets are numbered from 1.
const BELL: Token = Token(0);
/// How many sockets are told of at once.
const EVENTS: usize = 256;

static LAST_POLLER: AtomicU64 = AtomicU64::new(0);

/// Waits for many sockets at once.
#[derive(Debug)]
pub struct Poller {
    /// So that a socket knows whether it is watched by this one.
    number: u64,
    poll: Poll,
    events: Events,
    bell: Arc<Bell>,
}

/// Ends the wait of a [`Poller`], from any thread; or its next, if it does not wait now.
#[derive(Debug)]
pub struct Bell(Waker);

impl Poller {
    /// Takes two descriptors.
    ///
    /// # Errors
    ///
    /// If the system has none to be had.
    pub fn new() -> io::Result<Poller> {
        let poll = Poll::new()?;
        let bell = Arc::new(Bell(Waker::new(poll.registry(), BELL)?));
        let number = LAST_POLLER.fetch_add(1, Ordering::Relaxed) + 1;
        Ok(Poller { number, poll, events: Events::with_capacity(EVENTS), bell })
    }

    /// What ends its wait.
    pub fn bell(&self) -> &Arc<Bell> {
        &self.bell
    }

    /// Tells of this socket from now on, until that is closed. Each time that it becomes ready is
    /// told once.
    pub(super) fn watch(&self, socket: &Socket) -> io::Result<()> {
        if socket.watched_by.load(Ordering::Relaxed) == self.number {
            return Ok(());
        }
        let fd = socket.as_raw_fd();
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(&mut SourceFd(&fd), Token(socket.number), interest)?;
        socket.watched_by.store(self.number, Ordering::Relaxed);
        Ok(())
    }

    /// Waits until a socket is ready, the bell rings or `until` has come; adds the numbers of the
    /// sockets to `ready`. May return for no reason.
    pub fn wait(&mut self, until: Option<Instant>, ready: &mut Vec<usize>) {
        let timeout = until.map(|until| until.saturating_duration_since(Instant::now()));
        if self.poll.poll(&mut self.events, timeout).is_err() {
            // Interrupted: as if for no reason.
            return;
        }
        let tokens = self.events.iter().map(|event| event.token());
        ready.extend(tokens.filter(|token| *token != BELL).map(|Token(number)| number));
    }
}

impl Bell {
    /// Rings it.
    pub fn ring(&self) {
        // It fails only if it rings already so often that it can't be counted.
        let _ = self.0.wake();
    }
}

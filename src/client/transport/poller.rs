//! Tells when sockets are ready, to the one thread that serves many.

use std::io;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};

use crate::client::transport::socket::Socket;

/// The token of the waker; sockets are numbered from 1.
const WAKER: Token = Token(0);
/// How many sockets are told of at once.
const EVENTS: usize = 256;

static LAST_POLLER: AtomicU64 = AtomicU64::new(0);

/// Waits for many sockets at once.
#[derive(Debug)]
pub struct Poller {
    /// So that a socket knows whether this one watches it.
    number: u64,
    poll: Poll,
    events: Events,
    waker: Arc<Waker>,
}

/// Ends the wait of a [`Poller`], from any thread; or its next, if it does not wait now.
#[derive(Debug)]
pub struct Waker(mio::Waker);

impl Poller {
    /// Takes two descriptors.
    ///
    /// # Errors
    ///
    /// If the system has none left.
    pub fn new() -> io::Result<Poller> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker(mio::Waker::new(poll.registry(), WAKER)?));
        let number = LAST_POLLER.fetch_add(1, Ordering::Relaxed) + 1;
        Ok(Poller { number, poll, events: Events::with_capacity(EVENTS), waker })
    }

    /// What ends its wait.
    pub fn waker(&self) -> &Arc<Waker> {
        &self.waker
    }

    /// Tells of this socket from now on, until that is closed. Each time that it becomes ready is
    /// told once.
    pub(in crate::client) fn watch(&self, socket: &Socket) -> io::Result<()> {
        if socket.attached_by.load(Ordering::Relaxed) == self.number {
            return Ok(());
        }
        let fd = socket.as_raw_fd();
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(&mut SourceFd(&fd), Token(socket.number), interest)?;
        socket.attached_by.store(self.number, Ordering::Relaxed);
        Ok(())
    }

    /// Waits until a socket is ready, the waker wakes it or `until` has come; adds the numbers of
    /// the sockets to `ready`. May return for no reason.
    pub fn wait(&mut self, until: Option<Instant>, ready: &mut Vec<usize>) {
        let timeout = until.map(|until| until.saturating_duration_since(Instant::now()));
        if self.poll.poll(&mut self.events, timeout).is_err() {
            // Interrupted: as if for no reason.
            return;
        }
        let tokens = self.events.iter().map(|event| event.token());
        ready.extend(tokens.filter(|token| *token != WAKER).map(|Token(number)| number));
    }
}

impl Waker {
    /// Wakes it.
    pub fn wake(&self) {
        // It fails only if it wakes already so often that it can't be counted.
        let _ = self.0.wake();
    }
}

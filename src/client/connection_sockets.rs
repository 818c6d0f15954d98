//! The sockets of one connection: the idle one, the one that waits to be closed, and how another is
//! opened.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::client::cancel::{CancelState, Wait};
use crate::client::transport::dial;
use crate::client::transport::dial_permit::{DialPermit, SocketEvent};
use crate::client::transport::endpoint::Endpoint;
use crate::client::transport::request_deadline::RequestDeadline;
use crate::client::transport::wire::Wire;
use crate::error::{Code, Error, Result};
use crate::os::clock;
use crate::os::locks::Mutex;

/// How long the old socket's end is waited for when a request replaces one that the server is
/// about to close.
const REPLACE_LINGER: Duration = Duration::from_millis(50);

/// Permits the dials of requests that find no socket, so that a pool can limit them. Called on
/// the thread that makes the request, with no lock of the connection held.
pub trait DialLimiter: Send + Sync {
    /// Waits for the permit to dial, until `deadline` at the latest, and returns (with any error)
    /// as soon as `request.is_cancelled()`. `None` if it gave the connection an open socket
    /// instead, by [`SocketHandle::take_from`].
    ///
    /// # Errors
    ///
    /// The request fails with the error that it returns.
    fn permit(&self, deadline: Instant, request: &SocketHandle) -> Result<Option<DialPermit>>;

    /// Called when a request is cancelled that waits in [`DialLimiter::permit`]: on the cancelling
    /// thread, with no lock held, after `is_cancelled` became true. To wake the right wait without
    /// a race, take the lock under which it checks `is_cancelled`, and notify.
    fn wake(&self);

    /// Asked after a dial that failed: whether the request asks for another permit instead of
    /// failing.
    fn may_ask_again(&self) -> bool {
        false
    }

    /// Told what a request showed of its socket.
    fn note(&self, event: SocketEvent<'_>) {
        let _ = event;
    }
}

/// The sockets of one connection, which shares them with its request in flight.
pub(super) struct ConnectionSockets {
    pub(super) endpoint: Arc<Endpoint>,
    dial_limiter: Arc<dyn DialLimiter>,
    pub(super) cancel: Arc<CancelState>,
    open: Mutex<OpenSockets>,
}

#[derive(Default)]
struct OpenSockets {
    /// The idle socket; taken out while a request uses it, and put back only if that ended well.
    idle: Option<Box<Wire>>,
    /// A socket that a request left in a state that can't be trusted. It is open still, so that it
    /// can be closed gracefully, and the server doesn't count it beside its successor.
    laid_aside: Option<Box<Wire>>,
}

impl ConnectionSockets {
    pub(super) fn new(
        endpoint: Arc<Endpoint>,
        dial_limiter: Arc<dyn DialLimiter>,
    ) -> Arc<ConnectionSockets> {
        Arc::new(ConnectionSockets {
            endpoint,
            dial_limiter,
            cancel: Arc::default(),
            open: Mutex::default(),
        })
    }

    /// An open socket for a request: the kept one if it still lives (and need not be `fresh`), or a
    /// new one.
    pub(super) fn wire(
        self: &Arc<ConnectionSockets>,
        deadline: &RequestDeadline,
        fresh: bool,
    ) -> Result<Box<Wire>> {
        if self.cancel.is_cancelled() {
            return Err(self.cancelled());
        }
        if fresh {
            self.discard_kept();
        }
        if let Some(wire) = self.kept_wire() {
            return Ok(wire);
        }
        if let Some(mut wire) = self.take_wire() {
            // The server is about to close it, and would with the request on its way.
            wire.finish(clock::now() + REPLACE_LINGER.min(deadline.left() / 2));
            self.discard(wire);
        }
        self.dial(deadline)
    }

    /// The kept socket, if it can carry another request. One that is dead is closed; one that the
    /// server is about to close stays for [`ConnectionSockets::wire`] to close.
    pub(super) fn kept_wire(&self) -> Option<Box<Wire>> {
        let mut wire = self.take_wire()?;
        if !wire.probe() {
            self.discard(wire);
            return None;
        }
        if wire.keep_alive_until.is_some_and(|until| until <= clock::recent()) {
            self.keep(wire);
            return None;
        }
        Some(wire)
    }

    /// Opens a socket as soon as the limiter permits it, or takes the one that the limiter has.
    pub(super) fn dial(
        self: &Arc<ConnectionSockets>,
        deadline: &RequestDeadline,
    ) -> Result<Box<Wire>> {
        self.finish_laid_aside(REPLACE_LINGER.min(deadline.left() / 2));
        loop {
            let Some(permit) = self.wait_for_permit(deadline)? else {
                match self.kept_wire() {
                    Some(wire) => return Ok(wire),
                    None if self.cancel.is_cancelled() => return Err(self.cancelled()),
                    None => continue,
                }
            };
            match self.dial_with(permit, deadline) {
                Err(error)
                    if error.code() != Code::Cancelled
                        && !deadline.left().is_zero()
                        && self.may_ask_for_permit_again() => {}
                outcome => return outcome,
            }
        }
    }

    fn wait_for_permit(
        self: &Arc<ConnectionSockets>,
        deadline: &RequestDeadline,
    ) -> Result<Option<DialPermit>> {
        self.cancel.wait_for_permit(Some(Arc::new(PermitWait(Arc::clone(&self.dial_limiter)))));
        let permit = if self.cancel.is_cancelled() {
            Err(self.cancelled())
        } else {
            self.dial_limiter.permit(deadline.until, &SocketHandle(Arc::clone(self)))
        };
        self.cancel.wait_for_permit(None);
        permit.map_err(|error| if self.cancel.is_cancelled() { self.cancelled() } else { error })
    }

    /// Opens a socket and gives the permit back.
    pub(super) fn dial_with(
        &self,
        permit: DialPermit,
        deadline: &RequestDeadline,
    ) -> Result<Box<Wire>> {
        let deadline = deadline.at_most(self.endpoint.connect_timeout, "connect_timeout");
        let dialled = match self.cancel.is_cancelled() {
            true => Err(self.cancelled()),
            false => dial::dial(&self.endpoint, &self.cancel, &deadline),
        };
        permit.give_back(dialled.as_ref().map(drop));
        dialled
    }

    /// Opens a socket, with this permit or as soon as the limiter gives one, and keeps it.
    pub(super) fn open(
        self: &Arc<ConnectionSockets>,
        permit: Option<DialPermit>,
        deadline: Instant,
    ) -> Result<()> {
        let deadline = RequestDeadline::caller(deadline);
        let wire = match permit {
            Some(permit) => self.dial_with(permit, &deadline)?,
            None => self.dial(&deadline)?,
        };
        self.keep(wire);
        Ok(())
    }

    /// Looks whether the kept socket, if there is one, is open and silent; closes it if it is not.
    pub(super) fn probe(&self) -> bool {
        let mut open = self.open.lock();
        let Some(wire) = &mut open.idle else { return true };
        if wire.probe() {
            return true;
        }
        // Under the lock, so that it is not a later socket that is forgotten.
        self.cancel.forget();
        let dead = open.idle.take();
        drop(open);
        drop(dead);
        false
    }

    /// Whether the limiter would have a request wait for a socket, instead of failing.
    pub(super) fn may_ask_for_permit_again(&self) -> bool {
        !self.cancel.is_cancelled() && self.dial_limiter.may_ask_again()
    }

    /// Tells the pool what a request showed of its socket.
    pub(super) fn note(&self, event: SocketEvent<'_>) {
        self.dial_limiter.note(event);
    }

    /// Takes the kept socket of a connection that is idle.
    pub(super) fn take_socket_of(&self, other: &ConnectionSockets) {
        let Some(wire) = other.take_wire() else { return };
        other.cancel.forget();
        if self.cancel.wait_for(wire.socket().clone()).is_ok() {
            self.keep(wire);
        }
    }

    pub(super) fn cancelled(&self) -> Error {
        Error::new(
            Code::Cancelled,
            format!("connecting to {} was interrupted", self.endpoint.url()),
        )
    }

    /// Lays a socket aside that is of no use any more, until it is closed. The server is told now;
    /// its own end is waited for later.
    pub(super) fn lay_aside(&self, mut wire: Box<Wire>) {
        let is_over = wire.finish(clock::now());
        self.cancel.forget();
        if !is_over {
            self.open.lock().laid_aside = Some(wire);
        }
    }

    /// Whether a socket was laid aside.
    pub(super) fn has_laid_aside(&self) -> bool {
        self.open.lock().laid_aside.is_some()
    }

    /// Closes the socket that was laid aside, if one was, gracefully.
    pub(super) fn finish_laid_aside(&self, linger: Duration) {
        let wire = self.open.lock().laid_aside.take();
        if let Some(mut wire) = wire {
            wire.finish(clock::now() + linger);
        }
    }

    pub(super) fn take_wire(&self) -> Option<Box<Wire>> {
        self.open.lock().idle.take()
    }

    /// Keeps a socket for the next request.
    pub(super) fn keep(&self, wire: Box<Wire>) {
        self.open.lock().idle = Some(wire);
    }

    /// Closes a socket at once.
    pub(super) fn discard(&self, wire: Box<Wire>) {
        self.cancel.forget();
        drop(wire);
    }

    /// Closes all that is open, at once.
    pub(super) fn discard_all(&self) {
        self.discard_kept();
        drop(self.open.lock().laid_aside.take());
    }

    /// Closes the kept socket, if there is one.
    pub(super) fn discard_kept(&self) {
        if let Some(wire) = self.take_wire() {
            self.discard(wire);
        }
    }

    /// Looks at the kept socket, or changes it.
    pub(super) fn with_wire<T>(&self, look: impl FnOnce(&mut Wire) -> T) -> Option<T> {
        self.open.lock().idle.as_deref_mut().map(look)
    }
}

/// Wakes a request that waits for a permit to dial.
struct PermitWait(Arc<dyn DialLimiter>);

impl Wait for PermitWait {
    fn cancel(&self) {
        self.0.wake();
    }
}

/// The socket of a connection, for those who neither own the connection nor use it now.
#[derive(Clone)]
pub struct SocketHandle(Arc<ConnectionSockets>);

impl SocketHandle {
    pub(super) fn new(sockets: Arc<ConnectionSockets>) -> SocketHandle {
        SocketHandle(sockets)
    }

    /// As [`Connection::probe`](super::Connection::probe), if the connection is idle; otherwise
    /// true.
    pub fn probe(&self) -> bool {
        self.0.probe()
    }

    /// Whether the request in flight is cancelled, which waits for a permit to dial.
    pub fn is_cancelled(&self) -> bool {
        self.0.cancel.is_cancelled()
    }

    /// Takes the socket of another connection, which is idle, for the request that waits for a
    /// permit to dial. For [`DialLimiter::permit`].
    pub fn take_from(&self, other: &SocketHandle) {
        self.0.take_socket_of(&other.0);
    }
}

impl fmt::Debug for SocketHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SocketHandle").finish_non_exhaustive()
    }
}

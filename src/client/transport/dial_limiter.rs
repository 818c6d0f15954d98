//! What others do to a connection: allow its dials, and cut its requests.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use crate::client::station::Station;
use crate::error::{Error, Result};

/// What a request showed of the socket that it went over.
#[derive(Clone, Copy, Debug)]
pub enum SocketEvent<'a> {
    /// The first byte of the first response on a new socket came.
    Proved,
    /// A new socket was lost before that: its dial came to nothing after all.
    LostFresh(&'a Error),
    /// The first request on a new socket got no byte of a response in its time.
    SilentFresh(&'a Error),
    /// A kept socket was lost with a request on it, before a byte of the response.
    Lost,
    /// The request on a kept socket got no byte of a response in its time.
    Silent {
        /// When it was sent.
        since: Instant,
    },
    /// The request on a kept socket was cut before a byte of a response came.
    Cut {
        /// When it was sent.
        since: Instant,
    },
}

/// Asked before each dial and told after it, so that a pool can bound its dials and learn of
/// outages. Called on the thread that makes the request, with no lock of the connection held.
pub trait DialLimiter: Send + Sync {
    /// Waits until a dial is allowed, but not beyond `deadline`, and returns (with any error) as
    /// soon as `cut.is_cut()`. It may give the connection a socket instead, by
    /// [`CancelHandle::take_socket`]; then there is no dial.
    ///
    /// # Errors
    ///
    /// Whatever it returns is what the request returns; [`DialLimiter::leave`] is not called then.
    fn enter(&self, deadline: Instant, cut: &CancelHandle) -> Result<()>;

    /// Told what came of each dial that was allowed, once.
    fn leave(&self, outcome: std::result::Result<(), &Error>);

    /// Called when a request was interrupted that waits in [`DialLimiter::enter`]: on the
    /// interrupting thread, with no lock held, after `is_cut` became true. To wake the right wait
    /// without a race, take the lock that it checks `is_cut` under, and notify.
    fn wake(&self);

    /// Asked after a dial that failed: whether the request asks to [`DialLimiter::enter`] once more,
    /// instead of failing.
    fn may_enter_again(&self) -> bool {
        false
    }

    /// Told what a request showed of its socket.
    fn note(&self, sign: SocketEvent<'_>) {
        let _ = sign;
    }
}

/// Cuts what a connection has in flight, from any thread, at any time.
#[derive(Clone)]
pub struct CancelHandle(Arc<Station>);

impl CancelHandle {
    pub(in crate::client) fn new(station: Arc<Station>) -> CancelHandle {
        CancelHandle(station)
    }

    /// Cuts the request in flight, wherever it is: waiting for leave to dial, looking a name up,
    /// connecting, sending or receiving. It returns `Cancelled`, or its result if that was
    /// complete. With nothing in flight this does nothing, and the next request is not touched.
    pub fn cancel(&self) {
        self.0.cancel();
    }

    /// As [`CancelHandle::cancel`], and every later request of the connection is refused as
    /// `Cancelled`, before anything is sent.
    pub fn cancel_for_good(&self) {
        self.0.cutter.stay_cut();
        self.0.cancel();
    }

    /// Whether what is in flight now was cut.
    pub fn is_cut(&self) -> bool {
        self.0.cutter.is_cut()
    }

    /// Whether something is in flight now.
    pub fn is_in_flight(&self) -> bool {
        self.0.cutter.is_in_flight()
    }

    /// As [`crate::client::Connection::probe`], for whoever watches connections that nobody uses.
    pub fn peek(&self) -> bool {
        self.0.probe()
    }

    /// Takes the socket of another connection, which nobody uses. For [`DialLimiter::enter`].
    pub fn take_socket(&self, other: &CancelHandle) {
        self.0.take_socket_of(&other.0);
    }
}

impl fmt::Debug for CancelHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Interrupter").finish_non_exhaustive()
    }
}

//! What others do to a connection: allow its dials, and cut its requests.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use super::station::Station;
use crate::error::{Error, Result};

/// What a request showed of the socket that it went over.
#[derive(Clone, Copy, Debug)]
pub enum Sign<'a> {
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
pub trait DialGate: Send + Sync {
    /// Waits until a dial is allowed, but not beyond `deadline`, and returns (with any error) as
    /// soon as `cut.is_cut()`. It may give the connection a socket instead, by
    /// [`Interrupter::take_socket`]; then there is no dial.
    ///
    /// # Errors
    ///
    /// Whatever it returns is what the request returns; [`DialGate::leave`] is not called then.
    fn enter(&self, deadline: Instant, cut: &Interrupter) -> Result<()>;

    /// Told what came of each dial that was allowed, once.
    fn leave(&self, outcome: std::result::Result<(), &Error>);

    /// Called when a request was interrupted that waits in [`DialGate::enter`]: on the
    /// interrupting thread, with no lock held, after `is_cut` became true. To wake the right wait
    /// without a race, take the lock that it checks `is_cut` under, and notify.
    fn wake(&self);

    /// Asked after a dial that failed: whether the request asks to [`DialGate::enter`] once more,
    /// instead of failing.
    fn may_enter_again(&self) -> bool {
        false
    }

    /// Told what a request showed of its socket.
    fn note(&self, sign: Sign<'_>) {
        let _ = sign;
    }
}

/// Cuts what a connection has in flight, from any thread, at any time.
#[derive(Clone)]
pub struct Interrupter(Arc<Station>);

impl Interrupter {
    pub(super) fn new(station: Arc<Station>) -> Interrupter {
        Interrupter(station)
    }

    /// Cuts the request in flight, wherever it is: waiting for leave to dial, looking a name up,
    /// connecting, sending or receiving. It returns `Cancelled`, or its result if that was
    /// complete. With nothing in flight this does nothing, and the next request is not touched.
    pub fn interrupt(&self) {
        self.0.interrupt();
    }

    /// As [`Interrupter::interrupt`], and every later request of the connection is refused as
    /// `Cancelled`, before anything is sent.
    pub fn interrupt_for_good(&self) {
        self.0.cutter.stay_cut();
        self.0.interrupt();
    }

    /// Whether what is in flight now was cut.
    pub fn is_cut(&self) -> bool {
        self.0.cutter.is_cut()
    }

    /// Whether something is in flight now.
    pub fn is_in_flight(&self) -> bool {
        self.0.cutter.is_in_flight()
    }

    /// As [`super::Connection::probe`], for whoever watches connections that nobody uses.
    pub fn peek(&self) -> bool {
        self.0.probe()
    }

    /// Takes the socket of another connection, which nobody uses. For [`DialGate::enter`].
    pub fn take_socket(&self, other: &Interrupter) {
        self.0.take_socket_of(&other.0);
    }
}

impl fmt::Debug for Interrupter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Interrupter").finish_non_exhaustive()
    }
}

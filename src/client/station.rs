//! What a connection, its request under way and its interrupters share.

use std::sync::Arc;
use std::time::Duration;

use crate::client::cutter::CancelState;
use crate::client::transport::dial;
use crate::client::transport::dial_limiter::{CancelHandle, DialLimiter, DialPermit, SocketEvent};
use crate::client::transport::endpoint::Endpoint;
use crate::client::transport::request_deadline::RequestDeadline;
use crate::client::transport::wire::Wire;
use crate::error::{Code, Error, Result};
use crate::os::clock;
use crate::os::locks::Mutex;

/// How long the old socket's end is waited for when a request replaces one that the server is
/// about to close.
const REPLACE_LINGER: Duration = Duration::from_millis(50);

/// What a connection, its request under way and its interrupters share.
pub(super) struct Station {
    pub(super) endpoint: Arc<Endpoint>,
    dial_limiter: Arc<dyn DialLimiter>,
    pub(super) cutter: CancelState,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The idle socket; taken out while a request uses it, and put back only if that ended well.
    wire: Option<Wire>,
    /// A socket that a request left in a state that nobody can trust. It is open still, so that
    /// it can be closed with a farewell, and the server doesn't count it beside its successor.
    spent: Option<Wire>,
}

impl Station {
    pub(super) fn new(endpoint: Arc<Endpoint>, dial_limiter: Arc<dyn DialLimiter>) -> Arc<Station> {
        Arc::new(Station {
            endpoint,
            dial_limiter,
            cutter: CancelState::default(),
            state: Mutex::default(),
        })
    }

    /// Wakes whatever the request in flight waits for.
    pub(super) fn cancel(&self) {
        if self.cutter.cut() {
            self.dial_limiter.wake();
        }
    }

    /// An open socket for a request: the kept one if it still lives (and need not be `fresh`), or a
    /// new one.
    pub(super) fn wire(self: &Arc<Station>, bound: &RequestDeadline, fresh: bool) -> Result<Wire> {
        if self.cutter.is_cut() {
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
            wire.finish(clock::now() + REPLACE_LINGER.min(bound.left() / 2));
            self.discard(wire);
        }
        self.dial(bound)
    }

    /// The kept socket, if it can carry another request. One that is dead is closed; one that the
    /// server is about to close stays for [`Station::wire`] to take leave of.
    pub(super) fn kept_wire(&self) -> Option<Wire> {
        let mut wire = self.take_wire()?;
        if !wire.probe() {
            self.discard(wire);
            return None;
        }
        if wire.keep_alive_until.is_some_and(|until| until <= clock::now()) {
            self.keep(wire);
            return None;
        }
        Some(wire)
    }

    /// Opens a socket as soon as the limiter permits it, or takes the one that the limiter has.
    pub(super) fn dial(self: &Arc<Station>, bound: &RequestDeadline) -> Result<Wire> {
        self.finish_spent(REPLACE_LINGER.min(bound.left() / 2));
        loop {
            let Some(permit) = self.wait_for_permit(bound)? else {
                match self.kept_wire() {
                    Some(wire) => return Ok(wire),
                    None if self.cutter.is_cut() => return Err(self.cancelled()),
                    None => continue,
                }
            };
            match self.dial_with(permit, bound) {
                Err(error)
                    if error.code() != Code::Cancelled
                        && !bound.left().is_zero()
                        && self.may_ask_for_permit_again() => {}
                outcome => return outcome,
            }
        }
    }

    fn wait_for_permit(self: &Arc<Station>, bound: &RequestDeadline) -> Result<Option<DialPermit>> {
        let cancel_handle = CancelHandle::new(Arc::clone(self));
        self.cutter.set_waits_for_permit(true);
        let permit = if self.cutter.is_cut() {
            Err(self.cancelled())
        } else {
            self.dial_limiter.permit(bound.until, &cancel_handle)
        };
        self.cutter.set_waits_for_permit(false);
        permit.map_err(|error| if self.cutter.is_cut() { self.cancelled() } else { error })
    }

    /// Opens a socket and gives the permit back.
    pub(super) fn dial_with(&self, permit: DialPermit, bound: &RequestDeadline) -> Result<Wire> {
        let bound = bound.at_most(self.endpoint.connect_timeout, "connect_timeout");
        let dialled = match self.cutter.is_cut() {
            true => Err(self.cancelled()),
            false => dial::dial(&self.endpoint, &self.cutter, &bound),
        };
        permit.give_back(dialled.as_ref().map(drop));
        dialled
    }

    /// Looks whether the kept socket, if there is one, is open and silent; closes it if it is not.
    pub(super) fn probe(&self) -> bool {
        let mut state = self.state.lock();
        let Some(wire) = &mut state.wire else { return true };
        if wire.probe() {
            return true;
        }
        // Under the lock, so that it is not a later socket that is forgotten.
        self.cutter.forget_socket();
        let dead = state.wire.take();
        drop(state);
        drop(dead);
        false
    }

    /// Whether the limiter would have a request wait for a socket, instead of failing.
    pub(super) fn may_ask_for_permit_again(&self) -> bool {
        !self.cutter.is_cut() && self.dial_limiter.may_ask_again()
    }

    /// Tells the pool what a request showed of its socket.
    pub(super) fn note(&self, event: SocketEvent<'_>) {
        self.dial_limiter.note(event);
    }

    /// Takes the kept socket of a connection that nobody uses.
    pub(super) fn take_socket_of(&self, other: &Station) {
        let Some(wire) = other.take_wire() else { return };
        other.cutter.forget_socket();
        if self.cutter.watch_socket(wire.socket()).is_ok() {
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
    pub(super) fn lay_aside(&self, mut wire: Wire) {
        let is_over = wire.finish(clock::now());
        self.cutter.forget_socket();
        if !is_over {
            self.state.lock().spent = Some(wire);
        }
    }

    /// Whether a socket was laid aside.
    pub(super) fn has_spent(&self) -> bool {
        self.state.lock().spent.is_some()
    }

    /// Closes the socket that was laid aside, if one was, with a farewell.
    pub(super) fn finish_spent(&self, linger: Duration) {
        let spent = self.state.lock().spent.take();
        if let Some(mut wire) = spent {
            wire.finish(clock::now() + linger);
        }
    }

    pub(super) fn take_wire(&self) -> Option<Wire> {
        self.state.lock().wire.take()
    }

    /// Keeps a socket for the next request.
    pub(super) fn keep(&self, wire: Wire) {
        self.state.lock().wire = Some(wire);
    }

    /// Closes a socket without a word.
    pub(super) fn discard(&self, wire: Wire) {
        self.cutter.forget_socket();
        drop(wire);
    }

    /// Closes whatever is open, without a word.
    pub(super) fn discard_all(&self) {
        self.discard_kept();
        drop(self.state.lock().spent.take());
    }

    /// Closes the kept socket, if there is one.
    pub(super) fn discard_kept(&self) {
        if let Some(wire) = self.take_wire() {
            self.discard(wire);
        }
    }

    /// Looks at the kept socket, or changes it.
    pub(super) fn with_wire<T>(&self, look: impl FnOnce(&mut Wire) -> T) -> Option<T> {
        self.state.lock().wire.as_mut().map(look)
    }
}

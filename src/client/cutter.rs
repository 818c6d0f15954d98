//! Cutting a request in flight from another thread.

use std::sync::Arc;

use crate::client::transport::resolve::{Event, LookUp};
use crate::client::transport::socket::Socket;
use crate::os::locks::Mutex;
use crate::os::locks::atomic::{AtomicBool, Ordering};

/// The part of a connection that other threads may touch.
#[derive(Debug, Default)]
pub(super) struct CancelState {
    /// Set and cleared under the lock; read without it.
    cut: AtomicBool,
    /// Under one lock with the cutting itself: a socket that is forgotten here is never cut
    /// afterwards, so that a file descriptor is never touched after its close.
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    in_flight: bool,
    for_good: bool,
    waits_for_permit: bool,
    socket: Option<Arc<Socket>>,
    lookup: Option<Arc<LookUp>>,
}

/// The request was cut.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cut;

impl CancelState {
    /// Something that may be cut begins.
    pub(super) fn begin(&self) {
        let mut state = self.state.lock();
        state.in_flight = true;
        self.cut.store(state.for_good, Ordering::Relaxed);
    }

    /// It has ended; true if it was cut, so that its socket is of no use any more.
    pub(super) fn end(&self) -> bool {
        let mut state = self.state.lock();
        state.in_flight = false;
        self.cut.swap(false, Ordering::Relaxed)
    }

    /// Whatever begins from now on is cut already.
    pub(super) fn stay_cut(&self) {
        self.state.lock().for_good = true;
    }

    /// Cuts what is in flight; true if that waits for a permit to dial, and is to be woken there.
    pub(super) fn cut(&self) -> bool {
        let mut state = self.state.lock();
        if !state.in_flight {
            return false;
        }
        self.cut.store(true, Ordering::Release);
        if let Some(socket) = &state.socket {
            socket.cancel();
        }
        if let Some(lookup) = state.lookup.take() {
            lookup.tell(Event::Cut);
        }
        state.waits_for_permit
    }

    pub(super) fn is_in_flight(&self) -> bool {
        self.state.lock().in_flight
    }

    pub(super) fn is_cut(&self) -> bool {
        self.cut.load(Ordering::Acquire)
    }

    pub(super) fn set_waits_for_permit(&self, waits: bool) {
        self.state.lock().waits_for_permit = waits;
    }

    /// The socket that a cut is to wake from now on.
    pub(super) fn watch_socket(&self, socket: &Arc<Socket>) -> Result<(), Cut> {
        let mut state = self.state.lock();
        if self.is_cut() {
            return Err(Cut);
        }
        state.socket = Some(Arc::clone(socket));
        Ok(())
    }

    /// To be called before a socket is closed.
    pub(super) fn forget_socket(&self) {
        self.state.lock().socket = None;
    }

    /// The name look-up that a cut is to wake from now on.
    pub(super) fn watch_lookup(&self, lookup: Arc<LookUp>) -> Result<(), Cut> {
        let mut state = self.state.lock();
        if self.is_cut() {
            return Err(Cut);
        }
        state.lookup = Some(lookup);
        Ok(())
    }

    pub(super) fn forget_lookup(&self) {
        self.state.lock().lookup = None;
    }
}

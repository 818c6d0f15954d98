//! Cancelling a request in flight, from any thread.
//!
//! A connection has one [`CancelState`] for all its requests; a [`CancelHandle`] is what other
//! threads have of it. A [`Canceller`] is told when a request of its own begins and ends, so that
//! it cancels that one and no other.
//!
//! The order of locks: a canceller's own, then this state's, then those of what the request waits
//! for. A limiter of dials is woken with this state's lock released, because it takes a handle's
//! locks while it holds its own.

use std::fmt;
use std::sync::Arc;

use crate::os::locks::Mutex;
use crate::os::locks::atomic::{AtomicBool, Ordering};

/// What a request waits for, and what a cancel therefore has to end.
pub(super) trait Wait: Send + Sync {
    /// Ends the wait. Called on the thread that cancels.
    fn cancel(&self);
}

/// Whether a connection has a request in flight, what that waits for, and whether it is cancelled.
#[derive(Default)]
pub(super) struct CancelState {
    /// Set and cleared under the lock; read without it.
    is_cancelled: AtomicBool,
    /// Under one lock with the cancelling itself: a socket that is forgotten here is never
    /// cancelled afterwards, because it may serve another connection or be closed by then.
    in_flight: Mutex<RequestState>,
}

#[derive(Default)]
struct RequestState {
    is_in_flight: bool,
    /// Every request is cancelled as it begins.
    is_for_good: bool,
    /// The socket or the name look-up; cancelled under the lock.
    wait: Option<Arc<dyn Wait>>,
    /// The permit to dial; cancelled after the lock is released.
    permit: Option<Arc<dyn Wait>>,
}

/// The request is cancelled.
#[derive(Clone, Copy, Debug)]
pub(super) struct CancelledError;

impl CancelState {
    /// A request begins.
    pub(super) fn begin(&self) {
        let mut request = self.in_flight.lock();
        request.is_in_flight = true;
        self.is_cancelled.store(request.is_for_good, Ordering::Relaxed);
    }

    /// It has ended; true if it was cancelled, so that its socket is of no use any more.
    pub(super) fn end(&self) -> bool {
        let mut request = self.in_flight.lock();
        request.is_in_flight = false;
        self.is_cancelled.swap(false, Ordering::Relaxed)
    }

    /// Cancels the request in flight, if there is one.
    pub(super) fn cancel(&self) {
        let request = self.in_flight.lock();
        if !request.is_in_flight {
            return;
        }
        self.is_cancelled.store(true, Ordering::Release);
        if let Some(wait) = &request.wait {
            wait.cancel();
        }
        let permit = request.permit.clone();
        drop(request);
        if let Some(permit) = permit {
            permit.cancel();
        }
    }

    fn cancel_for_good(&self) {
        self.in_flight.lock().is_for_good = true;
        self.cancel();
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.is_cancelled.load(Ordering::Acquire)
    }

    /// The request waits for this from now on, or keeps its socket for the next.
    pub(super) fn wait_for(&self, wait: Arc<dyn Wait>) -> Result<(), CancelledError> {
        let mut request = self.in_flight.lock();
        if self.is_cancelled() {
            return Err(CancelledError);
        }
        request.wait = Some(wait);
        Ok(())
    }

    /// To be called before a socket is closed or given away, and after a name look-up.
    pub(super) fn forget(&self) {
        let forgotten = self.in_flight.lock().wait.take();
        // After the lock is released: it may be the last that holds a socket.
        drop(forgotten);
    }

    /// The request waits for a permit to dial from now on, or does so no more.
    pub(super) fn wait_for_permit(&self, permit: Option<Arc<dyn Wait>>) {
        self.in_flight.lock().permit = permit;
    }
}

impl fmt::Debug for CancelState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelState").finish_non_exhaustive()
    }
}

/// Cancels what a connection has in flight, from any thread, at any time.
#[derive(Clone, Debug)]
pub struct CancelHandle(Arc<CancelState>);

impl CancelHandle {
    pub(super) fn new(state: Arc<CancelState>) -> CancelHandle {
        CancelHandle(state)
    }

    /// Cancels the request in flight, wherever it is: waiting for a permit to dial, looking a name
    /// up, connecting, sending or receiving. It returns `Cancelled`, or its result if that was
    /// complete. With nothing in flight this does nothing, and the next request is not touched.
    pub fn cancel(&self) {
        self.0.cancel();
    }

    /// As [`CancelHandle::cancel`], and every later request of the connection is refused as
    /// `Cancelled`, before anything is sent.
    pub fn cancel_for_good(&self) {
        self.0.cancel_for_good();
    }

    /// Whether what is in flight now is cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Whether something is in flight now.
    pub fn is_in_flight(&self) -> bool {
        self.0.in_flight.lock().is_in_flight
    }
}

/// What may cancel one request.
pub trait Canceller: Send + Sync {
    /// The request begins: until [`Canceller::detach`], the handle cancels this request and no
    /// other. False if it was cancelled already; then nothing is sent, and the request fails with
    /// `Cancelled`.
    fn attach(&self, handle: &CancelHandle) -> bool;

    /// The request has ended.
    fn detach(&self);
}

/// The canceller of a request in flight, if it has one. It is detached even if that panics.
#[derive(Default)]
pub(super) struct Attached(Option<Arc<dyn Canceller>>);

impl Attached {
    pub(super) fn new(canceller: Option<Arc<dyn Canceller>>, state: &Arc<CancelState>) -> Attached {
        if let Some(canceller) = &canceller {
            let handle = CancelHandle::new(Arc::clone(state));
            if !canceller.attach(&handle) {
                handle.cancel();
            }
        }
        Attached(canceller)
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        if let Some(canceller) = &self.0 {
            canceller.detach();
        }
    }
}

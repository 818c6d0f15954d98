//! A lease, and what waits for its turn on it.

use std::fmt;
use std::os::fd::OwnedFd;
use std::sync::{Arc, OnceLock};

use super::step_by_step::StepByStep;
use super::turns::Turns;
use crate::client::{OnClose, Progress, Request, Response};
use crate::error::Result;
use crate::os::threads::Uncancelled;
use crate::pool::Lease;

/// A lease whose requests may also be made without waiting: one after the other, in the order in
/// which they came. The lease ends with the last of them, or when this is dropped, whichever is
/// later. `T` is such a request: it keeps the queue while it waits and while it is carried out, and
/// no longer while its callback runs.
pub struct ConnectionQueue<T> {
    /// The request that the program carries on itself.
    step_by_step: StepByStep,
    /// There while the queue is in use.
    lease: Option<Lease>,
    /// Made for the first request that does not wait.
    turns: OnceLock<Arc<Turns<T>>>,
}

impl<T> ConnectionQueue<T> {
    /// The queue of this lease.
    #[allow(clippy::new_ret_no_self)]
    pub fn new(lease: Lease) -> Arc<Self> {
        Arc::new(Self {
            step_by_step: StepByStep::default(),
            lease: Some(lease),
            turns: OnceLock::new(),
        })
    }

    /// The lease, for calls that wait.
    pub fn lease(&self) -> &Lease {
        self.lease.as_ref().expect("an empty queue is in nobody's hands")
    }

    /// Sends a request as far as that can be done without waiting. Returns its outcome if it is over;
    /// otherwise shows `look` how far it has come, and it goes on by [`ConnectionQueue::resume`].
    pub fn start(
        &self,
        request: Request,
        look: impl FnOnce(&Progress),
    ) -> Option<Result<Response>> {
        self.step_by_step.start(self.lease(), request, look)
    }

    /// Goes on with the request that was started, as far as that can be done without waiting;
    /// otherwise as [`ConnectionQueue::start`].
    pub fn resume(&self, look: impl FnOnce(&Progress)) -> Option<Result<Response>> {
        self.step_by_step.resume(self.lease(), true, look)
    }

    /// As [`ConnectionQueue::resume`], but does not read a large response, which takes a while: that is
    /// left to [`CallbackPool::finish`](super::CallbackPool::finish).
    pub fn resume_unread(&self, look: impl FnOnce(&Progress)) -> Option<Result<Response>> {
        self.step_by_step.resume(self.lease(), false, look)
    }

    /// Waits for the end of the request that was started, however far it has come.
    ///
    /// # Errors
    /// As [`Lease::request`]; `InvalidState` without such a request.
    pub fn finish(&self) -> Result<Response> {
        self.step_by_step.finish(self.lease())
    }

    /// A duplicate of the descriptor of the socket that the started request waits for; `on_close` is
    /// called when that socket is closed. No step can be made meanwhile, so it is the right one.
    ///
    /// # Errors
    /// `InvalidState` without a request that waits; `Overloaded` with the system's reason, and the
    /// request goes on.
    pub fn duplicate(&self, on_close: Option<OnClose>) -> Result<OwnedFd> {
        self.step_by_step.duplicate(on_close)
    }

    /// Takes the started request, however far it has come, for the library to carry out.
    pub(super) fn take_started(&self) -> Result<(Request, Progress)> {
        self.step_by_step.take()
    }

    /// Ends the lease, if no request keeps the queue; what is left serves another lease.
    pub fn emptied(mut self: Arc<Self>) -> Option<Arc<Self>> {
        let queue = Arc::get_mut(&mut self)?;
        queue.abandon_step();
        queue.lease = None;
        // Mostly there is nothing in it, and to look is cheaper than to write.
        if queue.turns.get().is_some() {
            queue.turns = OnceLock::new();
        }
        Some(self)
    }

    /// Puts a lease into this empty queue.
    #[inline]
    pub fn filled(mut self: Arc<Self>, lease: Lease) -> Arc<Self> {
        match Arc::get_mut(&mut self) {
            Some(queue) => queue.lease = Some(lease),
            None => return ConnectionQueue::new(lease),
        }
        self
    }

    pub(super) fn turns(&self) -> &Arc<Turns<T>> {
        self.turns.get_or_init(Arc::default)
    }

    /// Gives up the request that the program carries on itself, if one is in flight.
    fn abandon_step(&mut self) {
        if let (Some(progress), Some(lease)) = (self.step_by_step.forget(), &self.lease) {
            // Its socket is closed.
            let _uncancelled = Uncancelled::begin();
            lease.abandon(progress);
        }
    }
}

/// An empty one.
impl<T> Default for ConnectionQueue<T> {
    fn default() -> Self {
        ConnectionQueue { step_by_step: StepByStep::default(), lease: None, turns: OnceLock::new() }
    }
}

impl<T> Drop for ConnectionQueue<T> {
    fn drop(&mut self) {
        self.abandon_step();
    }
}

impl<T> fmt::Debug for ConnectionQueue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionQueue").field("lease", &self.lease).finish_non_exhaustive()
    }
}

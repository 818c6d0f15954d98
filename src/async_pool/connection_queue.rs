//! A lease, and the requests that wait for their turn on it.

use std::collections::VecDeque;
use std::fmt;
use std::mem;
use std::os::fd::OwnedFd;
use std::sync::{Arc, OnceLock};

use super::request_task::RequestTask;
use super::step_by_step::StepByStep;
use super::ticket::Ticket;
use crate::client::{OnClose, Progress, Request, Response};
use crate::error::Result;
use crate::os::locks::Mutex;
use crate::os::threads::Uncancelled;
use crate::pool::Lease;

/// A lease whose requests may also be made without waiting: one after the other, in the order in
/// which they came. The lease ends with the last of them, or when this is dropped, whichever is
/// later.
#[derive(Default)]
pub struct ConnectionQueue {
    /// The request that the program carries on itself.
    step_by_step: StepByStep,
    /// There while the queue is in use.
    lease: Option<Lease>,
    /// Made for the first request that does not wait.
    turns: OnceLock<Arc<Turns>>,
}

/// Whose turn it is on a connection. A task that waits keeps the [`ConnectionQueue`]; one whose
/// callback runs does not.
#[derive(Default)]
pub struct Turns(Mutex<Queue>);

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Box<RequestTask>>,
    /// A task is being carried out, or its callback runs.
    is_busy: bool,
}

impl ConnectionQueue {
    /// The queue of this lease.
    #[allow(clippy::new_ret_no_self)]
    pub fn new(lease: Lease) -> Arc<ConnectionQueue> {
        let (step_by_step, turns) = (StepByStep::default(), OnceLock::new());
        Arc::new(ConnectionQueue { step_by_step, lease: Some(lease), turns })
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
    pub fn emptied(mut self: Arc<ConnectionQueue>) -> Option<Arc<ConnectionQueue>> {
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
    pub fn filled(mut self: Arc<ConnectionQueue>, lease: Lease) -> Arc<ConnectionQueue> {
        match Arc::get_mut(&mut self) {
            Some(queue) => queue.lease = Some(lease),
            None => return ConnectionQueue::new(lease),
        }
        self
    }

    pub(super) fn turns(&self) -> &Arc<Turns> {
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

impl Drop for ConnectionQueue {
    fn drop(&mut self) {
        self.abandon_step();
    }
}

impl Turns {
    /// Returns the task if its turn has come; otherwise it waits for that.
    pub fn enter(&self, task: Box<RequestTask>) -> Option<Box<RequestTask>> {
        let mut queue = self.0.lock();
        if !mem::replace(&mut queue.is_busy, true) {
            return Some(task);
        }
        queue.waiting.push_back(task);
        None
    }

    /// Takes a task out of the queue, if its turn has not come.
    pub fn withdraw(&self, ticket: &Arc<Ticket>) -> Option<Box<RequestTask>> {
        let mut queue = self.0.lock();
        let at = queue.waiting.iter().position(|task| Arc::ptr_eq(task.ticket(), ticket))?;
        queue.waiting.remove(at)
    }

    /// The next task, now that the one before it is over.
    pub fn next(&self) -> Option<Box<RequestTask>> {
        let mut queue = self.0.lock();
        let next = queue.waiting.pop_front();
        queue.is_busy = next.is_some();
        next
    }
}

impl fmt::Debug for ConnectionQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionQueue").field("lease", &self.lease).finish_non_exhaustive()
    }
}

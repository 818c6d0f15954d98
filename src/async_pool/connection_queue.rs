//! A lease, and the requests that wait for their turn on it.

use std::collections::VecDeque;
use std::fmt;
use std::mem;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use super::call::{Call, cancelled};
use super::dispatcher::Dispatcher;
use super::request_task::RequestTask;
use super::step_by_step::Stepped;
use super::ticket::Ticket;
use crate::client::{Request, Response};
use crate::os::locks::Mutex;
use crate::os::threads::Uncancelled;
use crate::pool::Lease;
#[cfg(feature = "capi")]
use crate::pool::Pool;

/// A lease whose requests may also be made without waiting: one after the other, in the order in
/// which they came. The lease ends with the last of them, or when this is dropped, whichever is
/// later.
#[derive(Default)]
pub struct ConnectionQueue {
    /// The request that the program carries on itself.
    pub(super) stepped: Stepped,
    /// There while the lane is in use.
    lease: Option<Lease>,
    /// Made for the first request that does not wait.
    turns: OnceLock<Arc<Turns>>,
}

/// Whose turn it is on a lane. What waits keeps the lane; what runs a callback does not.
#[derive(Default)]
pub struct Turns(Mutex<Queue>);

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Box<RequestTask>>,
    /// One of them is being carried out, or its callback runs.
    is_served: bool,
    /// Who tells those that are cancelled.
    dispatcher: Option<Arc<Dispatcher>>,
}

impl ConnectionQueue {
    /// A lane of this lease.
    #[allow(clippy::new_ret_no_self)]
    pub fn new(lease: Lease) -> Arc<ConnectionQueue> {
        let (stepped, turns) = (Stepped::default(), OnceLock::new());
        Arc::new(ConnectionQueue { stepped, lease: Some(lease), turns })
    }

    /// The lease, for calls that wait.
    pub fn lease(&self) -> &Lease {
        self.lease.as_ref().expect("nobody has an empty lane")
    }

    /// Ends the lease, if no request holds on to the lane; what is left serves another lease.
    #[cfg(feature = "capi")]
    pub(crate) fn emptied(mut self: Arc<ConnectionQueue>) -> Option<Arc<ConnectionQueue>> {
        let lane = Arc::get_mut(&mut self)?;
        lane.abandon_step();
        lane.lease = None;
        // Mostly there is nothing in it, and to look is cheaper than to write.
        if lane.turns.get().is_some() {
            lane.turns = OnceLock::new();
        }
        Some(self)
    }

    /// Gives up the request that the program carries on itself, if one is under way.
    fn abandon_step(&mut self) {
        if let (Some(underway), Some(lease)) = (self.stepped.take_underway(), &self.lease) {
            // Its socket is closed.
            let _uncancelled = Uncancelled::begin();
            lease.abandon(underway);
        }
    }

    /// Puts a lease into this empty lane.
    #[cfg(feature = "capi")]
    pub(crate) fn filled(mut self: Arc<ConnectionQueue>, lease: Lease) -> Arc<ConnectionQueue> {
        match Arc::get_mut(&mut self) {
            Some(lane) => lane.lease = Some(lease),
            None => return ConnectionQueue::new(lease),
        }
        self
    }

    /// Puts a connection that is ready into this empty lane, if there is one.
    #[cfg(feature = "capi")]
    pub(crate) fn acquire_ready(self: &mut Arc<ConnectionQueue>, pool: &Pool) -> bool {
        Arc::get_mut(self).is_some_and(|lane| pool.acquire_ready(&mut lane.lease))
    }

    pub(super) fn turns(&self) -> &Arc<Turns> {
        self.turns.get_or_init(Arc::default)
    }

    /// `again` is of a request that was sent before; see there.
    pub(super) fn submit(
        self: &Arc<Self>,
        dispatcher: &Arc<Dispatcher>,
        request: Request,
        again: Option<Instant>,
        call: Call<Response>,
    ) {
        let ticket = call.ticket().clone();
        let task = RequestTask::in_lane(self.clone(), request, again, call);
        let turns = self.turns();
        let mut queue = turns.0.lock();
        if !mem::replace(&mut queue.is_served, true) {
            drop(queue);
            return dispatcher.carry_out(task);
        }
        queue.waiting.push_back(task);
        queue.dispatcher = Some(dispatcher.clone());
        drop(queue);
        if !ticket.wait_in(turns) {
            turns.withdraw(&ticket);
        }
    }
}

impl Drop for ConnectionQueue {
    fn drop(&mut self) {
        self.abandon_step();
    }
}

impl Turns {
    /// Takes a call that is cancelled out of the queue, if its turn has not come.
    pub fn withdraw(&self, ticket: &Arc<Ticket>) {
        let mut queue = self.0.lock();
        let at = queue.waiting.iter().position(|task| Arc::ptr_eq(task.ticket(), ticket));
        let withdrawn = at.and_then(|at| queue.waiting.remove(at));
        let dispatcher = queue.dispatcher.clone();
        drop(queue);
        if let (Some(task), Some(dispatcher)) = (withdrawn, dispatcher) {
            dispatcher.complete(task.into_call(), Err(cancelled()));
        }
    }

    /// The next, now that the one before it is done with.
    pub fn next(&self) -> Option<Box<RequestTask>> {
        let mut queue = self.0.lock();
        let next = queue.waiting.pop_front();
        queue.is_served = next.is_some();
        next
    }
}

impl fmt::Debug for ConnectionQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lane").field("lease", &self.lease).finish_non_exhaustive()
    }
}

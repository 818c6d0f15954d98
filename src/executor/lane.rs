//! A lease, and the requests that wait for their turn on it.

use std::collections::VecDeque;
use std::fmt;
use std::mem;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use super::call::{Call, cancelled};
use super::crew::Crew;
use super::errand::Errand;
use super::stepped::Stepped;
use super::ticket::Ticket;
use crate::client::{Answer, Request};
use crate::pool::Lease;
use crate::sync::Mutex;

/// A lease whose requests may also be made without waiting: one after the other, in the order in
/// which they came. The lease ends with the last of them, or when this is dropped, whichever is
/// later.
pub struct Lane {
    /// Before the lease, whose connection it has.
    pub(super) stepped: Stepped,
    /// There until the lane is emptied.
    lease: Option<Lease>,
    /// Made for the first request that does not wait.
    turns: OnceLock<Arc<Turns>>,
}

/// Whose turn it is on a lane. What waits keeps the lane; what runs a callback does not.
#[derive(Default)]
pub struct Turns(Mutex<Queue>);

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Box<Errand>>,
    /// One of them is being carried out, or its callback runs.
    is_served: bool,
    /// Who tells those that are cancelled.
    crew: Option<Arc<Crew>>,
}

impl Lane {
    /// A lane of this lease.
    #[allow(clippy::new_ret_no_self)]
    pub fn new(lease: Lease) -> Arc<Lane> {
        Arc::new(Lane::with(Some(lease)))
    }

    fn with(lease: Option<Lease>) -> Lane {
        Lane { stepped: Stepped::default(), lease, turns: OnceLock::new() }
    }

    /// The lease, for calls that wait.
    pub fn lease(&self) -> &Lease {
        self.lease.as_ref().expect("nobody has an empty lane")
    }

    /// Ends the lease, if no request holds on to the lane; what is left serves another lease.
    #[cfg(feature = "capi")]
    pub(crate) fn emptied(mut self: Arc<Lane>) -> Option<Arc<Lane>> {
        *Arc::get_mut(&mut self)? = Lane::with(None);
        Some(self)
    }

    /// A lane of this lease, made of an empty one.
    #[cfg(feature = "capi")]
    pub(crate) fn renewed(mut self: Arc<Lane>, lease: Lease) -> Arc<Lane> {
        match Arc::get_mut(&mut self) {
            Some(lane) => lane.lease = Some(lease),
            None => return Lane::new(lease),
        }
        self
    }

    pub(super) fn turns(&self) -> &Arc<Turns> {
        self.turns.get_or_init(Arc::default)
    }

    /// `again` is of a request that was sent before; see there.
    pub(super) fn submit(
        self: &Arc<Self>,
        crew: &Arc<Crew>,
        request: Request,
        again: Option<Instant>,
        call: Call<Answer>,
    ) {
        let ticket = call.ticket().clone();
        let errand = Errand::in_lane(self.clone(), request, again, call);
        let turns = self.turns();
        let mut queue = turns.0.lock();
        if !mem::replace(&mut queue.is_served, true) {
            drop(queue);
            return crew.carry_out(errand);
        }
        queue.waiting.push_back(errand);
        queue.crew = Some(crew.clone());
        drop(queue);
        if !ticket.wait_in(turns) {
            turns.withdraw(&ticket);
        }
    }
}

impl Turns {
    /// Takes a call that is cancelled out of the queue, if its turn has not come.
    pub fn withdraw(&self, ticket: &Arc<Ticket>) {
        let mut queue = self.0.lock();
        let at = queue.waiting.iter().position(|errand| Arc::ptr_eq(errand.ticket(), ticket));
        let withdrawn = at.and_then(|at| queue.waiting.remove(at));
        let crew = queue.crew.clone();
        drop(queue);
        if let (Some(errand), Some(crew)) = (withdrawn, crew) {
            crew.complete(errand.into_call(), Err(cancelled()));
        }
    }

    /// The next, now that the one before it is done with.
    pub fn next(&self) -> Option<Box<Errand>> {
        let mut queue = self.0.lock();
        let next = queue.waiting.pop_front();
        queue.is_served = next.is_some();
        next
    }
}

impl fmt::Debug for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lane").field("lease", &self.lease).finish_non_exhaustive()
    }
}

//! A lease, and the requests that wait for their turn on it.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use super::call::{Call, cancelled};
use super::crew::Crew;
use super::ticket::Ticket;
use crate::client::{Answer, Request};
use crate::pool::Lease;
use crate::sync::Mutex;

/// A lease whose requests may also be made without waiting: one after the other, in the order in
/// which they came. The lease ends with the last of them, or when this is dropped, whichever is
/// later.
pub struct Lane {
    lease: Lease,
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    calls: VecDeque<(Request, Call<Answer>)>,
    /// A thread of the crew works on them, or is about to.
    is_served: bool,
    crew: Option<Arc<Crew>>,
}

impl Lane {
    /// A lane of this lease.
    #[allow(clippy::new_ret_no_self)]
    pub fn new(lease: Lease) -> Arc<Lane> {
        Arc::new(Lane { lease, queue: Mutex::default() })
    }

    /// The lease, for calls that wait.
    pub fn lease(&self) -> &Lease {
        &self.lease
    }

    pub(super) fn submit(self: &Arc<Self>, crew: &Arc<Crew>, request: Request, call: Call<Answer>) {
        let ticket = call.ticket().clone();
        let mut queue = self.queue.lock();
        queue.calls.push_back((request, call));
        let is_served = std::mem::replace(&mut queue.is_served, true);
        if is_served {
            queue.crew = Some(crew.clone());
            drop(queue);
            if !ticket.wait_in(self) {
                self.withdraw(&ticket);
            }
        } else {
            drop(queue);
            let lane = self.clone();
            crew.request(move |in_request| {
                lane.serve();
                drop(in_request);
            });
        }
    }

    /// Takes a call that is cancelled out of the queue, if its turn has not come.
    pub(super) fn withdraw(&self, ticket: &Arc<Ticket>) {
        let mut queue = self.queue.lock();
        let is_meant = |(_, call): &(Request, Call<Answer>)| Arc::ptr_eq(call.ticket(), ticket);
        let withdrawn = queue.calls.iter().position(is_meant).and_then(|at| queue.calls.remove(at));
        let crew = queue.crew.clone();
        drop(queue);
        if let (Some((_, call)), Some(crew)) = (withdrawn, crew) {
            crew.complete(call, Err(cancelled()));
        }
    }

    fn serve(&self) {
        while let Some((request, call)) = self.next() {
            call.leave_queue();
            let outcome = call.send(&request, &self.lease);
            call.complete(outcome);
        }
    }

    fn next(&self) -> Option<(Request, Call<Answer>)> {
        let mut queue = self.queue.lock();
        let next = queue.calls.pop_front();
        queue.is_served = next.is_some();
        next
    }
}

impl fmt::Debug for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lane").field("lease", &self.lease).finish_non_exhaustive()
    }
}

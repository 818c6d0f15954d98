//! What cancels one asynchronous call.

use std::fmt;
use std::sync::Arc;

use super::connection_queue::Turns;
use crate::client::{CancelHandle, Canceller};
use crate::error::{Code, Error, Result};
use crate::os::fork;
use crate::os::locks::Mutex;
use crate::pool::{Waiting, Withdrawal};

/// Cancels one asynchronous call, from any thread, at any time.
pub struct Ticket {
    /// The process that made it.
    generation: u64,
    state: Mutex<State>,
}

struct State {
    is_cancelled: bool,
    place: Place,
}

/// Where a call is, and so what its cancellation has to reach.
enum Place {
    New,
    /// In the pool's queue.
    Waiting(Waiting),
    /// Behind others on its connection.
    InLane(Arc<Turns>),
    /// On its way from one place to the next; or it is over.
    Between,
    InFlight(CancelHandle),
}

impl Ticket {
    /// A ticket for one call.
    #[allow(clippy::new_ret_no_self)]
    pub fn new() -> Arc<Ticket> {
        Arc::new(Ticket {
            generation: fork::generation(),
            state: Mutex::new(State { is_cancelled: false, place: Place::New }),
        })
    }

    /// Cancels the call: its callback gets `Cancelled`, or the result if that came first. A request
    /// in flight is cut, and its connection with it; what the server made of it is unknown. Once
    /// the call is over, or if it was cancelled before, this does nothing.
    ///
    /// # Errors
    /// `InvalidHandle` in a forked child, if the parent made the call.
    pub fn cancel(self: &Arc<Self>) -> Result<()> {
        if self.generation != fork::generation() {
            return Err(Error::new(
                Code::InvalidHandle,
                "ticket: the handle belongs to the parent process, which made the call before \
                 the fork",
            ));
        }
        let mut state = self.state.lock();
        state.is_cancelled = true;
        match &state.place {
            // Under the lock, because the connection's next request must not be hit.
            Place::InFlight(cancel_handle) => cancel_handle.cancel(),
            Place::Waiting(waiting) => {
                let waiting = waiting.clone();
                drop(state);
                if let Some((receiver, error)) = waiting.withdraw(Withdrawal::Cancelled) {
                    receiver(Err(error));
                }
            }
            Place::InLane(turns) => {
                let turns = turns.clone();
                drop(state);
                turns.withdraw(self);
            }
            Place::New | Place::Between => {}
        }
        Ok(())
    }

    /// Whether the call was cancelled before it began.
    pub(super) fn is_cancelled(&self) -> bool {
        self.state.lock().is_cancelled
    }

    /// The turn of the call has come: says whether it is wanted still.
    pub(super) fn is_wanted(&self) -> bool {
        self.leave();
        !self.state.lock().is_cancelled
    }

    /// The call waits for a connection, unless it has got one by now. False if it is cancelled.
    pub(super) fn wait(&self, waiting: &Waiting) -> bool {
        self.enter(Place::Waiting(waiting.clone()))
    }

    /// The call waits for its turn, unless that has come by now. False if it is cancelled.
    pub(super) fn wait_in(&self, turns: &Arc<Turns>) -> bool {
        self.enter(Place::InLane(turns.clone()))
    }

    fn enter(&self, place: Place) -> bool {
        let mut state = self.state.lock();
        if let Place::New = state.place {
            state.place = place;
        }
        !state.is_cancelled
    }

    /// The call does not wait any more.
    pub(super) fn leave(&self) {
        let left = std::mem::replace(&mut self.state.lock().place, Place::Between);
        // After the lock is released: it may be the last that holds a connection.
        drop(left);
    }
}

impl Canceller for Ticket {
    fn attach(&self, cancel_handle: &CancelHandle) -> bool {
        let mut state = self.state.lock();
        state.place = Place::InFlight(cancel_handle.clone());
        !state.is_cancelled
    }

    fn detach(&self) {
        self.leave();
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket").finish_non_exhaustive()
    }
}

//! What cancels one asynchronous call, wherever that is: in a queue, or in flight.

use std::fmt;
use std::mem;
use std::sync::Arc;

use crate::client::{CancelHandle, Canceller};
use crate::error::{Code, Error, Result};
use crate::os::fork;
use crate::os::locks::Mutex;
use crate::pool::Waiter;

/// Cancels one asynchronous call, from any thread, at any time.
pub struct Ticket {
    /// The process that made it.
    generation: u64,
    state: Mutex<State>,
}

struct State {
    is_cancelled: bool,
    call: CallState,
}

/// Where a call is, and so what its cancellation has to reach.
enum CallState {
    New,
    /// In the pool's queue for a connection.
    WaitsForConnection(Arc<Waiter>),
    /// Behind other requests on its connection. The function takes it out of there.
    WaitsForTurn(Box<dyn FnOnce() + Send>),
    InFlight(CancelHandle),
    /// On its way from one of these to the next, or over.
    Between,
}

impl Ticket {
    /// A ticket for one call.
    #[allow(clippy::new_ret_no_self)]
    pub fn new() -> Arc<Ticket> {
        Arc::new(Ticket {
            generation: fork::generation(),
            state: Mutex::new(State { is_cancelled: false, call: CallState::New }),
        })
    }

    /// Cancels the call: its callback gets `Cancelled`, or the result if that came first. A request
    /// in flight is cut, and its connection with it; what the server made of it is unknown. Once
    /// the call is over, or if it was cancelled before, this does nothing.
    ///
    /// # Errors
    /// `InvalidHandle` in a forked child, if the parent made the call.
    pub fn cancel(&self) -> Result<()> {
        if self.is_inherited() {
            return Err(Error::new(
                Code::InvalidHandle,
                "ticket: the handle belongs to the parent process, which made the call before \
                 the fork",
            ));
        }
        let mut state = self.state.lock();
        state.is_cancelled = true;
        if let CallState::InFlight(cancel_handle) = &state.call {
            // Under the lock, because the connection's next request must not be hit.
            cancel_handle.cancel();
            return Ok(());
        }
        let waiting = mem::replace(&mut state.call, CallState::Between);
        drop(state);
        match waiting {
            CallState::WaitsForConnection(waiter) => {
                if let Some((callback, error)) = waiter.cancel() {
                    callback(Err(error));
                }
            }
            CallState::WaitsForTurn(withdraw) => withdraw(),
            CallState::New | CallState::InFlight(_) | CallState::Between => {}
        }
        Ok(())
    }

    /// Whether it was made before a fork, in the parent of this process.
    pub(super) fn is_inherited(&self) -> bool {
        self.generation != fork::generation()
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.state.lock().is_cancelled
    }

    /// The turn of the call has come: says whether it is still wanted.
    pub(super) fn is_wanted(&self) -> bool {
        self.leave();
        !self.is_cancelled()
    }

    /// The call waits for a connection, unless it has got one by now. False if it is cancelled.
    pub(super) fn wait_for_connection(&self, waiter: &Arc<Waiter>) -> bool {
        let mut state = self.state.lock();
        if state.is_cancelled {
            return false;
        }
        if let CallState::New = state.call {
            state.call = CallState::WaitsForConnection(waiter.clone());
        }
        true
    }

    /// The call waits for its turn, unless that has come by now. `withdraw` takes it out of the
    /// queue when it is cancelled, or at once if it was cancelled before.
    pub(super) fn wait_for_turn(&self, withdraw: impl FnOnce() + Send + 'static) {
        let mut state = self.state.lock();
        if state.is_cancelled {
            drop(state);
            return withdraw();
        }
        if let CallState::New = state.call {
            state.call = CallState::WaitsForTurn(Box::new(withdraw));
        }
    }

    /// The call does not wait any more.
    pub(super) fn leave(&self) {
        let left = mem::replace(&mut self.state.lock().call, CallState::Between);
        // After the lock is released: it may be the last that holds a connection.
        drop(left);
    }
}

impl Canceller for Ticket {
    fn attach(&self, cancel_handle: &CancelHandle) -> bool {
        let mut state = self.state.lock();
        state.call = CallState::InFlight(cancel_handle.clone());
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

//! An asynchronous call: its ticket, and the callback that is pending to it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::dispatcher::PendingCallback;
use super::ticket::Ticket;
use crate::error::{Code, Error, Result};
use crate::os::threads;

/// An asynchronous call, until its callback has run.
pub struct Call<T> {
    ticket: Arc<Ticket>,
    done: Box<dyn FnOnce(Result<T>) + Send>,
    pending: PendingCallback,
}

impl<T> Call<T> {
    pub fn new(
        ticket: &Arc<Ticket>,
        pending: PendingCallback,
        done: impl FnOnce(Result<T>) + Send + 'static,
    ) -> Self {
        Call { ticket: ticket.clone(), done: Box::new(done), pending }
    }

    pub fn ticket(&self) -> &Arc<Ticket> {
        &self.ticket
    }

    /// It does not wait any more.
    pub fn leave_queue(&self) {
        self.ticket.leave();
    }

    /// Runs the callback, on this thread.
    pub fn complete(self, outcome: Result<T>) {
        let Call { ticket, done, pending } = self;
        ticket.leave();
        // Whose panic it is, is not known here, and others wait for this thread.
        let _ = catch_unwind(AssertUnwindSafe(|| threads::call_back(|| done(outcome))));
        drop(pending);
    }
}

/// What a call comes to that is cancelled before anything was sent.
pub fn cancelled() -> Error {
    Error::new(Code::Cancelled, "Cancelled before the request was sent")
}

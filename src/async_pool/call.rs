//! An asynchronous call: its ticket, and the callback that it ends with.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::ticket::Ticket;
use crate::error::{Code, Error, Result};
use crate::os::threads;

/// An asynchronous call, until its callback has run.
pub struct Call<T> {
    ticket: Arc<Ticket>,
    callback: Box<dyn FnOnce(Result<T>) + Send>,
}

impl<T: 'static> Call<T> {
    /// `pending` is dropped when the callback has run.
    pub fn new(
        ticket: &Arc<Ticket>,
        pending: impl Send + 'static,
        callback: impl FnOnce(Result<T>) + Send + 'static,
    ) -> Self {
        let callback = Box::new(move |outcome| {
            // The program's panic is its own affair, and others need this thread.
            let _ = catch_unwind(AssertUnwindSafe(|| threads::call_back(|| callback(outcome))));
            drop(pending);
        });
        Call { ticket: ticket.clone(), callback }
    }

    pub fn ticket(&self) -> &Arc<Ticket> {
        &self.ticket
    }

    /// Runs the callback, on this thread.
    pub fn complete(self, outcome: Result<T>) {
        self.ticket.leave();
        (self.callback)(outcome);
    }
}

/// The error of a call that was cancelled before anything was sent.
pub fn cancelled() -> Error {
    Error::new(Code::Cancelled, "Cancelled before the request was sent")
}

/// A bug in the library must not end the thread, which others need.
pub fn catch_panic<T>(work: impl FnOnce() -> T) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work))
        .map_err(|_| Error::new(Code::Panic, "A bug in libphantomdb: a request panicked"))
}

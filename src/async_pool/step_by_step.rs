//! A request that the program carries on itself, step by step, in its own event loop.
//!
//! No step waits; the one that gets a large response reads it, or leaves that to a thread. Between two steps the request is kept
//! here, and the lock is held during a step, so that two threads never make one at once.

use std::os::fd::OwnedFd;

use super::call::catch_panic;
use crate::client::{OnClose, Progress, Request, Response};
use crate::error::{Code, Error, Result};
use crate::os::locks::Mutex;
use crate::os::threads;
use crate::pool::Lease;

/// The request of one connection that the program carries on, if there is one.
#[derive(Default)]
pub struct StepByStep(Mutex<Option<(Request, Progress)>>);

impl StepByStep {
    /// See [`ConnectionQueue::start`](super::ConnectionQueue::start).
    pub fn start(
        &self,
        lease: &Lease,
        request: Request,
        look: impl FnOnce(&Progress),
    ) -> Option<Result<Response>> {
        let mut kept = self.0.lock();
        if kept.is_some() {
            let why = "A request that was started on this connection is not over";
            return Some(Err(Error::new(Code::Busy, why)));
        }
        let progress = catch_panic(|| lease.start(&request, None, None));
        keep(lease, &mut kept, request, progress, look)
    }

    /// See [`ConnectionQueue::resume`](super::ConnectionQueue::resume), and for `reads` also
    /// [`ConnectionQueue::resume_unread`](super::ConnectionQueue::resume_unread).
    pub fn resume(
        &self,
        lease: &Lease,
        reads: bool,
        look: impl FnOnce(&Progress),
    ) -> Option<Result<Response>> {
        let mut kept = self.0.lock();
        let (request, progress) = match kept.take() {
            Some((request, Progress::InFlight(in_flight))) => {
                let progress = catch_panic(|| lease.resume(&request, in_flight));
                (request, progress)
            }
            Some((request, progress)) => (request, Ok(progress)),
            None => return Some(Err(not_started())),
        };
        match progress {
            Ok(Progress::Unread(unread)) if !reads => {
                let unread = Progress::Unread(unread);
                look(&unread);
                *kept = Some((request, unread));
                None
            }
            progress => keep(lease, &mut kept, request, progress, look),
        }
    }

    /// See [`ConnectionQueue::finish`](super::ConnectionQueue::finish).
    pub fn finish(&self, lease: &Lease) -> Result<Response> {
        threads::refuse_in_callback("request")?;
        let started = self.0.lock().take();
        let (request, progress) = started.ok_or_else(not_started)?;
        catch_panic(|| lease.finish(&request, progress, None)).unwrap_or_else(Err)
    }

    /// See [`ConnectionQueue::duplicate`](super::ConnectionQueue::duplicate).
    pub fn duplicate(&self, on_close: Option<OnClose>) -> Result<OwnedFd> {
        let kept = self.0.lock();
        let Some((_, Progress::InFlight(in_flight))) = &*kept else {
            let why = "No request that was started on this connection waits for a socket";
            return Err(Error::new(Code::InvalidState, why));
        };
        in_flight.duplicate(on_close).map_err(|error| {
            let why = format!("The socket's descriptor could not be duplicated: {error}");
            Error::new(Code::Overloaded, why)
        })
    }

    /// Forgets the request, and gives what has become of it.
    pub fn forget(&mut self) -> Option<Progress> {
        let kept = self.0.get_mut();
        // Mostly there is nothing in it, and to look is cheaper than to write.
        kept.as_ref()?;
        Some(kept.take()?.1)
    }

    /// Takes the request, however far it has come, for a thread of the library.
    pub fn take(&self) -> Result<(Request, Progress)> {
        self.0.lock().take().ok_or_else(not_started)
    }
}

/// Keeps a request that is not over, and shows `look` how far it has come.
fn keep(
    lease: &Lease,
    kept: &mut Option<(Request, Progress)>,
    request: Request,
    progress: Result<Progress>,
    look: impl FnOnce(&Progress),
) -> Option<Result<Response>> {
    match progress {
        Ok(progress @ (Progress::Done(_) | Progress::Unread(_))) => {
            Some(catch_panic(|| lease.finish(&request, progress, None)).unwrap_or_else(Err))
        }
        Ok(progress) => {
            look(&progress);
            *kept = Some((request, progress));
            None
        }
        Err(panic) => Some(Err(panic)),
    }
}

fn not_started() -> Error {
    Error::new(Code::InvalidState, "No request was started on this connection")
}

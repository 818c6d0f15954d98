//! An acquired connection, and the requests on it.

use std::sync::Arc;
use std::time::Instant;

use super::driver::Driver;
use super::fast_path::{FastSlot, ReadyStack};
use super::machine::LeaseId;
use super::pooled_connection::PooledConnection;
use crate::client::{Canceller, Connection, InFlight, Poller, Progress, Request, Response};
use crate::config::MAX_DURATION;
use crate::error::{Code, Error, Result, UNKNOWN};
use crate::os::clock;
use crate::os::locks::MutexGuard;
use crate::os::locks::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::os::threads;

/// The client knows `request_timeout`; the caller has no deadline of its own.
fn deadline() -> Instant {
    clock::recent() + MAX_DURATION
}

/// The error of a connection that the parent of this process had acquired.
pub fn inherited() -> Error {
    Error::new(
        Code::InvalidHandle,
        "connection: the handle belongs to the parent process, which acquired it before the \
         fork; acquire another from the same pool",
    )
}

fn busy() -> Error {
    Error::new(
        Code::Busy,
        "Another thread has a request in flight on this connection; \
         a connection serves one at a time",
    )
}

/// An acquired connection. Dropping it releases it.
///
/// May be moved between threads and shared; one request at a time runs on it.
#[derive(Debug)]
pub struct Lease {
    pub(super) driver: Arc<Driver>,
    pub(super) id: LeaseId,
    pub(super) connection: Arc<PooledConnection>,
    /// Maybe a tick too early.
    pub(super) acquired_at: Instant,
    /// The connection may no longer be as it was when it was handed out.
    pub(super) is_touched: AtomicBool,
    /// When it was first used, as nanoseconds after `acquired_at`.
    pub(super) used_after: AtomicU64,
    pub(super) has_owner: AtomicBool,
}

impl Lease {
    pub(super) fn new(
        driver: Arc<Driver>,
        id: LeaseId,
        connection: Arc<PooledConnection>,
        acquired_at: Instant,
    ) -> Self {
        Lease {
            driver,
            id,
            connection,
            acquired_at,
            is_touched: AtomicBool::new(false),
            used_after: AtomicU64::new(0),
            has_owner: AtomicBool::new(false),
        }
    }

    /// Sends a request and waits for the response, at most `request_timeout`.
    ///
    /// # Errors
    /// What the server responded (`Http`, `Unauthorized`), what went wrong on the way
    /// (`Unavailable`, `Timeout`, `ConnectionLost`, `Protocol`, `TooLarge`, `Tls`), `Cancelled`
    /// after [`Lease::cancel`], `Busy` while another thread has a request on it, `Closed`
    /// if the pool was closed and took the connection back, `WouldDeadlock` from within a callback.
    pub fn request(&self, request: &Request) -> Result<Response> {
        threads::refuse_in_callback("request")?;
        self.wait_for(|connection, deadline| connection.request(request, deadline))
    }

    fn wait_for(
        &self,
        request: impl FnOnce(&mut Connection, Instant) -> Result<Response>,
    ) -> Result<Response> {
        match self.free_connection() {
            Ok(mut connection) => {
                let mut outcome = request(&mut connection, deadline());
                self.note(&mut outcome);
                outcome
            }
            Err(error) => Err(error),
        }
    }

    /// Sends a request without waiting for its response, if its connection has a socket; see
    /// [`Connection::start`].
    pub(crate) fn start(
        &self,
        request: &Request,
        canceller: Option<Arc<dyn Canceller>>,
        poller: Option<&Poller>,
    ) -> Progress {
        match self.free_connection() {
            Ok(mut connection) => {
                let progress = connection.start(request, deadline(), canceller, poller);
                self.note_progress(&mut connection, progress)
            }
            Err(error) => Progress::Done(Err(error)),
        }
    }

    /// Goes on with a request that [`Lease::start`] began.
    pub(crate) fn resume(&self, request: &Request, in_flight: Box<InFlight>) -> Progress {
        let mut connection = self.connection.lock();
        let progress = connection.resume(request, in_flight);
        self.note_progress(&mut connection, progress)
    }

    /// Waits for the end of a request, however far it has come. `canceller` is for one that has yet
    /// to be sent.
    pub(crate) fn finish(
        &self,
        request: &Request,
        progress: Progress,
        canceller: Option<Arc<dyn Canceller>>,
    ) -> Result<Response> {
        match progress {
            Progress::InFlight(in_flight) => {
                self.end(|connection| connection.finish(request, in_flight))
            }
            Progress::Unread(response) => self.end(|connection| connection.read(request, response)),
            Progress::NeedsThread { retry_until } => self.wait_for(|connection, deadline| {
                connection.request_blocking(request, deadline, retry_until, canceller)
            }),
            Progress::Done(outcome) => outcome,
        }
    }

    /// Gives up a request that [`Lease::start`] began. The connection is the lease's still, so that
    /// its release rolls an open transaction back.
    pub(crate) fn abandon(&self, progress: Progress) {
        if self.driver.is_inherited() {
            return;
        }
        let mut connection = self.connection.lock();
        match progress {
            Progress::InFlight(in_flight) => connection.abandon(in_flight),
            Progress::Unread(unread) => connection.abandon_unread(unread),
            Progress::NeedsThread { .. } | Progress::Done(_) => {}
        }
        self.connection.note_end(&mut connection);
    }

    /// From now on `canceller` cancels a request that [`Lease::start`] began without one.
    pub(crate) fn attach(&self, progress: &mut Progress, canceller: Arc<dyn Canceller>) {
        self.connection.lock().attach(progress, canceller);
    }

    fn end(&self, end: impl FnOnce(&mut Connection) -> Result<Response>) -> Result<Response> {
        let mut connection = self.connection.lock();
        let mut outcome = end(&mut connection);
        self.note(&mut outcome);
        self.connection.note_end(&mut connection);
        outcome
    }

    fn note_progress(&self, connection: &mut Connection, mut progress: Progress) -> Progress {
        if let Progress::Done(outcome) = &mut progress {
            self.note(outcome);
        }
        self.connection.note_end(connection);
        progress
    }

    /// Looks at the socket, as [`PooledConnection::probe`].
    pub(super) fn probe(&self) -> bool {
        self.is_touched.store(true, Ordering::Relaxed);
        self.connection.probe()
    }

    /// The connection, if no request is on it at this moment.
    fn free_connection(&self) -> Result<MutexGuard<'_, Connection>> {
        self.check_process()?;
        if !self.is_touched.swap(true, Ordering::Relaxed) {
            let after = clock::now().saturating_duration_since(self.acquired_at);
            self.used_after.store(after.as_nanos() as u64, Ordering::Relaxed);
        }
        let connection = self.connection.try_lock();
        if self.connection.is_cut() {
            return Err(Error::closed());
        }
        connection.filter(|connection| !connection.is_busy()).ok_or_else(busy)
    }

    fn note(&self, outcome: &mut Result<Response>) {
        match outcome {
            Err(error) if self.connection.is_cut() && error.code() == Code::Cancelled => {
                let closed = Error::closed();
                *error = match error.message().ends_with(UNKNOWN) {
                    true => closed.with_more(UNKNOWN),
                    false => closed,
                };
            }
            Err(error) if error.http_status().is_none() => {}
            _ => self.connection.note_response(),
        }
    }

    /// Cuts the request in flight, which then fails with `Cancelled`; without one, does nothing.
    /// May be called from any thread.
    pub fn cancel(&self) {
        if !self.driver.is_inherited() {
            self.connection.cancel();
        }
    }

    /// Whether its pool was closed, which then took the connection back.
    #[doc(hidden)]
    pub fn is_of_closed_pool(&self) -> bool {
        self.driver.is_closed()
    }

    /// Its slot and its generation there, which no other lease has.
    pub(crate) fn slot(&self) -> (&'static FastSlot, u64) {
        (self.id.fast(), self.id.generation())
    }

    /// The stack of its pool.
    pub(crate) fn stack(&self) -> &'static ReadyStack {
        self.driver.stack
    }

    /// Says whether it is of use in this process.
    ///
    /// # Errors
    /// `InvalidHandle` in a forked child, if the parent acquired it: it belongs to the parent.
    #[doc(hidden)]
    pub fn check_process(&self) -> Result<()> {
        if self.driver.is_inherited() { Err(inherited()) } else { Ok(()) }
    }

    /// Names who has the connection, for the report of a leak: a request's id, say, or the place in
    /// the program. It is forgotten at the release.
    pub fn set_owner(&self, owner: &str) {
        self.connection.set_owner(Some(owner.into()));
        self.has_owner.store(true, Ordering::Relaxed);
    }
}

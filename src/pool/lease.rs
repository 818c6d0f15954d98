//! A connection in the hands of a caller.

use std::mem;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::driver::Shared;
use super::machine::{Condition, Fate, LeaseId, Lent};
use crate::client::{
    CancelHandle, Canceller, Connection, InFlight, Poller, Progress, Request, Response,
    SocketHandle, UnreadResponse,
};
use crate::config::MAX_DURATION;
use crate::error::{Code, Error, Result, UNKNOWN};
use crate::os::clock;
use crate::os::locks::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::os::locks::{Mutex, MutexGuard};
use crate::os::threads;

/// The connection of one slot.
#[derive(Debug)]
pub struct Pooled {
    connection: Mutex<Connection>,
    cancel_handle: CancelHandle,
    socket_handle: SocketHandle,
    is_cut: AtomicBool,
    /// Its last user wants it closed, after its transaction was rolled back too.
    is_discarded: AtomicBool,
    owner: Mutex<Owner>,
    made_at: Instant,
    /// When the server responded last, as nanoseconds after `made_at`; 0 if it never has.
    responded_after: AtomicU64,
}

/// Who has a connection, in the words of the program.
type Owner = Option<Arc<str>>;

impl Pooled {
    pub fn new(connection: Connection) -> Self {
        Pooled {
            cancel_handle: connection.cancel_handle(),
            socket_handle: connection.socket_handle(),
            connection: Mutex::new(connection),
            is_cut: AtomicBool::new(false),
            is_discarded: AtomicBool::new(false),
            owner: Mutex::default(),
            made_at: clock::now(),
            responded_after: AtomicU64::new(0),
        }
    }

    /// Runs work of the pool on the connection while no caller has it.
    pub fn with_connection<R>(&self, work: impl FnOnce(&mut Connection) -> R) -> R {
        work(&mut self.connection.lock())
    }

    pub fn socket_handle(&self) -> &SocketHandle {
        &self.socket_handle
    }

    /// Looks whether the server has closed its socket while nobody uses it, and closes it then.
    /// Without the lock: a caller that gets the connection meanwhile must find it free.
    pub fn peek(&self) -> bool {
        self.socket_handle.probe()
    }

    /// Cuts what is in flight on it, and whatever is tried later.
    pub fn cancel_for_good(&self) {
        self.cancel_handle.cancel_for_good();
    }

    /// Cuts what is in flight on it at this moment.
    pub fn cancel(&self) {
        self.cancel_handle.cancel();
    }

    /// Cuts what is in flight, refuses what comes later, and closes the socket.
    pub fn cut(&self) {
        self.is_cut.store(true, Ordering::SeqCst);
        self.cancel_for_good();
        close_unless_busy(&mut self.connection.lock());
    }

    /// A request on it may be over: closes the connection if it was cut meanwhile.
    fn note_end(&self, connection: &mut Connection) {
        if self.is_cut() {
            close_unless_busy(connection);
        }
    }

    pub fn owner(&self) -> Owner {
        self.owner.lock().clone()
    }

    pub fn is_cut(&self) -> bool {
        self.is_cut.load(Ordering::SeqCst)
    }

    /// Whether the socket is still fit for a request; closes it if it is not.
    pub fn probe(&self) -> bool {
        let mut connection = self.connection.lock();
        let is_alive = connection.probe();
        if !is_alive {
            connection.close(Duration::ZERO);
        }
        is_alive
    }

    /// Notes that the server responded just now.
    pub fn note_response(&self) {
        let after = clock::now().saturating_duration_since(self.made_at);
        self.responded_after.store((after.as_nanos() as u64).max(1), Ordering::Relaxed);
    }

    /// When the server responded last.
    fn responded_at(&self) -> Option<Instant> {
        let after = self.responded_after.load(Ordering::Relaxed);
        (after > 0).then(|| self.made_at + Duration::from_nanos(after))
    }

    pub fn condition(&self) -> Condition {
        let connection = self.connection.lock();
        if connection.is_busy() {
            return Condition::lost();
        }
        Condition {
            fate: if connection.transaction().is_some() {
                Fate::RollBack
            } else if self.is_discarded.load(Ordering::Relaxed) {
                Fate::Discard
            } else if !connection.is_reusable() {
                Fate::Broken
            } else {
                Fate::Reuse
            },
            is_open: connection.is_open(),
            opened_at: connection.opened_at(),
            keep_alive_until: connection.keep_alive_until(),
            answered_at: self.responded_at(),
            pinged: None,
        }
    }
}

impl Lent for Arc<Pooled> {
    fn heard_at(&self, now: Instant) -> Option<Instant> {
        if self.cancel_handle.is_in_flight() { Some(now) } else { self.responded_at() }
    }
}

/// One that has a request in flight is closed by the thread that ends that.
fn close_unless_busy(connection: &mut Connection) {
    if !connection.is_busy() {
        connection.close(Duration::ZERO);
    }
}

/// The client knows `request_timeout`; the caller has no deadline of its own.
fn deadline() -> Instant {
    clock::recent() + MAX_DURATION
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
    shared: Arc<Shared>,
    id: LeaseId,
    connection: Arc<Pooled>,
    /// Maybe a tick too early.
    acquired_at: Instant,
    /// The connection may not be any more as it was when it was handed out.
    is_touched: AtomicBool,
    /// When it was first used, as nanoseconds after `acquired_at`.
    used_after: AtomicU64,
    has_owner: AtomicBool,
}

impl Lease {
    pub(super) fn new(
        shared: Arc<Shared>,
        id: LeaseId,
        connection: Arc<Pooled>,
        acquired_at: Instant,
    ) -> Self {
        Lease {
            shared,
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

    /// As [`Lease::request`], on any thread; see [`Connection::request_blocking`].
    pub(crate) fn request_blocking(
        &self,
        request: &Request,
        retry_until: Option<Instant>,
        canceller: Option<Arc<dyn Canceller>>,
    ) -> Result<Response> {
        self.wait_for(|connection, deadline| {
            connection.request_blocking(request, deadline, retry_until, canceller)
        })
    }

    fn wait_for(
        &self,
        request: impl FnOnce(&mut Connection, Instant) -> Result<Response>,
    ) -> Result<Response> {
        let mut connection = self.free_connection()?;
        let mut outcome = request(&mut connection, deadline());
        self.note(&mut outcome);
        outcome
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
        let mut connection = self.connection.connection.lock();
        let progress = connection.resume(request, in_flight);
        self.note_progress(&mut connection, progress)
    }

    /// Reads the response to a request that [`Lease::start`] began; takes its time.
    pub(crate) fn read(
        &self,
        request: &Request,
        response: Box<UnreadResponse>,
    ) -> Result<Response> {
        self.end(|connection| connection.read(request, response))
    }

    /// Waits for the end of a request that [`Lease::start`] began.
    pub(crate) fn finish(&self, request: &Request, in_flight: Box<InFlight>) -> Result<Response> {
        self.end(|connection| connection.finish(request, in_flight))
    }

    /// Gives up a request that [`Lease::start`] began. The connection is the lease's still, so that
    /// its release rolls an open transaction back.
    pub(crate) fn abandon(&self, in_flight: Box<InFlight>) {
        if self.shared.is_inherited() {
            return;
        }
        let mut connection = self.connection.connection.lock();
        connection.abandon(in_flight);
        self.connection.note_end(&mut connection);
    }

    fn end(&self, end: impl FnOnce(&mut Connection) -> Result<Response>) -> Result<Response> {
        let mut connection = self.connection.connection.lock();
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

    /// Looks at the socket, as [`Pooled::probe`].
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
        let connection = self.connection.connection.try_lock();
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
        if !self.shared.is_inherited() {
            self.connection.cancel();
        }
    }

    /// Whether its pool was closed, which then took the connection back.
    #[doc(hidden)]
    pub fn is_of_closed_pool(&self) -> bool {
        self.shared.is_closed()
    }

    /// Says whether it is of use in this process.
    ///
    /// # Errors
    /// `InvalidHandle` in a forked child, if the parent acquired it: it belongs to the parent.
    #[doc(hidden)]
    pub fn check_process(&self) -> Result<()> {
        if !self.shared.is_inherited() {
            return Ok(());
        }
        Err(Error::new(
            Code::InvalidHandle,
            "connection: the handle belongs to the parent process, which acquired it before the \
             fork; acquire another from the same pool",
        ))
    }

    /// Names who has the connection, for the report of a leak: a request's id, say, or the place in
    /// the program. It is forgotten at the release.
    pub fn set_owner(&self, owner: &str) {
        *self.connection.owner.lock() = Some(owner.into());
        self.has_owner.store(true, Ordering::Relaxed);
    }

    /// The connection will be closed instead of reused when it is released.
    #[doc(hidden)]
    pub fn mark_discarded(&self) {
        self.is_touched.store(true, Ordering::Relaxed);
        self.connection.is_discarded.store(true, Ordering::Relaxed);
    }

    /// Closes the connection instead of giving it back for reuse.
    pub fn discard(self) {
        self.mark_discarded();
    }
}

impl Lease {
    /// Gives the connection back if nothing follows from that.
    fn release_untouched(&self) -> bool {
        if self.is_touched.load(Ordering::Relaxed) {
            return false;
        }
        let now = clock::recent();
        // Mostly within one tick.
        let used = if now == self.acquired_at {
            Duration::ZERO
        } else {
            now.saturating_duration_since(self.acquired_at)
        };
        self.shared.step_untimed(|machine| machine.release_untouched(self.id, used, now))
    }

    fn release(&self) {
        let condition = self.connection.condition();
        let released_at = self.shared.step(|machine, now| {
            machine.release(self.id, condition, now);
            now
        });
        self.shared.stats().count_use(released_at.saturating_duration_since(self.used_since()));
    }

    /// Since when the lease counts as used: where its first request followed soon, that is exactly
    /// when; otherwise it is exact to a tick.
    fn used_since(&self) -> Instant {
        let after = Duration::from_nanos(self.used_after.load(Ordering::Relaxed));
        self.acquired_at + after.min(clock::tick())
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if self.shared.is_inherited() {
            // What belongs to the parent is leaked, not dropped.
            mem::forget((self.shared.clone(), self.connection.clone()));
            return;
        }
        if self.has_owner.load(Ordering::Relaxed) {
            *self.connection.owner.lock() = None;
        }
        if !self.release_untouched() {
            // It may wake threads, and so write to a descriptor.
            let _uncancelled = threads::Uncancelled::begin();
            self.release();
        }
    }
}

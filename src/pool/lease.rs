//! A connection in the hands of a caller.

use std::mem;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::driver::Shared;
use super::machine::{Condition, Fate, LeaseId, Lent};
use crate::client::{
    CancelHandle, Canceller, Connection, InFlight, Poller, Progress, Request, Response,
    UnreadResponse as Unread,
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
    /// Not here while a request is under way that no thread waits for.
    client: Mutex<Option<Client>>,
    cancel_handle: CancelHandle,
    is_cut: AtomicBool,
    /// Whoever had it last wants it closed, after its transaction was rolled back too.
    is_discarded: AtomicBool,
    owner: Mutex<Owner>,
    made_at: Instant,
    /// When the server answered last, as nanoseconds after `made_at`; 0 if it never has.
    answered_after: AtomicU64,
}

#[derive(Debug)]
struct Client {
    connection: Connection,
}

/// Who has a connection, in the words of the program.
type Owner = Option<Arc<str>>;

impl Pooled {
    pub fn new(connection: Connection) -> Self {
        Pooled {
            cancel_handle: connection.cancel_handle(),
            client: Mutex::new(Some(Client { connection })),
            is_cut: AtomicBool::new(false),
            is_discarded: AtomicBool::new(false),
            owner: Mutex::default(),
            made_at: clock::now(),
            answered_after: AtomicU64::new(0),
        }
    }

    /// Runs work of the pool on the connection while no caller has it.
    pub fn with_connection<R>(&self, work: impl FnOnce(&mut Connection) -> R) -> R {
        work(&mut self.client.lock().as_mut().expect("nobody has it").connection)
    }

    pub fn cancel_handle(&self) -> &CancelHandle {
        &self.cancel_handle
    }

    /// Looks whether the server has closed its socket while nobody uses it, and closes it then.
    /// Without the client's lock: whoever gets the connection meanwhile must find it free.
    pub fn peek(&self) -> bool {
        self.cancel_handle.peek()
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
        // One that is under way is closed by whoever brings it back.
        if let Some(client) = self.client.lock().as_mut() {
            client.connection.close(Duration::ZERO);
        }
    }

    /// Brings the client back from a request that no thread waited for.
    fn put_back(&self, client: Client) {
        let mut place = self.client.lock();
        let client = place.insert(client);
        if self.is_cut() {
            client.connection.close(Duration::ZERO);
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
        let mut place = self.client.lock();
        let client = place.as_mut().expect("nobody has it");
        let is_alive = client.connection.probe();
        if !is_alive {
            client.connection.close(Duration::ZERO);
        }
        is_alive
    }

    /// Notes that the server answered just now.
    pub fn note_answer(&self) {
        let after = clock::now().saturating_duration_since(self.made_at);
        self.answered_after.store((after.as_nanos() as u64).max(1), Ordering::Relaxed);
    }

    /// When the server answered last.
    fn answered_at(&self) -> Option<Instant> {
        let after = self.answered_after.load(Ordering::Relaxed);
        (after > 0).then(|| self.made_at + Duration::from_nanos(after))
    }

    pub fn condition(&self) -> Condition {
        let place = self.client.lock();
        let Some(client) = &*place else { return Condition::lost() };
        let connection = &client.connection;
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
            answered_at: self.answered_at(),
            pinged: None,
        }
    }
}

impl Lent for Arc<Pooled> {
    fn heard_at(&self, now: Instant) -> Option<Instant> {
        if self.cancel_handle.is_in_flight() { Some(now) } else { self.answered_at() }
    }
}

/// A request under way that no thread waits for, and the client that it is on.
#[derive(Debug)]
pub(crate) struct UnderwayRequest {
    client: Client,
    request: Box<InFlight>,
}

impl UnderwayRequest {
    /// See [`InFlight`].
    pub(crate) fn request(&self) -> &InFlight {
        &self.request
    }
}

/// A response that is to be read still, and the client that it came on.
#[derive(Debug)]
pub(crate) struct UnreadResponse {
    client: Client,
    response: Box<Unread>,
}

/// How far a request has come that no thread waits for; as [`Progress`].
#[expect(clippy::large_enum_variant, reason = "moved once, and an allocation costs more than that")]
pub(crate) enum Sent {
    Underway(UnderwayRequest),
    NeedsThread(Option<Instant>),
    Unread(UnreadResponse),
    Over(Result<Response>),
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
    /// What the server answered (`Http`, `Unauthorized`), what went wrong on the way
    /// (`Unavailable`, `Timeout`, `ConnectionLost`, `Protocol`, `TooLarge`, `Tls`), `Cancelled`
    /// after [`Lease::cancel`], `Busy` while another thread has a request on it, `Closed`
    /// if the pool was closed and took the connection back, `WouldDeadlock` from within a callback.
    pub fn request(&self, request: &Request) -> Result<Response> {
        threads::refuse_in_callback("request")?;
        self.send(|connection, deadline| connection.request(request, deadline))
    }

    /// As [`Lease::request`], on a thread of the library; `watch` is told when it begins and ends.
    /// `again` is what [`Sent::NeedsThread`] said.
    pub(crate) fn request_again(
        &self,
        request: &Request,
        again: Option<Instant>,
        watch: Arc<dyn Canceller>,
    ) -> Result<Response> {
        self.send(|connection, deadline| {
            connection.request_blocking(request, deadline, again, Some(watch))
        })
    }

    fn send(
        &self,
        request: impl FnOnce(&mut Connection, Instant) -> Result<Response>,
    ) -> Result<Response> {
        let mut place = self.client()?;
        let client = place.as_mut().ok_or_else(busy)?;
        let outcome = request(&mut client.connection, deadline());
        self.note(outcome)
    }

    /// Sends a request without waiting for its response, if its connection has a socket; see
    /// [`Connection::start`].
    pub(crate) fn start(
        &self,
        request: &Request,
        watch: Option<Arc<dyn Canceller>>,
        poller: Option<&Poller>,
    ) -> Sent {
        let mut place = match self.client() {
            Ok(place) => place,
            Err(error) => return Sent::Over(Err(error)),
        };
        let Some(mut client) = place.take() else { return Sent::Over(Err(busy())) };
        let progress = client.connection.start(request, deadline(), watch, poller);
        drop(place);
        self.go_on(client, progress)
    }

    /// Goes on with a request that [`Lease::start`] began.
    pub(crate) fn resume(&self, request: &Request, underway: UnderwayRequest) -> Sent {
        let UnderwayRequest { mut client, request: underway } = underway;
        let progress = client.connection.resume(request, underway);
        self.go_on(client, progress)
    }

    /// Reads the response to a request that [`Lease::start`] began; takes its time.
    pub(crate) fn read(&self, request: &Request, unread: UnreadResponse) -> Result<Response> {
        let UnreadResponse { mut client, response } = unread;
        let outcome = client.connection.read(request, response);
        let outcome = self.note(outcome);
        self.connection.put_back(client);
        outcome
    }

    /// Waits for the end of a request that [`Lease::start`] began.
    pub(crate) fn finish(&self, request: &Request, underway: UnderwayRequest) -> Result<Response> {
        let UnderwayRequest { mut client, request: underway } = underway;
        let outcome = client.connection.finish(request, underway);
        let outcome = self.note(outcome);
        self.connection.put_back(client);
        outcome
    }

    /// Gives up a request that [`Lease::start`] began. The connection is the lease's still, so that
    /// its release rolls an open transaction back.
    pub(crate) fn abandon(&self, underway: UnderwayRequest) {
        if self.shared.is_inherited() {
            return;
        }
        let UnderwayRequest { mut client, request: underway } = underway;
        client.connection.abandon(underway);
        self.connection.put_back(client);
    }

    /// As [`Lease::request`]; `again` is what [`Sent::NeedsThread`] said.
    pub(crate) fn request_here(
        &self,
        request: &Request,
        again: Option<Instant>,
    ) -> Result<Response> {
        self.send(|connection, deadline| {
            connection.request_blocking(request, deadline, again, None)
        })
    }

    fn go_on(&self, client: Client, progress: Progress) -> Sent {
        match progress {
            Progress::InFlight(request) => Sent::Underway(UnderwayRequest { client, request }),
            Progress::NeedsThread { retry_until: again } => {
                self.connection.put_back(client);
                Sent::NeedsThread(again)
            }
            Progress::Unread(response) => Sent::Unread(UnreadResponse { client, response }),
            Progress::Done(outcome) => {
                let outcome = self.note(outcome);
                self.connection.put_back(client);
                Sent::Over(outcome)
            }
        }
    }

    /// Looks at the socket, as [`Pooled::probe`].
    pub(super) fn probe(&self) -> bool {
        self.is_touched.store(true, Ordering::Relaxed);
        self.connection.probe()
    }

    /// The client, if nobody has it at this moment.
    fn client(&self) -> Result<MutexGuard<'_, Option<Client>>> {
        self.check_process()?;
        if !self.is_touched.swap(true, Ordering::Relaxed) {
            let after = clock::now().saturating_duration_since(self.acquired_at);
            self.used_after.store(after.as_nanos() as u64, Ordering::Relaxed);
        }
        let place = self.connection.client.try_lock();
        if self.connection.is_cut() {
            return Err(Error::closed());
        }
        place.ok_or_else(busy)
    }

    fn note(&self, outcome: Result<Response>) -> Result<Response> {
        match &outcome {
            Err(error) if self.connection.is_cut() && error.code() == Code::Cancelled => {
                let closed = Error::closed();
                return Err(match error.message().ends_with(UNKNOWN) {
                    true => closed.with_more(UNKNOWN),
                    false => closed,
                });
            }
            Err(error) if error.http_status().is_none() => {}
            _ => self.connection.note_answer(),
        }
        outcome
    }

    /// Cuts the request in flight, which then fails with `Cancelled`; without one, does nothing.
    /// May be called from any thread.
    pub fn cancel(&self) {
        if !self.shared.is_inherited() {
            self.connection.cancel();
        }
    }

    /// Whether its pool was closed, which then took the connection back.
    #[cfg(feature = "capi")]
    pub(crate) fn is_of_closed_pool(&self) -> bool {
        self.shared.is_closed()
    }

    /// Says whether it is of use in this process.
    ///
    /// # Errors
    /// `InvalidHandle` in a forked child, if the parent acquired it: it belongs to the parent.
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

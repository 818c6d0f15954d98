//! A connection: requests one after the other over one socket, and its open transaction.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::client::cancel::{Attached, CancelHandle, Canceller};
use crate::client::connection_sockets::{ConnectionSockets, DialLimiter, SocketHandle};
use crate::client::http::raw_response::RawResponse;
use crate::client::http::request_head::RequestHead;
use crate::client::in_flight::{InFlight, UnreadResponse};
use crate::client::outcome::{self, Tried};
use crate::client::progress::Progress;
use crate::client::request_error::{ExchangeError, Report, RequestError};
use crate::client::response::body::BodyError;
use crate::client::response::expected::Expected;
use crate::client::response::response::Response;
use crate::client::response::stop::Stop;
use crate::client::routes::{self, Request, RequestKind, only_reads};
use crate::client::transport::dial;
use crate::client::transport::dial_permit::{DialPermit, SocketEvent};
use crate::client::transport::endpoint::{CarriedToken, Endpoint};
use crate::client::transport::poller::Poller;
use crate::client::transport::request_deadline::RequestDeadline;
use crate::client::transport::tls;
use crate::client::transport::wire::Wire;
use crate::error::{Code, Error, Result};
use crate::os::threads::Uncancelled;

/// So many characters of a transaction's id are shown.
const MAX_ID: usize = 120;
/// The most of a response, in bytes, that is read at once by a thread with other requests to serve:
/// less than a millisecond's work. To hand it to another thread takes part of that, too.
const READ_AT_ONCE: usize = 64 * 1024;

/// One connection to the server: requests one after the other, over at most one socket.
///
/// It may move from thread to thread, and is used by one at a time; its [`CancelHandle`] works from
/// any. A request that fails leaves it usable: where the socket can't be trusted any more it is
/// closed, and the next request opens another.
///
/// Dropping a connection closes its socket's file descriptor and says nothing to the server (so
/// that a forked child can do it); [`Connection::close`] takes leave.
pub struct Connection {
    sockets: Arc<ConnectionSockets>,
    transaction: Option<String>,
    /// Whether the last request, or a part of it, left this machine.
    sent: bool,
    /// What the last request carried.
    token: CarriedToken,
    /// A request that no thread waits for is not over.
    is_busy: bool,
}

impl Connection {
    /// A connection without a socket; nothing is sent before the first request.
    pub fn new(endpoint: Arc<Endpoint>, dial_limiter: Arc<dyn DialLimiter>) -> Connection {
        let token = endpoint.token();
        let sockets = ConnectionSockets::new(endpoint, dial_limiter);
        Connection { sockets, transaction: None, sent: false, token, is_busy: false }
    }

    /// Opens the socket (permit, name look-up, TCP, TLS) if there is none.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `Timeout`, `Tls`, `Cancelled`, or what the limiter returned.
    pub fn open(&mut self, deadline: Instant) -> Result<()> {
        if self.sockets.with_wire(|_| ()).is_some() {
            return Ok(());
        }
        self.in_flight(None, |connection| connection.sockets.open(None, deadline))
    }

    /// Opens the socket (name look-up, TCP, TLS) if there is none, with the permit of somebody who
    /// decided that it is to be opened now.
    ///
    /// # Errors
    ///
    /// As [`Connection::open`].
    pub fn open_with(&mut self, permit: DialPermit, deadline: Instant) -> Result<()> {
        if self.sockets.with_wire(|_| ()).is_some() {
            permit.give_back(Ok(()));
            return Ok(());
        }
        self.in_flight(None, |connection| connection.sockets.open(Some(permit), deadline))
    }

    /// Takes over an open socket, as if it had dialled it; for fuzzers.
    #[cfg(fuzzing)]
    pub fn adopt(&mut self, stream: std::net::TcpStream) {
        let socket = Arc::new(crate::client::transport::socket::Socket::adopt(stream));
        self.sockets.keep(Box::new(Wire::new(socket, None)));
    }

    /// Whether there is a socket. It may have been closed by the server since it was last used:
    /// see [`Connection::probe`]. It may also be of no use any more, and wait to be closed: see
    /// [`Connection::is_reusable`].
    pub fn is_open(&self) -> bool {
        self.sockets.with_wire(|_| ()).is_some() || self.sockets.has_laid_aside()
    }

    /// Looks whether the socket is open and silent, without waiting: one system call (more if TLS
    /// has notes for us). False if the server closed it, sent what nobody asked for, or it broke;
    /// it is closed then. True without a socket.
    pub fn probe(&mut self) -> bool {
        self.sockets.probe()
    }

    /// Asks the server for a sign of life by `GET /health`, over the kept socket if there is one:
    /// any HTTP response is one, and its status is returned. A kept socket that is dead is not
    /// replaced.
    ///
    /// # Errors
    ///
    /// As [`Connection::request`], but for those that come with a status.
    pub fn ping(&mut self, deadline: Instant) -> Result<u16> {
        let request = Request::health_check();
        let target = request.target.clone();
        let deadline = self.request_deadline(deadline);
        self.in_flight(None, |connection| {
            let outcome = connection.ping_once(&request, &target, deadline);
            let tried = connection.tried(&request, &target);
            tried.outcome(outcome, &deadline).map(|response| response.status.as_u16())
        })
    }

    fn ping_once(
        &mut self,
        request: &Request,
        target: &str,
        deadline: RequestDeadline,
    ) -> std::result::Result<RawResponse, Box<RequestError>> {
        if self.sockets.cancel.is_cancelled() {
            return Err(self.sockets.cancelled().into());
        }
        if self.sockets.with_wire(|_| ()).is_none() {
            return self.exchange(request, target, deadline, true);
        }
        let wire = match self.sockets.kept_wire() {
            Some(wire) => wire,
            // What is cancelled looks like what the server closed.
            None if self.sockets.cancel.is_cancelled() => {
                return Err(self.sockets.cancelled().into());
            }
            None => return Err(ExchangeError::Lost(None).into()),
        };
        self.exchange_on(wire, request, target, deadline)
    }

    /// Sends a request and waits for its response, until `deadline` or for `request_timeout`,
    /// whichever ends first.
    ///
    /// A request is sent a second time, once and on a new socket, only if the kept socket turns
    /// out to be closed and nothing of the request was sent, or it is a GET.
    ///
    /// # Errors
    ///
    /// `Timeout`, `Unavailable`, `ConnectionLost`, `Tls`, `Protocol`, `TooLarge`, `Cancelled`;
    /// `Http` and `Unauthorized` with the server's status and reason; `InvalidState` for a
    /// `begin_transaction` while one is open, or a commit or rollback that does not fit the open
    /// one; or what the limiter of dials returned.
    pub fn request(&mut self, request: &Request, deadline: Instant) -> Result<Response> {
        self.request_blocking(request, deadline, None, None)
    }

    /// As [`Connection::request`], for one that needs a thread: `retry_until` is what
    /// [`Progress::NeedsThread`] said.
    ///
    /// # Errors
    ///
    /// As [`Connection::request`].
    pub fn request_blocking(
        &mut self,
        request: &Request,
        deadline: Instant,
        retry_until: Option<Instant>,
        canceller: Option<Arc<dyn Canceller>>,
    ) -> Result<Response> {
        let target = self.checked_target(request)?;
        let deadline = self.request_deadline(retry_until.unwrap_or(deadline));
        let fresh = retry_until.is_some();
        self.in_flight(canceller, |connection| {
            connection.carry_out(request, &target, deadline, fresh)
        })
    }

    /// Sends a request without waiting for its response, if there is a socket for it. The poller
    /// tells when to go on with it; without one, the program watches [`InFlight::descriptor`].
    pub fn start(
        &mut self,
        request: &Request,
        deadline: Instant,
        canceller: Option<Arc<dyn Canceller>>,
        poller: Option<&Poller>,
    ) -> Progress {
        let target = match self.checked_target(request) {
            Ok(target) => target,
            Err(error) => return Progress::Done(Err(error)),
        };
        let needs_thread = Progress::NeedsThread { retry_until: None };
        let Some(wire) = self.sockets.kept_wire() else { return needs_thread };
        if poller.is_some_and(|poller| poller.watch(wire.socket()).is_err()) {
            self.sockets.keep(wire);
            return needs_thread;
        }
        self.sent = false;
        self.sockets.cancel.begin();
        let attached = Attached::new(canceller, &self.sockets.cancel);
        let deadline = self.request_deadline(deadline);
        if self.sockets.cancel.is_cancelled() {
            self.sockets.keep(wire);
            self.end_request(attached);
            let cancelled = Err(self.sockets.cancelled().into());
            return Progress::Done(self.conclude(request, &target, cancelled, &deadline));
        }
        let mut in_flight = Box::new(self.in_flight_on(wire, request, &target, deadline));
        self.is_busy = true;
        in_flight.set_attached(attached);
        self.resume(request, in_flight)
    }

    /// Goes on with a request that [`Connection::start`] began.
    pub fn resume(&mut self, request: &Request, mut in_flight: Box<InFlight>) -> Progress {
        let outcome = match in_flight.advance(request, false) {
            Some(outcome) => outcome,
            None if in_flight.until() > Instant::now() => return Progress::InFlight(in_flight),
            None => in_flight.time_out(),
        };
        let deadline = *in_flight.deadline();
        let outcome = self.note(&mut in_flight, request, outcome, &deadline);
        let attached = in_flight.take_attached();
        // Gives the socket back, or closes it.
        drop(in_flight);
        let outcome = match outcome {
            Ok(response) if response.body.len() > READ_AT_ONCE => {
                return Progress::Unread(Box::new(UnreadResponse { response, deadline, attached }));
            }
            outcome => outcome,
        };
        self.is_busy = false;
        let is_cancelled = self.end_request(attached);
        match outcome {
            Err(failed)
                if !is_cancelled && self.is_sent_again(request, &failed, &deadline, false) =>
            {
                Progress::NeedsThread { retry_until: Some(deadline.until) }
            }
            outcome => Progress::Done(self.conclude_started(request, outcome, &deadline)),
        }
    }

    /// Reads the response to a request that [`Connection::start`] began, until the request's time
    /// is over or it is cancelled.
    ///
    /// # Errors
    ///
    /// As [`Connection::request`].
    #[expect(clippy::boxed_local, reason = "in the box that `Progress` has it in")]
    pub fn read(&mut self, request: &Request, unread: Box<UnreadResponse>) -> Result<Response> {
        let UnreadResponse { response, deadline, attached } = *unread;
        let outcome = self.conclude_started(request, Ok(response), &deadline);
        self.is_busy = false;
        self.end_request(attached);
        outcome
    }

    /// Waits for the end of a request that [`Connection::start`] began.
    ///
    /// # Errors
    ///
    /// As [`Connection::request`].
    pub fn finish(&mut self, request: &Request, mut in_flight: Box<InFlight>) -> Result<Response> {
        let deadline = *in_flight.deadline();
        let outcome = self.wait_for(&mut in_flight, request, &deadline);
        let attached = in_flight.take_attached();
        // Gives the socket back, or closes it.
        drop(in_flight);
        let outcome = self.target(request).and_then(|target| {
            let outcome = self.send_again(request, &target, deadline, outcome, false);
            self.conclude(request, &target, outcome, &deadline)
        });
        self.is_busy = false;
        self.end_request(attached);
        outcome
    }

    /// Gives up a request that [`Connection::start`] began: its socket is of no use any more. An
    /// open transaction stays open.
    pub fn abandon(&mut self, mut in_flight: Box<InFlight>) {
        let deadline = *in_flight.deadline();
        self.note_socket_event(Some(&ExchangeError::Cancelled), in_flight.report(), &deadline);
        let attached = in_flight.take_attached();
        // Gives the socket back, or closes it.
        drop(in_flight);
        self.is_busy = false;
        self.end_request(attached);
    }

    /// As [`Connection::abandon`], of a request whose response has come.
    #[expect(clippy::boxed_local, reason = "in the box that `Progress` has it in")]
    pub fn abandon_unread(&mut self, unread: Box<UnreadResponse>) {
        self.is_busy = false;
        self.end_request(unread.attached);
    }

    /// From now on `canceller` cancels a request that [`Connection::start`] began without one.
    pub fn attach(&self, progress: &mut Progress, canceller: Arc<dyn Canceller>) {
        let attach = || Attached::new(Some(canceller), &self.sockets.cancel);
        match progress {
            Progress::InFlight(in_flight) => in_flight.set_attached(attach()),
            Progress::Unread(unread) => unread.attached = attach(),
            Progress::NeedsThread { .. } | Progress::Done(_) => {}
        }
    }

    /// Whether a request that [`Connection::start`] began is not over.
    pub fn is_busy(&self) -> bool {
        self.is_busy
    }

    /// The id of the open transaction, which every request of this connection belongs to.
    pub fn transaction(&self) -> Option<&str> {
        self.transaction.as_deref()
    }

    /// Rolls the open transaction back, if there is one. One that the server does not know any
    /// more counts as rolled back.
    ///
    /// # Errors
    ///
    /// As [`Connection::request`]; the transaction then counts as open still.
    pub fn rollback(&mut self, deadline: Instant) -> Result<()> {
        if self.transaction.is_none() {
            return Ok(());
        }
        match self.request(&Request::rollback_transaction(None)?, deadline) {
            Err(error) if self.transaction.is_some() => Err(error),
            _ => Ok(()),
        }
    }

    /// Whether the next user can have it: no transaction is open, and no request left its socket
    /// with something unread, half-sent or broken. (The same user may go on all the same: the next
    /// request closes such a socket and opens another.)
    pub fn is_reusable(&self) -> bool {
        self.transaction.is_none() && !self.sockets.has_laid_aside()
    }

    /// Cancels what this connection has in flight, for other threads.
    pub fn cancel_handle(&self) -> CancelHandle {
        CancelHandle::new(Arc::clone(&self.sockets.cancel))
    }

    /// Its socket, for others to look at while it is idle.
    pub fn socket_handle(&self) -> SocketHandle {
        SocketHandle::new(Arc::clone(&self.sockets))
    }

    /// Closes the socket gracefully: TLS is told, then TCP, and the server's own close is
    /// waited for, for `linger` at most, so that afterwards the socket is gone as the server
    /// counts them too. An open transaction is left to the server. Without a socket it does
    /// nothing.
    pub fn close(&mut self, linger: Duration) {
        self.transaction = None;
        self.sockets.finish_laid_aside(linger);
        if let Some(mut wire) = self.sockets.take_wire() {
            wire.finish(Instant::now() + linger);
            self.sockets.discard(wire);
        }
    }

    /// When the socket was opened, if there is one.
    pub fn opened_at(&self) -> Option<Instant> {
        self.sockets.with_wire(|wire| wire.opened_at)
    }

    /// When to retire the socket, by the `Keep-Alive: timeout=N` of the last response: a second
    /// before the server would, or at half its time if that is at most two seconds.
    pub fn keep_alive_until(&self) -> Option<Instant> {
        self.sockets.with_wire(|wire| wire.keep_alive_until).flatten()
    }

    /// Does what a cancel can end.
    fn in_flight<T>(
        &mut self,
        canceller: Option<Arc<dyn Canceller>>,
        work: impl FnOnce(&mut Self) -> T,
    ) -> T {
        self.sockets.cancel.begin();
        let attached = Attached::new(canceller, &self.sockets.cancel);
        let result = work(self);
        self.end_request(attached);
        result
    }

    /// Nothing is in flight any more; says whether it was cancelled.
    fn end_request(&mut self, attached: Attached) -> bool {
        drop(attached);
        let is_cancelled = self.sockets.cancel.end();
        if is_cancelled {
            // The cancel may have come when the response was complete; the socket is gone all the
            // same.
            self.sockets.discard_kept();
        }
        is_cancelled
    }

    fn request_deadline(&self, deadline: Instant) -> RequestDeadline {
        RequestDeadline::request(deadline, self.sockets.endpoint.request_timeout, "request_timeout")
    }

    /// Where the request goes, if the state of the transaction allows it.
    fn target<'a>(&self, request: &'a Request) -> Result<Cow<'a, str>> {
        let end = |operation: &str, id: &Option<String>| {
            let id = self.open_transaction(operation, id.as_deref())?;
            Ok(Cow::Owned(format!("/transactions/{}/{operation}", routes::encoded(id))))
        };
        match &request.kind {
            RequestKind::Plain => Ok(Cow::Borrowed(&request.target)),
            RequestKind::Begin => self.no_transaction().map(|()| Cow::Borrowed(&*request.target)),
            RequestKind::Commit(id) => end("commit", id),
            RequestKind::Rollback(id) => end("rollback", id),
        }
    }

    /// The same, if the URL that it makes can be sent. Only who writes paths can get them wrong.
    fn checked_target<'a>(&self, request: &'a Request) -> Result<Cow<'a, str>> {
        let target = self.target(request)?;
        if request.expected == Expected::Anything {
            self.sockets.endpoint.check_target(&target)?;
        }
        Ok(target)
    }

    fn no_transaction(&self) -> Result<()> {
        let Some(open) = &self.transaction else { return Ok(()) };
        Err(Error::new(
            Code::InvalidState,
            format!(
                "begin_transaction: transaction {} is open on this connection already; \
                 commit it or roll it back first",
                self.token.mask.path(&routes::encoded(open), MAX_ID)
            ),
        ))
    }

    /// The open transaction, if `id` means that one.
    fn open_transaction(&self, operation: &str, id: Option<&str>) -> Result<&str> {
        let why = match (&self.transaction, id) {
            (Some(open), None) => return Ok(open),
            (Some(open), Some(id)) if open == id => return Ok(open),
            (Some(_), Some(_)) => "that transaction is not the one that is open on this connection",
            (None, _) => {
                "no transaction is open on this connection; a transaction belongs to the \
                 connection that began it"
            }
        };
        Err(Error::new(Code::InvalidState, format!("{operation}_transaction: {why}")))
    }

    fn tried<'a>(&'a self, request: &'a Request, target: &'a str) -> Tried<'a> {
        Tried::new(&self.sockets.endpoint, &request.method, target, &self.token)
    }

    fn carry_out(
        &mut self,
        request: &Request,
        target: &str,
        deadline: RequestDeadline,
        fresh: bool,
    ) -> Result<Response> {
        let outcome = self.response(request, target, deadline, fresh);
        self.conclude(request, target, outcome, &deadline)
    }

    /// The same for a request that no thread waited for. Its target is what it was at the start:
    /// the transaction does not change before the end.
    fn conclude_started(
        &mut self,
        request: &Request,
        outcome: std::result::Result<RawResponse, Box<RequestError>>,
        deadline: &RequestDeadline,
    ) -> Result<Response> {
        let target = self.target(request)?;
        self.conclude(request, &target, outcome, deadline)
    }

    /// What the outcome means to the caller, and to the transaction.
    fn conclude(
        &mut self,
        request: &Request,
        target: &str,
        outcome: std::result::Result<RawResponse, Box<RequestError>>,
        deadline: &RequestDeadline,
    ) -> Result<Response> {
        let tried = self.tried(request, target);
        let response = tried
            .outcome(outcome, deadline)
            .and_then(|response| tried.check_status(response))
            .and_then(|response| self.read_body(request, &tried, response, deadline));
        let response = match &request.kind {
            RequestKind::Plain => response,
            RequestKind::Begin => {
                response.and_then(|response| self.begin(request, target, response))
            }
            RequestKind::Commit(_) => self.end_transaction(response, self.sent),
            // After one of unknown outcome, trying again does no harm; a commit can't be repeated.
            RequestKind::Rollback(_) => self.end_transaction(response, false),
        };
        if matches!(&response, Err(error) if error.code() == Code::Protocol) {
            // A server that breaks the protocol is not trusted with another request.
            self.sockets.discard_kept();
        }
        response
    }

    fn begin(&mut self, request: &Request, target: &str, response: Response) -> Result<Response> {
        let id = response.transaction_id().filter(|id| is_header_value(id));
        let id = id.map(str::to_owned).ok_or_else(|| {
            let tried = self.tried(request, target);
            tried.malformed("the response has no usable `transaction_id`", response.status())
        })?;
        let response = Response::of_transaction(&id);
        self.transaction = Some(id);
        Ok(response)
    }

    /// `is_over_unheard`: whether it counts as over though the server did not say so.
    fn end_transaction(
        &mut self,
        response: Result<Response>,
        is_over_unheard: bool,
    ) -> Result<Response> {
        let is_over = match &response {
            Ok(_) => true,
            Err(error) => match error.http_status() {
                Some(404) => true,
                // Carried out, however odd the response's body, or too large for this machine.
                Some(200..300) => error.code() != Code::Http,
                Some(_) => false,
                None => is_over_unheard,
            },
        };
        if is_over {
            self.transaction = None;
        }
        response
    }

    fn read_body(
        &self,
        request: &Request,
        tried: &Tried<'_>,
        response: RawResponse,
        deadline: &RequestDeadline,
    ) -> Result<Response> {
        let status = response.status.as_u16();
        // Only what ends by itself is known to be whole: `12` may have been `12345`.
        let ends_by_itself =
            request.expected != Expected::Anything || response.is_json != Some(false);
        if response.ragged && !(ends_by_itself && is_enclosed(&response.body)) {
            return Err(tried.cut_short());
        }
        let size = response.body.len();
        let stop = if size > READ_AT_ONCE {
            Stop::at(deadline.until, &self.sockets.cancel)
        } else {
            Stop::never()
        };
        let read = Response::read(
            request.expected,
            status,
            response.body,
            response.is_json,
            &stop,
            &self.token.mask,
        )
        .and_then(|response| Ok(stop.look().map(|()| response)?));
        match read {
            Ok(response) => Ok(response),
            Err(BodyError::Stopped) => {
                // All of it was received, but a request that timed out leaves no doubt behind.
                self.sockets.discard_kept();
                let is_cancelled = self.sockets.cancel.is_cancelled();
                Err(tried.unread(size, if is_cancelled { None } else { Some(deadline) }))
            }
            Err(BodyError::Refused(why)) => Err(tried.refused(response.status, &why)),
            Err(BodyError::OutOfMemory) => Err(tried.out_of_memory(Some(size as u64), status)),
            Err(BodyError::TooLarge(why)) => Err(tried.unreadable(Code::TooLarge, &why, status)),
            Err(BodyError::Malformed(_)) if response.ragged => Err(tried.cut_short()),
            Err(BodyError::Malformed(why)) => Err(tried.malformed(&why, status)),
        }
    }

    /// Sends a request, again if that is safe, and waits for its response. One that is `fresh` goes
    /// over a new socket, and only once.
    fn response(
        &mut self,
        request: &Request,
        target: &str,
        deadline: RequestDeadline,
        fresh: bool,
    ) -> std::result::Result<RawResponse, Box<RequestError>> {
        self.sent = false;
        let outcome = self.exchange(request, target, deadline, fresh);
        self.send_again(request, target, deadline, outcome, fresh)
    }

    /// Sends a request that failed again, as often as that is safe and of use.
    fn send_again(
        &mut self,
        request: &Request,
        target: &str,
        deadline: RequestDeadline,
        mut outcome: std::result::Result<RawResponse, Box<RequestError>>,
        mut was_sent_again: bool,
    ) -> std::result::Result<RawResponse, Box<RequestError>> {
        loop {
            match &outcome {
                Err(failed) if self.is_sent_again(request, failed, &deadline, was_sent_again) => {}
                _ => return outcome,
            }
            was_sent_again = true;
            outcome = self.exchange(request, target, deadline, true);
        }
    }

    /// Whether a request that failed is sent once more: once on a new socket, and besides, while
    /// the limiter would have it wait for one.
    fn is_sent_again(
        &self,
        request: &Request,
        failed: &RequestError,
        deadline: &RequestDeadline,
        was_sent_again: bool,
    ) -> bool {
        let reads = only_reads(&request.method);
        if self.sockets.cancel.is_cancelled() {
            return false;
        }
        (!was_sent_again && failed.may_be_sent_again(reads))
            || (failed.was_lost_unheard(reads)
                && !deadline.left().is_zero()
                && self.sockets.may_ask_for_permit_again())
    }

    fn exchange(
        &mut self,
        request: &Request,
        target: &str,
        deadline: RequestDeadline,
        fresh: bool,
    ) -> std::result::Result<RawResponse, Box<RequestError>> {
        let wire = self.sockets.wire(&deadline, fresh)?;
        self.exchange_on(wire, request, target, deadline)
    }

    /// Sends a request over this socket, and waits for its response.
    fn exchange_on(
        &mut self,
        wire: Box<Wire>,
        request: &Request,
        target: &str,
        deadline: RequestDeadline,
    ) -> std::result::Result<RawResponse, Box<RequestError>> {
        let mut in_flight = self.in_flight_on(wire, request, target, deadline);
        self.wait_for(&mut in_flight, request, &deadline)
    }

    /// Carries a request to its end.
    fn wait_for(
        &mut self,
        in_flight: &mut InFlight,
        request: &Request,
        deadline: &RequestDeadline,
    ) -> std::result::Result<RawResponse, Box<RequestError>> {
        loop {
            if let Some(outcome) = in_flight.advance(request, true) {
                return self.note(in_flight, request, outcome, deadline);
            }
        }
    }

    /// Takes note of how far a request came.
    fn note(
        &mut self,
        in_flight: &mut InFlight,
        request: &Request,
        outcome: std::result::Result<RawResponse, ExchangeError>,
        deadline: &RequestDeadline,
    ) -> std::result::Result<RawResponse, Box<RequestError>> {
        let report = in_flight.report();
        self.sent |= report.written > 0;
        self.note_socket_event(outcome.as_ref().err(), report, deadline);
        let (reused, is_closing) = (report.reused, in_flight.is_closing());
        outcome
            .and_then(|response| {
                outcome::of_response(response, &request.method, reused, is_closing)
            })
            .map_err(|cause| {
                let report = in_flight.take_report();
                Box::new(RequestError { cause, report })
            })
    }

    /// Tells the pool what the end of a request shows of its socket, if that is anything new.
    fn note_socket_event(
        &self,
        cause: Option<&ExchangeError>,
        report: &Report,
        deadline: &RequestDeadline,
    ) {
        let sockets = &self.sockets;
        match cause {
            _ if report.received > 0 && report.is_first => sockets.note(SocketEvent::Proved),
            _ if report.received > 0 => {}
            Some(ExchangeError::Lost(_) | ExchangeError::Tls(_)) if report.reused => {
                sockets.note(SocketEvent::Lost)
            }
            Some(ExchangeError::TimedOut) if report.reused => {
                sockets.note(SocketEvent::Silent { since: deadline.started() });
            }
            Some(ExchangeError::Cancelled) if report.reused && report.written > 0 => {
                sockets.note(SocketEvent::Cancelled { since: deadline.started() });
            }
            Some(ExchangeError::TimedOut) => {
                let error = no_first_response(&sockets.endpoint, "it gave none in time");
                sockets.note(SocketEvent::SilentFresh(&error));
            }
            Some(ExchangeError::Lost(why)) => {
                let why = why.as_ref().map_or("the server closed it".to_owned(), dial::plain);
                let error = no_first_response(&sockets.endpoint, &why);
                sockets.note(SocketEvent::LostFresh(&error));
            }
            Some(ExchangeError::Tls(why)) => {
                let why = tls::explained(why);
                let error = no_first_response(&sockets.endpoint, &why);
                sockets.note(SocketEvent::LostFresh(&Error::new(Code::Tls, error.message())));
            }
            _ => {}
        }
    }

    /// A request that is to go over this socket, and is written.
    #[inline]
    fn in_flight_on(
        &mut self,
        wire: Box<Wire>,
        request: &Request,
        target: &str,
        deadline: RequestDeadline,
    ) -> InFlight {
        self.token.renew();
        let endpoint = &self.sockets.endpoint;
        let mut buffers = endpoint.spare_buffers.lend();
        let head = RequestHead {
            method: &request.method,
            prefix: endpoint.prefix(),
            target,
            headers: &self.token.headers,
            transaction: self.transaction.as_deref(),
            body: request.body.as_deref(),
        };
        head.write(&mut buffers);
        InFlight::new(&self.sockets, wire, buffers, deadline)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // What closes a connection may write to it first.
        let _uncancelled = Uncancelled::begin();
        // Handles keep the sockets' owner alive; the sockets must not wait for them.
        self.sockets.discard_all();
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("url", &self.sockets.endpoint.url())
            .field("is_open", &self.is_open())
            .field("has_transaction", &self.transaction.is_some())
            .finish_non_exhaustive()
    }
}

/// Whether a JSON text that begins so says itself where it ends.
fn is_enclosed(body: &[u8]) -> bool {
    let text = body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(body).trim_ascii_start();
    matches!(text.first(), Some(b'{' | b'[' | b'"'))
}

fn no_first_response(endpoint: &Endpoint, why: &str) -> Error {
    let url = endpoint.url();
    let text = format!("a new connection to {url} was lost before its first response: {why}");
    Error::new(Code::Unavailable, text)
}

fn is_header_value(text: &str) -> bool {
    text.len() <= 1024 && text.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_may_change_threads_and_cancel_handles_be_shared() {
        fn is_send<T: Send>() {}
        fn is_shared<T: Send + Sync + Clone>() {}
        is_send::<Connection>();
        is_shared::<CancelHandle>();
        is_shared::<Arc<Response>>();
        is_shared::<Arc<Endpoint>>();
    }
}

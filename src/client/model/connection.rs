//! A connection to the server of the model checker: the shipped one without HTTP.
//!
//! The response to a request is the number of the socket that it went over. `GET /silence` never
//! gets a response, and the response to `GET /large` takes its time to be read. What begins or ends
//! a transaction is known by its path.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::client::cancel::{Attached, CancelHandle, Canceller};
use crate::client::connection_sockets::{ConnectionSockets, DialLimiter, SocketHandle};
use crate::client::in_flight::{InFlight, UnreadResponse};
use crate::client::progress::Progress;
use crate::client::response::expected::Expected;
use crate::client::response::mask::Mask;
use crate::client::response::response::Response;
use crate::client::response::stop::Stop;
use crate::client::routes::{Request, RequestKind};
use crate::client::transport::dial_permit::{DialPermit, SocketEvent};
use crate::client::transport::endpoint::Endpoint;
use crate::client::transport::poller::Poller;
use crate::client::transport::request_deadline::RequestDeadline;
use crate::client::transport::wire::Wire;
use crate::error::{Code, Error, Result};
use crate::model::server;
use crate::os::clock;

pub struct Connection {
    sockets: Arc<ConnectionSockets>,
    transaction: Option<String>,
    is_busy: bool,
}

impl Connection {
    pub fn new(endpoint: Arc<Endpoint>, dial_limiter: Arc<dyn DialLimiter>) -> Connection {
        Connection {
            sockets: ConnectionSockets::new(endpoint, dial_limiter),
            transaction: None,
            is_busy: false,
        }
    }

    pub fn open(&mut self, deadline: Instant) -> Result<()> {
        if self.is_open() {
            return Ok(());
        }
        self.in_flight(None, |connection| connection.sockets.open(None, deadline))
    }

    pub fn open_with(&mut self, permit: DialPermit, deadline: Instant) -> Result<()> {
        if self.is_open() {
            permit.give_back(Ok(()));
            return Ok(());
        }
        self.in_flight(None, |connection| connection.sockets.open(Some(permit), deadline))
    }

    pub fn is_open(&self) -> bool {
        self.sockets.with_wire(|_| ()).is_some() || self.sockets.has_laid_aside()
    }

    pub fn probe(&mut self) -> bool {
        self.sockets.probe()
    }

    pub fn ping(&mut self, deadline: Instant) -> Result<u16> {
        self.exchange("/health", deadline, None).map(|_| 200)
    }

    pub fn request(&mut self, request: &Request, deadline: Instant) -> Result<Response> {
        self.request_blocking(request, deadline, None, None)
    }

    pub fn request_blocking(
        &mut self,
        request: &Request,
        deadline: Instant,
        retry_until: Option<Instant>,
        canceller: Option<Arc<dyn Canceller>>,
    ) -> Result<Response> {
        let deadline = retry_until.unwrap_or(deadline);
        let response = self.exchange(&request.target, deadline, canceller);
        self.conclude(request, response)
    }

    pub fn start(
        &mut self,
        request: &Request,
        deadline: Instant,
        canceller: Option<Arc<dyn Canceller>>,
        poller: Option<&Poller>,
    ) -> Progress {
        let Some(wire) = self.sockets.kept_wire() else {
            return Progress::NeedsThread { retry_until: None };
        };
        if let Some(poller) = poller {
            poller.watch(wire.socket()).expect("it always can");
        }
        self.sockets.cancel.begin();
        server::begin_flight();
        let attached = Attached::new(canceller, &self.sockets.cancel);
        if self.sockets.cancel.is_cancelled() {
            self.sockets.keep(wire);
            self.end_request(attached);
            return Progress::Done(Err(self.sockets.cancelled()));
        }
        if !is_silent(&request.target) {
            wire.socket().become_ready();
        }
        let timeout = self.sockets.endpoint.request_timeout;
        let until = RequestDeadline::request(deadline, timeout, "request_timeout").until;
        self.is_busy = true;
        Progress::InFlight(Box::new(InFlight { until, wire, attached }))
    }

    pub fn resume(&mut self, request: &Request, in_flight: Box<InFlight>) -> Progress {
        let is_over = in_flight.until <= clock::now();
        if is_silent(&request.target) && !is_over && !in_flight.wire.socket().is_cancelled() {
            return Progress::InFlight(in_flight);
        }
        let InFlight { wire, attached, until } = *in_flight;
        let outcome = self.response(wire, &request.target);
        let outcome = match outcome {
            Ok(response) if is_large(&request.target) => {
                return Progress::Unread(Box::new(UnreadResponse { until, response, attached }));
            }
            outcome => outcome,
        };
        self.is_busy = false;
        self.end_request(attached);
        Progress::Done(self.conclude(request, outcome))
    }

    pub fn read(&mut self, request: &Request, unread: Box<UnreadResponse>) -> Result<Response> {
        let UnreadResponse { until, response, attached } = *unread;
        let stop = Stop::at(until, &self.sockets.cancel);
        let mut outcome = Ok(response);
        for _ in 0..3 {
            shuttle::thread::yield_now();
            if stop.look().is_err() {
                self.sockets.discard_kept();
                let is_cancelled = self.sockets.cancel.is_cancelled();
                let code = if is_cancelled { Code::Cancelled } else { Code::Timeout };
                outcome = Err(Error::new(code, "the response was not read"));
                break;
            }
        }
        self.is_busy = false;
        self.end_request(attached);
        self.conclude(request, outcome)
    }

    pub fn finish(&mut self, request: &Request, in_flight: Box<InFlight>) -> Result<Response> {
        let InFlight { wire, attached, until } = *in_flight;
        shuttle::thread::yield_now();
        if is_silent(&request.target) {
            wire.socket().hang(until);
        }
        let outcome = self.response(wire, &request.target);
        self.is_busy = false;
        self.end_request(attached);
        self.conclude(request, outcome)
    }

    pub fn abandon(&mut self, in_flight: Box<InFlight>) {
        let InFlight { wire, attached, .. } = *in_flight;
        self.sockets.lay_aside(wire);
        self.is_busy = false;
        self.end_request(attached);
    }

    pub fn abandon_unread(&mut self, unread: Box<UnreadResponse>) {
        self.is_busy = false;
        self.end_request(unread.attached);
    }

    pub fn attach(&self, progress: &mut Progress, canceller: Arc<dyn Canceller>) {
        let attach = || Attached::new(Some(canceller), &self.sockets.cancel);
        match progress {
            Progress::InFlight(in_flight) => in_flight.attached = attach(),
            Progress::Unread(unread) => unread.attached = attach(),
            Progress::NeedsThread { .. } | Progress::Done(_) => {}
        }
    }

    pub fn is_busy(&self) -> bool {
        self.is_busy
    }

    pub fn transaction(&self) -> Option<&str> {
        self.transaction.as_deref()
    }

    pub fn rollback(&mut self, deadline: Instant) -> Result<()> {
        if self.transaction.is_none() {
            return Ok(());
        }
        self.request(&Request::rollback_transaction(None)?, deadline).map(drop)
    }

    pub fn is_reusable(&self) -> bool {
        self.transaction.is_none() && !self.sockets.has_laid_aside()
    }

    pub fn cancel_handle(&self) -> CancelHandle {
        CancelHandle::new(Arc::clone(&self.sockets.cancel))
    }

    /// Its socket, for others to look at while it is idle.
    pub fn socket_handle(&self) -> SocketHandle {
        SocketHandle::new(Arc::clone(&self.sockets))
    }

    pub fn close(&mut self, linger: Duration) {
        self.transaction = None;
        self.sockets.finish_laid_aside(linger);
        if let Some(mut wire) = self.sockets.take_wire() {
            wire.finish(clock::now() + linger);
            self.sockets.discard(wire);
        }
    }

    pub fn opened_at(&self) -> Option<Instant> {
        self.sockets.with_wire(|wire| wire.opened_at)
    }

    pub fn keep_alive_until(&self) -> Option<Instant> {
        self.sockets.with_wire(|wire| wire.keep_alive_until).flatten()
    }

    fn in_flight<T>(
        &mut self,
        canceller: Option<Arc<dyn Canceller>>,
        work: impl FnOnce(&mut Self) -> T,
    ) -> T {
        self.sockets.cancel.begin();
        server::begin_flight();
        let attached = Attached::new(canceller, &self.sockets.cancel);
        let result = work(self);
        self.end_request(attached);
        result
    }

    fn end_request(&mut self, attached: Attached) {
        drop(attached);
        if self.sockets.cancel.end() {
            self.sockets.discard_kept();
        }
    }

    fn exchange(
        &mut self,
        target: &str,
        deadline: Instant,
        canceller: Option<Arc<dyn Canceller>>,
    ) -> Result<Response> {
        self.in_flight(canceller, |connection| {
            let deadline = RequestDeadline::caller(deadline);
            let wire = connection.sockets.wire(&deadline, false)?;
            shuttle::thread::yield_now();
            if is_silent(target) {
                wire.socket().hang(deadline.until);
            }
            connection.response(wire, target)
        })
    }

    /// What the server has said by now, if it ever does.
    fn response(&mut self, mut wire: Box<Wire>, target: &str) -> Result<Response> {
        if wire.socket().is_cancelled() {
            self.sockets.lay_aside(wire);
            return Err(Error::new(Code::Cancelled, "the request was interrupted"));
        }
        if is_silent(target) {
            let error = Error::new(Code::Timeout, "Timeout: no response");
            let since = clock::now();
            let is_proved = wire.is_proved;
            self.sockets.lay_aside(wire);
            self.sockets.note(match is_proved {
                true => SocketEvent::Silent { since },
                false => SocketEvent::SilentFresh(&error),
            });
            return Err(error);
        }
        if !std::mem::replace(&mut wire.is_proved, true) {
            self.sockets.note(SocketEvent::Proved);
        }
        let text = wire.number.to_string();
        self.sockets.keep(wire);
        Ok(Response::read(
            Expected::Anything,
            200,
            text.into_bytes(),
            None,
            &Stop::never(),
            &Mask::default(),
        )
        .expect("is JSON"))
    }

    fn conclude(&mut self, request: &Request, response: Result<Response>) -> Result<Response> {
        let response = response?;
        match request.kind {
            RequestKind::Plain => {}
            RequestKind::Begin => self.transaction = Some("1".to_owned()),
            RequestKind::Commit(_) | RequestKind::Rollback(_) => self.transaction = None,
        }
        Ok(response)
    }
}

fn is_large(target: &str) -> bool {
    target == "/large"
}

fn is_silent(target: &str) -> bool {
    target == "/silence"
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.sockets.discard_all();
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").finish_non_exhaustive()
    }
}

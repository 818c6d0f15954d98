//! A connection: requests one after the other over one socket, and its open transaction.

use std::fmt;
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use ureq::http::{self, HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use ureq::{Agent, Body};

use super::answer::{Answer, Unusable};
use super::bound::Bound;
use super::endpoint::Endpoint;
use super::gate::{DialGate, Interrupter};
use super::outcome::{self, Failed, Tried};
use super::routes::{self, Kind, Request};
use super::station::{Order, Station};
use super::transport::{NoResolver, StationConnector};
use super::watch::{Watch, Watched};
use crate::error::{Code, Error, Result};

const TRANSACTION: HeaderName = HeaderName::from_static("x-phantomdb-transaction");

/// Of an error's body no more is read than this.
const MAX_ERROR_BODY: u64 = 64 * 1024;

/// What an answer of announced size gets at first; more only as more comes.
const MAX_RESERVED: u64 = 1024 * 1024;

/// What the request's line and headers need beside the URL, the token and the transaction.
const HEAD_ROOM: usize = 512;

/// One connection to the server: requests one after the other, over at most one socket.
///
/// It may move from thread to thread, and is used by one at a time; its [`Interrupter`] works from
/// any. A request that fails leaves it usable: where the socket can't be trusted any more it is
/// closed, and the next request opens another.
///
/// Dropping a connection closes its socket's file descriptor and says nothing to the server (so
/// that a forked child can do it); [`Connection::close`] takes leave.
pub struct Connection {
    station: Arc<Station>,
    /// Made at the first request.
    agent: Option<Agent>,
    transaction: Option<String>,
    /// Whether the last request, or a part of it, left this machine.
    sent: bool,
    /// Told of the next request.
    watch: Option<Arc<dyn Watch>>,
}

/// A complete HTTP answer.
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
    /// The body's end can't be trusted.
    ragged: bool,
}

impl Connection {
    /// A connection without a socket; nothing is sent before the first request.
    pub fn new(endpoint: Arc<Endpoint>, gate: Arc<dyn DialGate>) -> Connection {
        let station = Station::new(endpoint, gate);
        Connection { station, agent: None, transaction: None, sent: false, watch: None }
    }

    /// Opens the socket (leave to dial, name look-up, TCP, TLS) if there is none.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `Timeout`, `Tls`, `Cancelled`, or what the gate returned.
    pub fn open(&mut self, deadline: Instant) -> Result<()> {
        if self.station.with_wire(|_| ()).is_some() {
            return Ok(());
        }
        self.in_flight(|connection| {
            let station = &connection.station;
            let wire = station.dial(&Bound::caller(deadline))?;
            station.keep(wire);
            Ok(())
        })
    }

    /// Whether there is a socket. It may have been closed by the server since it was last used:
    /// see [`Connection::probe`]. It may also be of no use any more, and wait to be closed: see
    /// [`Connection::is_reusable`].
    pub fn is_open(&self) -> bool {
        self.station.with_wire(|_| ()).is_some() || self.station.has_spent()
    }

    /// Looks whether the socket is open and silent, without waiting: one system call (more if TLS
    /// has notes for us). False if the server closed it, sent what nobody asked for, or it broke;
    /// it is closed then. True without a socket.
    pub fn probe(&mut self) -> bool {
        let alive = self.station.with_wire(|wire| wire.probe()).unwrap_or(true);
        if !alive {
            self.station.discard_kept();
        }
        alive
    }

    /// Asks the server for a sign of life: `GET /health`, any 2xx.
    ///
    /// # Errors
    ///
    /// As [`Connection::request`].
    pub fn ping(&mut self, deadline: Instant) -> Result<()> {
        let request = Request::health_check();
        self.in_flight(|connection| connection.reply(&request, "/health", deadline).map(drop))
    }

    /// Sends a request and waits for its answer, until `deadline` or for `request_timeout`,
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
    /// one; or what the gate returned.
    pub fn request(&mut self, request: &Request, deadline: Instant) -> Result<Answer> {
        match &request.kind {
            Kind::Plain => self.in_flight(|it| it.answer(request, &request.target, deadline)),
            Kind::Begin => self.begin(request, deadline),
            Kind::Commit(id) => {
                let id = self.open_transaction("commit", id.as_deref())?;
                self.end_transaction(request, &id, "commit", deadline)
            }
            Kind::Rollback(id) => {
                let id = self.open_transaction("rollback", id.as_deref())?;
                self.end_transaction(request, &id, "rollback", deadline)
            }
        }
    }

    /// As [`Connection::request`]; `watch` is told when it begins and ends, if it does begin.
    ///
    /// # Errors
    ///
    /// As [`Connection::request`].
    pub fn request_watched(
        &mut self,
        request: &Request,
        deadline: Instant,
        watch: Arc<dyn Watch>,
    ) -> Result<Answer> {
        self.watch = Some(watch);
        let outcome = self.request(request, deadline);
        self.watch = None;
        outcome
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
        self.transaction.is_none() && !self.station.has_spent()
    }

    /// A handle to cut what this connection has in flight, for other threads.
    pub fn interrupter(&self) -> Interrupter {
        Interrupter::new(Arc::clone(&self.station))
    }

    /// Closes the socket with a farewell: TLS is told, then TCP, and the server's own close is
    /// waited for, for `linger` at most, so that afterwards the socket is gone as the server
    /// counts them too. An open transaction is left to the server. Without a socket it does
    /// nothing.
    pub fn close(&mut self, linger: Duration) {
        self.transaction = None;
        self.agent = None;
        self.station.finish_spent(linger);
        if let Some(mut wire) = self.station.take_wire() {
            wire.finish(Instant::now() + linger);
            self.station.discard(wire);
        }
    }

    /// When the socket was opened, if there is one.
    pub fn opened_at(&self) -> Option<Instant> {
        self.station.with_wire(|wire| wire.opened_at)
    }

    /// When to retire the socket, by the `Keep-Alive: timeout=N` of the last answer: a second
    /// before the server would, or at half its time if that is at most two seconds.
    pub fn keep_alive_until(&self) -> Option<Instant> {
        self.station.with_wire(|wire| wire.keep_alive_until).flatten()
    }

    /// Does what interrupters can cut.
    fn in_flight<T>(&mut self, work: impl FnOnce(&mut Self) -> T) -> T {
        self.station.cutter.begin();
        let watched = Watched::begin(self.watch.take(), || self.interrupter());
        let result = work(self);
        drop(watched);
        if self.station.cutter.end() {
            // The cut may have come when the answer was complete; the socket is gone all the same.
            self.station.discard_kept();
        }
        result
    }

    fn begin(&mut self, request: &Request, deadline: Instant) -> Result<Answer> {
        if let Some(open) = &self.transaction {
            return Err(Error::new(
                Code::InvalidState,
                format!(
                    "begin_transaction: transaction {} is open on this connection already; \
                     commit it or roll it back first",
                    routes::encoded(open)
                ),
            ));
        }
        let answer = self.in_flight(|it| it.answer(request, &request.target, deadline))?;
        let id = answer.transaction_id().filter(|id| is_header_value(id));
        let id = id.map(str::to_owned).ok_or_else(|| {
            let tried = self.tried(request, &request.target);
            tried.malformed("the answer has no usable `transaction_id`", answer.status())
        })?;
        let answer = Answer::of_transaction(&id);
        self.transaction = Some(id);
        Ok(answer)
    }

    /// The open transaction, if `id` means that one.
    fn open_transaction(&self, operation: &str, id: Option<&str>) -> Result<String> {
        let why = match (&self.transaction, id) {
            (Some(open), None) => return Ok(open.clone()),
            (Some(open), Some(id)) if open == id => return Ok(open.clone()),
            (Some(_), Some(_)) => "that transaction is not the one that is open on this connection",
            (None, _) => {
                "no transaction is open on this connection; a transaction belongs to the \
                 connection that began it"
            }
        };
        Err(Error::new(Code::InvalidState, format!("{operation}_transaction: {why}")))
    }

    fn end_transaction(
        &mut self,
        request: &Request,
        id: &str,
        operation: &str,
        deadline: Instant,
    ) -> Result<Answer> {
        let target = format!("/transactions/{}/{operation}", routes::encoded(id));
        let result = self.in_flight(|it| it.answer(request, &target, deadline));
        let is_over = match &result {
            Ok(_) => true,
            Err(error) => match error.http_status() {
                Some(404) => true,
                // Carried out, however odd the answer's body.
                Some(200..300) => error.code() == Code::Protocol,
                Some(_) => false,
                // What was sent may have been carried out. After a rollback of unknown outcome
                // trying again does no harm; a commit can't be repeated.
                None => operation == "commit" && self.sent,
            },
        };
        if is_over {
            self.transaction = None;
        }
        result
    }

    fn tried(&self, request: &Request, target: &str) -> Tried<'_> {
        Tried::new(&self.station.endpoint, &request.method, target)
    }

    fn answer(&mut self, request: &Request, target: &str, deadline: Instant) -> Result<Answer> {
        let reply = self.reply(request, target, deadline)?;
        let tried = self.tried(request, target);
        let is_json = reply.headers.get(header::CONTENT_TYPE).map(|value| {
            let value = value.as_bytes().to_ascii_lowercase();
            let essence = value.split(|byte| *byte == b';').next().unwrap_or_default();
            essence.trim_ascii().ends_with(b"json")
        });
        let status = reply.status.as_u16();
        if reply.ragged && reply.body.is_empty() {
            return Err(tried.cut_short());
        }
        match Answer::read(request.expected, status, reply.body, is_json) {
            Ok(answer) => Ok(answer),
            Err(Unusable::Refused(why)) => Err(tried.refused(reply.status, &why)),
            Err(Unusable::Malformed(_)) if reply.ragged => Err(tried.cut_short()),
            Err(Unusable::Malformed(why)) => {
                let error = tried.malformed(&why, status);
                // A server that breaks the protocol is not trusted with another request.
                self.station.discard_kept();
                Err(error)
            }
        }
    }

    /// Sends a request, again if that is safe, and gives its answer if its status is a 2xx.
    fn reply(&mut self, request: &Request, target: &str, deadline: Instant) -> Result<Reply> {
        let bound = Bound::caller(deadline)
            .at_most(self.station.endpoint.request_timeout, "request_timeout");
        let mut fresh = false;
        self.sent = false;
        loop {
            let result = self.exchange(request, target, bound, fresh);
            let report = self.station.take_report();
            self.sent |= report.written > 0;
            let tried = Tried::new(&self.station.endpoint, &request.method, target);
            let failed = match result {
                Ok(mut reply) => {
                    reply.ragged = report.ragged;
                    return tried.check_status(reply);
                }
                Err(failed) => failed,
            };
            let failed = outcome::classified(failed, report);
            if !fresh && failed.may_be_sent_again(request.method == Method::GET) {
                fresh = true;
                continue;
            }
            return Err(tried.failed(failed, &bound));
        }
    }

    fn exchange(
        &mut self,
        request: &Request,
        target: &str,
        bound: Bound,
        fresh: bool,
    ) -> std::result::Result<Reply, Failed> {
        let endpoint = &self.station.endpoint;
        let uri = endpoint.uri(target).map_err(Failed::Local)?;
        let mut head = HEAD_ROOM + 2 * endpoint.url().len() + target.len();
        let mut builder = http::Request::builder().method(request.method.clone()).uri(uri);
        if let Some(token) = endpoint.authorization() {
            head += token.len();
            builder = builder.header(header::AUTHORIZATION, token);
        }
        if let Some(id) = &self.transaction {
            head += id.len();
            builder = builder.header(TRANSACTION, id.as_str());
        }
        if request.body.is_some() {
            builder =
                builder.header(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        let body = request.body.as_deref().unwrap_or_default();
        self.station.prepare(Order { bound, head, body: body.len(), fresh });
        let agent = self.agent.get_or_insert_with(|| {
            let config = self.station.endpoint.http.clone();
            Agent::with_parts(config, StationConnector(Arc::clone(&self.station)), NoResolver)
        });
        let wants_length = matches!(request.method, Method::POST | Method::PUT | Method::PATCH);
        let response = if request.body.is_some() || wants_length {
            builder.body(body).map_err(Failed::from).and_then(|it| Ok(agent.run(it)?))
        } else {
            builder.body(()).map_err(Failed::from).and_then(|it| Ok(agent.run(it)?))
        }?;
        self.station.head_done.store(true, Ordering::Relaxed);
        self.receive(response)
    }

    fn receive(&mut self, response: http::Response<Body>) -> std::result::Result<Reply, Failed> {
        let (parts, body) = response.into_parts();
        let limit = self.station.endpoint.max_response_bytes;
        let keep_alive = parts.headers.get("keep-alive").and_then(keep_alive_time);
        let mut reply =
            Reply { status: parts.status, headers: parts.headers, body: Vec::new(), ragged: false };
        let length = body.content_length();
        if reply.status.is_success() {
            if length.is_some_and(|length| length > limit) {
                return Err(Failed::TooLarge { announced: length });
            }
            let reserved = length.unwrap_or_default().min(MAX_RESERVED);
            reply.body.reserve(usize::try_from(reserved).unwrap_or_default());
            let mut reader = body.into_reader().take(limit.saturating_add(1));
            reader.read_to_end(&mut reply.body).map_err(|error| Failed::Http(error.into()))?;
            if reply.body.len() as u64 > limit {
                return Err(Failed::TooLarge { announced: None });
            }
        } else {
            // The status says what matters; of its explanation whatever comes is good enough.
            // A byte more than wanted, so that a body of just that size is read to its end.
            let most = limit.min(MAX_ERROR_BODY).saturating_add(1);
            let read = body.into_reader().take(most).read_to_end(&mut reply.body);
            if let (Err(error), true) = (read, self.station.cutter.is_cut()) {
                return Err(Failed::Http(error.into()));
            }
        }
        self.station.with_wire(|wire| {
            wire.keep_alive_until = keep_alive.and_then(|time| Instant::now().checked_add(time));
        });
        Ok(reply)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // Interrupters keep the station alive; the sockets must not wait for them.
        self.station.discard_all();
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("url", &self.station.endpoint.url())
            .field("is_open", &self.is_open())
            .field("transaction", &self.transaction)
            .finish_non_exhaustive()
    }
}

/// How long to keep a socket that the server keeps for the `timeout=N` seconds of this header.
fn keep_alive_time(header: &HeaderValue) -> Option<Duration> {
    let seconds: u64 = header
        .to_str()
        .ok()?
        .split(',')
        .find_map(|part| part.trim().strip_prefix("timeout="))?
        .trim()
        .parse()
        .ok()?;
    Some(match seconds {
        0..=2 => Duration::from_secs(seconds) / 2,
        more => Duration::from_secs(more - 1),
    })
}

fn is_header_value(text: &str) -> bool {
    text.len() <= 1024 && text.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_are_retired_before_the_server_closes_them() {
        let time = |text: &'static str| keep_alive_time(&HeaderValue::from_static(text));
        assert_eq!(time("timeout=5, max=100"), Some(Duration::from_secs(4)));
        assert_eq!(time("max=100,timeout=2"), Some(Duration::from_secs(1)));
        assert_eq!(time("timeout=1"), Some(Duration::from_millis(500)));
        assert_eq!(time("timeout=0"), Some(Duration::ZERO));
        assert_eq!(time("timeout=x"), None);
        assert_eq!(time("max=3"), None);
    }

    #[test]
    fn connections_may_change_threads_and_interrupters_be_shared() {
        fn is_send<T: Send>() {}
        fn is_shared<T: Send + Sync + Clone>() {}
        is_send::<Connection>();
        is_shared::<Interrupter>();
        is_shared::<Arc<Answer>>();
        is_shared::<Arc<Endpoint>>();
    }
}

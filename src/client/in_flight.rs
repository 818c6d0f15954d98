//! A request in flight over a socket: what is still to be sent of it, and what has come in.
//!
//! The socket is the request's own until that ends. It goes back to the connection only if the
//! exchange ended with nothing left over; every other end closes it.

use std::fmt;
use std::io;
use std::mem;
use std::os::fd::{OwnedFd, RawFd};
use std::sync::Arc;
use std::time::Instant;

use crate::client::cancel::Attached;
use crate::client::connection_sockets::ConnectionSockets;
use crate::client::http::buffers::{IoBuffers, MAX_HEAD};
use crate::client::http::exchange::Exchange;
use crate::client::http::raw_response::{RawResponse, ResponseError};
use crate::client::request_error::{ExchangeError, Report};
use crate::client::routes::Request;
use crate::client::transport::request_deadline::RequestDeadline;
use crate::client::transport::socket::OnClose;
use crate::client::transport::wire::{Received, Wait, Wire, WireError};
use crate::os::clock;

/// How often it receives before it lets others have their turn, if it may not wait.
const TURN: usize = 16;
/// How many bytes it sends or receives before it does: some ten microseconds' work, so that a
/// hundred sockets that are ready at once do not keep anybody waiting for long.
const SLICE: usize = 128 * 1024;

/// A request in flight over a socket. If no thread waits for it, it goes on by
/// [`Connection::resume`]; see [`Connection::start`].
///
/// [`Connection::resume`]: crate::client::Connection::resume
/// [`Connection::start`]: crate::client::Connection::start
pub struct InFlight {
    sockets: Arc<ConnectionSockets>,
    /// There until the drop.
    wire: Option<Box<Wire>>,
    /// Lent by the endpoint until then.
    buffers: IoBuffers,
    exchange: Exchange,
    deadline: RequestDeadline,
    /// How much of the request was handed over.
    sent: usize,
    is_begun: bool,
    is_sent: bool,
    report: Report,
    /// Whether a byte of the response has come.
    is_heard: bool,
    is_ready: bool,
    is_complete: bool,
    ended_well: bool,
    /// What cancels it, if no thread waits for it.
    attached: Attached,
}

/// A response that has come, and is too large to be read in passing: [`Connection::read`] reads
/// it. Its request can still be cancelled.
///
/// [`Connection::read`]: crate::client::Connection::read
pub struct UnreadResponse {
    pub(super) response: RawResponse,
    pub(super) deadline: RequestDeadline,
    pub(super) attached: Attached,
}

impl InFlight {
    /// A request that is to go over this socket, and is written into the buffers, with as much of
    /// its body as there was room for. Nothing is sent yet.
    #[inline]
    pub(super) fn new(
        sockets: &Arc<ConnectionSockets>,
        wire: Box<Wire>,
        buffers: IoBuffers,
        deadline: RequestDeadline,
    ) -> InFlight {
        InFlight {
            sockets: sockets.clone(),
            report: Report { reused: wire.is_kept(), is_first: !wire.used, ..Report::default() },
            exchange: Exchange::new(sockets.endpoint.max_response_bytes),
            wire: Some(wire),
            buffers,
            deadline,
            sent: 0,
            is_begun: false,
            is_sent: false,
            is_heard: false,
            is_ready: false,
            is_complete: false,
            ended_well: false,
            attached: Attached::default(),
        }
    }

    /// Has it cancelled by this.
    pub(super) fn set_attached(&mut self, attached: Attached) {
        self.attached = attached;
    }

    pub(super) fn take_attached(&mut self) -> Attached {
        mem::take(&mut self.attached)
    }

    /// What has become of it so far.
    pub(super) fn report(&self) -> &Report {
        &self.report
    }

    /// The same, as the last that is asked.
    pub(super) fn take_report(&mut self) -> Report {
        mem::take(&mut self.report)
    }

    /// By when it must be over.
    pub(super) fn deadline(&self) -> &RequestDeadline {
        &self.deadline
    }

    /// When its time is over.
    pub fn until(&self) -> Instant {
        self.deadline.until
    }

    /// Whether the server meant its response to be the last on the socket, or did not read all of
    /// the request.
    pub(super) fn is_closing(&self) -> bool {
        !self.exchange.may_go_on() || self.wire.as_ref().is_none_or(|wire| wire.is_half_sent())
    }

    /// The number of the socket that it goes over, by which the poller tells of it.
    pub fn socket(&self) -> usize {
        self.wire.as_ref().map_or(0, |wire| wire.socket().number)
    }

    /// The descriptor of that socket, which stays the connection's: it is only to be watched. A
    /// duplicate of it does not keep the connection open, because the socket is shut down when it
    /// is closed.
    pub fn descriptor(&self) -> RawFd {
        self.wire.as_ref().map_or(-1, |wire| wire.socket().lend())
    }

    /// A duplicate of that descriptor, to be watched and closed by the program. `on_close` is
    /// called when the socket is closed.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn duplicate(&self, on_close: Option<OnClose>) -> io::Result<OwnedFd> {
        let Some(wire) = &self.wire else { return Err(io::ErrorKind::NotConnected.into()) };
        wire.socket().duplicate(on_close)
    }

    /// Whether the request is not all sent, so that it goes on when the socket takes more of it.
    pub fn is_sending(&self) -> bool {
        !self.is_sent
    }

    /// Whether there is more to do though the poller will say nothing more of the socket.
    pub fn is_ready(&self) -> bool {
        self.is_ready
    }

    /// Gives up waiting. Of an error's explanation whatever came is good enough.
    pub(super) fn time_out(&mut self) -> Result<RawResponse, ExchangeError> {
        match self.exchange.is_of_error().then(|| self.exchange.give_up()).flatten() {
            Some(response) if !self.sockets.cancel.is_cancelled() => Ok(response),
            _ => Err(self.cause(WireError::TimedOut)),
        }
    }

    /// Sends and receives until the response is complete; or, if it may not wait, as much as can be
    /// done now: `None` means that there is more to do when the socket is ready.
    pub(super) fn advance(
        &mut self,
        request: &Request,
        may_wait: bool,
    ) -> Option<Result<RawResponse, ExchangeError>> {
        let wait = if may_wait { Wait::Until(self.deadline.until) } else { Wait::No };
        self.is_ready = false;
        let is_first = !mem::replace(&mut self.is_begun, true);
        if !self.is_sent {
            match self.send(request.body.as_deref().unwrap_or_default(), wait) {
                Ok(is_sent) => self.is_sent = is_sent,
                Err(broken) => return Some(Err(self.cause(broken))),
            }
            // The response can't be there at once.
            if !may_wait && (is_first || !self.is_sent) {
                return None;
            }
        }
        self.receive(request, wait).transpose()
    }

    /// Whether all is sent now. (It always is if it may wait.)
    fn send(&mut self, body: &[u8], wait: Wait) -> Result<bool, WireError> {
        let Some(wire) = &mut self.wire else { return Ok(true) };
        let mut left = slice(wait);
        loop {
            let unsent = self.buffers.unsent(self.sent, body);
            let unsent = &unsent[..unsent.len().min(left)];
            let length = unsent.len();
            let count = match length {
                0 if !wire.has_unsent() => 0,
                _ => wire.send(unsent, wait, &mut self.report.written)?,
            };
            self.sent += count;
            if length == 0 && !wire.has_unsent() || wire.is_half_sent() {
                return Ok(true);
            }
            if count < length || wire.has_unsent() {
                return Ok(false);
            }
            left -= count;
            if left == 0 {
                self.is_ready = true;
                return Ok(false);
            }
        }
    }

    fn receive(
        &mut self,
        request: &Request,
        wait: Wait,
    ) -> Result<Option<RawResponse>, ExchangeError> {
        let mut left = slice(wait);
        for turn in 0.. {
            if (turn == TURN || left == 0) && matches!(wait, Wait::No) {
                self.is_ready = true;
                break;
            }
            let Some(wire) = &mut self.wire else { return Err(ExchangeError::Lost(None)) };
            match self.exchange.read(&request.method, &mut self.buffers) {
                Ok(None) => {}
                Ok(Some(response)) => return Ok(Some(self.complete(response))),
                Err(error) => return Err(self.cause_of(error)),
            }
            let received = match self.exchange.room() {
                Ok(Some(room)) => {
                    let most = room.len().min(left);
                    let received = wire.receive(&mut room[..most], wait);
                    if let Ok(Some(Received::Bytes(count))) = received {
                        self.exchange.fill(count);
                    }
                    received
                }
                Ok(None) => {
                    let received = wire.receive(self.buffers.free(), wait);
                    if let Ok(Some(Received::Bytes(count))) = received {
                        self.buffers.add(count);
                    }
                    received
                }
                Err(error) => return Err(self.cause_of(error)),
            };
            // A cancel looks like the peer's end of the connection, and so like the end of a
            // response.
            if self.sockets.cancel.is_cancelled() {
                return Err(ExchangeError::Cancelled);
            }
            match received {
                Ok(None) => return Ok(None),
                Ok(Some(Received::Bytes(count))) => {
                    self.report.received += count as u64;
                    left = left.saturating_sub(count);
                    self.is_heard = true;
                    // Heads without an end: one that says "continue" after the other.
                    if self.exchange.is_in_head() && self.report.received > 2 * MAX_HEAD as u64 {
                        return Err(self.cause(WireError::Overflow));
                    }
                }
                Ok(Some(Received::End)) => return self.end_of_input(false),
                Ok(Some(Received::RaggedEnd)) => return self.end_of_input(true),
                // The status says what matters; of its explanation whatever came is good enough.
                Err(_) if self.exchange.is_of_error() => {
                    return Ok(self.exchange.give_up());
                }
                Err(broken) => return Err(self.cause(broken)),
            }
        }
        Ok(None)
    }

    fn end_of_input(&mut self, ragged: bool) -> Result<Option<RawResponse>, ExchangeError> {
        if self.exchange.is_of_error() {
            return Ok(self.exchange.give_up());
        }
        match self.exchange.end(&self.buffers) {
            Ok(response) => Ok(Some(RawResponse { ragged, ..response })),
            Err(error) => Err(self.cause_of(error)),
        }
    }

    /// The response is complete: what of the socket?
    fn complete(&mut self, response: RawResponse) -> RawResponse {
        self.is_complete = true;
        if let Some(wire) = &mut self.wire {
            self.ended_well =
                self.exchange.may_go_on() && self.buffers.is_empty() && wire.is_clean();
            let until = |time| clock::recent().checked_add(time);
            wire.keep_alive_until = response.keep_alive.and_then(until);
        }
        response
    }

    fn cause(&mut self, broken: WireError) -> ExchangeError {
        if self.sockets.cancel.is_cancelled() {
            return ExchangeError::Cancelled;
        }
        match broken {
            WireError::TimedOut => ExchangeError::TimedOut,
            WireError::Lost(error) => ExchangeError::Lost(Some(error)),
            WireError::Tls(error) => {
                // A client certificate is refused only now, by TLS 1.3.
                self.sockets.endpoint.note_tls_failure();
                ExchangeError::Tls(error)
            }
            WireError::Overflow => self.cause_of(ResponseError::HeadTooLarge),
        }
    }

    fn cause_of(&mut self, error: ResponseError) -> ExchangeError {
        let why = match error {
            ResponseError::CutShort => return ExchangeError::Lost(None),
            ResponseError::TooLarge(announced) => return ExchangeError::TooLarge(announced),
            ResponseError::OutOfMemory => return ExchangeError::OutOfMemory,
            ResponseError::HeadTooLarge => "its headers are larger than 64 KiB".to_owned(),
            ResponseError::Malformed(why) => why,
        };
        if self.exchange.is_in_head() {
            self.report.beginning = self.buffers.input().to_vec();
        }
        ExchangeError::Malformed(why)
    }
}

/// How much may be sent or received until others have their turn.
fn slice(wait: Wait) -> usize {
    match wait {
        Wait::Until(_) => usize::MAX,
        Wait::No => SLICE,
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.sockets.endpoint.spare_buffers.give_back(mem::take(&mut self.buffers));
        let Some(mut wire) = self.wire.take() else { return };
        if self.ended_well {
            wire.used = true;
            self.sockets.keep(wire);
        } else if !self.is_heard || self.is_complete {
            // The server may be at work on the request, or have more to do before it closes what
            // it said it would, and not look at the socket until then: so long it counts it.
            self.sockets.lay_aside(wire);
        } else {
            self.sockets.discard(wire);
        }
    }
}

impl fmt::Debug for InFlight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InFlight").finish_non_exhaustive()
    }
}

impl fmt::Debug for UnreadResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnreadResponse").finish_non_exhaustive()
    }
}

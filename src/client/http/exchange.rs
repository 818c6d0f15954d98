//! One HTTP exchange, without input or output: what is to be sent, and what comes of what came in.
//!
//! The usual response is read by httparse and a count of bytes (see `usual`); HTTP/1.1 in all its other
//! forms is ureq-proto's work, once `framing` has no doubt where the response ends.

use std::collections::TryReserveError;
use std::time::Duration;

use ureq_proto::client::state::{RecvBody, RecvResponse};
use ureq_proto::client::{Call, RecvBodyResult, RecvResponseResult, SendRequestResult};
use ureq_proto::http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri, header,
};
use ureq_proto::{BodyMode, Error};

use crate::client::http::buffers::{IoBuffers, MAX_HEAD};
use crate::client::http::fast_path::{self, Beginning, FastHead, Head};
use crate::client::http::framing::{self, Checked, Chunks, Framing};

/// More responses that only announce another one (1xx) are not waited for.
const MAX_INTERIM: usize = 100;

/// Of an error's body no more is read than this.
const MAX_ERROR_BODY: u64 = 64 * 1024;

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");

/// How much is read of a chunk at once. What is made ready for that is cleared first, so that chunks of
/// a byte each would cost as much as large ones.
const PIECE: usize = 4096;

/// What a response of announced size gets at first; more only as more comes.
const MAX_RESERVED: u64 = 1024 * 1024;

/// So much empty room behind a body is given back.
const WORTH_SHRINKING: usize = 64 * 1024;

/// A complete HTTP answer.
#[derive(Debug)]
pub(in crate::client) struct RawResponse {
    pub(in crate::client) status: StatusCode,
    /// None of a usual response's.
    pub(in crate::client) headers: HeaderMap,
    /// What its Content-Type says, if it has one.
    pub(in crate::client) is_json: Option<bool>,
    /// For how long the server said that it keeps the connection.
    pub(in crate::client) keep_alive: Option<Duration>,
    pub(in crate::client) body: Vec<u8>,
    /// The body's end can't be trusted.
    pub(in crate::client) ragged: bool,
}

/// What is wrong with a response.
#[derive(Debug)]
pub(in crate::client) enum Unfit {
    /// The server closed the connection before its end.
    CutShort,
    Garbage(String),
    HeadTooLarge,
    TooLarge(Option<u64>),
    /// The system has no memory for it.
    NoMemory,
}

impl From<Error> for Unfit {
    fn from(error: Error) -> Self {
        Unfit::Garbage(error.to_string())
    }
}

impl From<TryReserveError> for Unfit {
    fn from(_: TryReserveError) -> Self {
        Unfit::NoMemory
    }
}

impl From<framing::Broken> for Unfit {
    fn from(broken: framing::Broken) -> Self {
        match broken {
            framing::Broken::Doubt(why) => Unfit::Garbage(why),
            framing::Broken::NoMemory => Unfit::NoMemory,
        }
    }
}

/// A request that was written, and as much of its response as has come.
pub(in crate::client) struct Exchange {
    method: Method,
    state: State,
    head: Option<ResponseHead>,
    body: Vec<u8>,
    max_response_bytes: u64,
    scan: Scan,
    /// How many responses came that only announce another one.
    interim: usize,
    /// Something about the response speaks against another exchange on the same connection.
    is_last: bool,
}

/// How much of a head was looked at, so that one that comes in small pieces is not parsed as a whole
/// for each of them.
#[derive(Default)]
struct Scan {
    scanned: usize,
    parsed: usize,
}

/// What is to be known of a response's head.
struct ResponseHead {
    status: StatusCode,
    headers: HeaderMap,
    is_json: Option<bool>,
    keep_alive: Option<Duration>,
}

enum State {
    /// The beginning of the response, which is usual so far.
    Beginning,
    /// The body of a usual response: so many bytes have come, and so many are still to come.
    Counted {
        filled: usize,
        left: u64,
    },
    Head,
    Body(Box<Call<RecvBody>>),
    Chunked(Chunks),
    Over {
        /// Nothing speaks against another exchange on the same connection.
        may_go_on: bool,
    },
}

impl Exchange {
    /// Writes the request into the buffers, its head and as much of its body as there is room for.
    pub(in crate::client) fn begin(
        head: &Head,
        body: Option<&[u8]>,
        buffers: &mut IoBuffers,
        max_response_bytes: u64,
    ) -> Exchange {
        head.write(buffers);
        buffers.append(body.unwrap_or_default());
        Exchange {
            method: head.method.clone(),
            state: State::Beginning,
            head: None,
            body: Vec::new(),
            max_response_bytes,
            scan: Scan::default(),
            interim: 0,
            is_last: false,
        }
    }

    /// Whether the head of the response is not complete.
    pub(in crate::client) fn is_in_head(&self) -> bool {
        matches!(self.state, State::Beginning | State::Head)
    }

    /// Whether no head was understood.
    pub(in crate::client) fn has_no_head(&self) -> bool {
        self.head.is_none()
    }

    /// Whether the response is an error's, of whose explanation whatever comes is good enough.
    pub(in crate::client) fn is_of_error(&self) -> bool {
        self.head.as_ref().is_some_and(|head| !head.status.is_success())
    }

    /// Whether the connection is fit for another exchange, as far as HTTP goes.
    pub(in crate::client) fn may_go_on(&self) -> bool {
        matches!(self.state, State::Over { may_go_on: true })
    }

    /// Takes in what is there; `None` if the response is not complete.
    pub(in crate::client) fn read(
        &mut self,
        buffers: &mut IoBuffers,
    ) -> Result<Option<RawResponse>, Unfit> {
        loop {
            match std::mem::replace(&mut self.state, State::Over { may_go_on: false }) {
                beginning @ (State::Beginning | State::Head)
                    if !self.scan.is_worth_a_look(buffers.input()) =>
                {
                    self.state = beginning;
                    return Ok(None);
                }
                State::Beginning => match fast_path::look(&self.method, buffers.input()) {
                    Beginning::FastHead(head) if head.size <= MAX_HEAD => {
                        buffers.consume(head.size);
                        self.expect(head)?;
                    }
                    Beginning::Incomplete => {
                        self.state = State::Beginning;
                        return Ok(None);
                    }
                    _ => {
                        self.scan = Scan::default();
                        self.state = State::Head;
                    }
                },
                State::Counted { filled, left: 0 } => {
                    self.body.truncate(filled);
                    self.state = State::Over { may_go_on: true };
                }
                counted @ State::Counted { .. } => {
                    self.state = counted;
                    let input = buffers.input();
                    let room = self.room()?.unwrap_or_default();
                    let taken = input.len().min(room.len());
                    if taken == 0 {
                        return Ok(None);
                    }
                    room[..taken].copy_from_slice(&input[..taken]);
                    buffers.consume(taken);
                    self.fill(taken);
                }
                State::Head => {
                    let Some(checked) = framing::check(buffers.input()).map_err(Unfit::Garbage)?
                    else {
                        self.state = State::Head;
                        return Ok(None);
                    };
                    if checked.size > MAX_HEAD {
                        return Err(Unfit::HeadTooLarge);
                    }
                    self.scan = Scan::default();
                    self.is_last |= checked.is_last;
                    if checked.status == 101 {
                        let why = "it switches to another protocol, which was not asked for";
                        return Err(Unfit::Garbage(why.to_owned()));
                    }
                    if (100..200).contains(&checked.status) {
                        self.interim += 1;
                        if self.interim > MAX_INTERIM {
                            let why = format!("more than {MAX_INTERIM} responses of status 1xx");
                            return Err(Unfit::Garbage(why));
                        }
                        buffers.consume(checked.size);
                        self.state = State::Head;
                        continue;
                    }
                    self.take_head(&checked, &buffers.input()[..checked.size])?;
                    buffers.consume(checked.size);
                }
                State::Chunked(mut chunks) => {
                    let most = self.most();
                    let taken = chunks.read(buffers.input(), &mut self.body, most)?;
                    buffers.consume(taken);
                    if chunks.is_over() {
                        self.state = State::Over { may_go_on: !self.is_last && !chunks.is_odd() };
                        continue;
                    }
                    if self.body.len() as u64 == most {
                        return self.too_much();
                    }
                    self.state = State::Chunked(chunks);
                    return Ok(None);
                }
                State::Body(mut call) => {
                    if call.body_mode() != BodyMode::CloseDelimited && call.can_proceed() {
                        self.state = ended(*call, self.is_last);
                        continue;
                    }
                    let (used, most) = (self.body.len(), self.most());
                    let room = buffers.input().len().min((most - used as u64) as usize).min(PIECE);
                    if room == 0 {
                        if used as u64 == most {
                            return self.too_much();
                        }
                        self.state = State::Body(call);
                        return Ok(None);
                    }
                    self.body.try_reserve(room)?;
                    self.body.resize(used + room, 0);
                    let (taken, given) = call.read(buffers.input(), &mut self.body[used..])?;
                    self.body.truncate(used + given);
                    buffers.consume(taken);
                    self.state = State::Body(call);
                    if taken == 0 {
                        return Ok(None);
                    }
                }
                State::Over { may_go_on } => {
                    self.state = State::Over { may_go_on };
                    return Ok(self.response());
                }
            }
        }
    }

    /// Where the rest of the body may be received at once, without a detour through the buffers.
    pub(in crate::client) fn room(&mut self) -> Result<Option<&mut [u8]>, Unfit> {
        let State::Counted { filled, left } = self.state else { return Ok(None) };
        if filled == self.body.len() {
            let more = left.min(MAX_RESERVED) as usize;
            if self.body.capacity() < filled + more {
                // Twice as much each time, but never more than was announced and the NUL.
                let announced = usize::try_from(left).unwrap_or(usize::MAX).saturating_add(1);
                let wanted = announced.min(self.body.capacity()).max(more);
                self.body.try_reserve_exact(wanted)?;
            }
            self.body.resize(filled + more, 0);
        }
        Ok(Some(&mut self.body[filled..]))
    }

    /// So much was received there.
    pub(in crate::client) fn fill(&mut self, count: usize) {
        if let State::Counted { filled, left } = &mut self.state {
            *filled += count;
            *left -= count as u64;
        }
    }

    /// The server has closed its side, and nothing more comes.
    pub(in crate::client) fn end(&mut self, buffers: &IoBuffers) -> Result<RawResponse, Unfit> {
        let is_complete = match &self.state {
            State::Beginning | State::Head => {
                framing::check(buffers.input()).map_err(Unfit::Garbage)?;
                false
            }
            State::Counted { .. } => false,
            State::Chunked(chunks) => chunks.has_all_data(),
            State::Body(call) => call.can_proceed(),
            State::Over { .. } => true,
        };
        self.state = State::Over { may_go_on: false };
        if is_complete { self.response().ok_or(Unfit::CutShort) } else { Err(Unfit::CutShort) }
    }

    /// The response as far as it has come, if its head has.
    pub(in crate::client) fn give_up(&mut self) -> Option<RawResponse> {
        self.state = State::Over { may_go_on: false };
        self.response()
    }

    fn response(&mut self) -> Option<RawResponse> {
        let head = self.head.take()?;
        let mut body = std::mem::take(&mut self.body);
        // Of a body whose length was not announced, up to half of the room is empty.
        if body.capacity() - body.len() > WORTH_SHRINKING {
            body.shrink_to(body.len() + 1);
        }
        Some(RawResponse {
            status: head.status,
            headers: head.headers,
            is_json: head.is_json,
            keep_alive: head.keep_alive,
            body,
            ragged: false,
        })
    }

    /// How much of the body is read: one byte more than is wanted, to see whether it has more.
    fn most(&self) -> u64 {
        let wanted = match self.is_of_error() {
            true => self.max_response_bytes.min(MAX_ERROR_BODY),
            false => self.max_response_bytes,
        };
        wanted.saturating_add(1).min(isize::MAX as u64)
    }

    fn too_much(&mut self) -> Result<Option<RawResponse>, Unfit> {
        if self.is_of_error() { Ok(self.give_up()) } else { Err(Unfit::TooLarge(None)) }
    }

    /// Takes in the head of a usual response.
    fn expect(&mut self, head: FastHead) -> Result<(), Unfit> {
        let FastHead { status, body, is_json, keep_alive, .. } = head;
        self.head = Some(ResponseHead { status, headers: HeaderMap::new(), is_json, keep_alive });
        self.state = State::Counted { filled: 0, left: body };
        self.make_room_for(body)
    }

    /// Takes in the head of any other response.
    fn take_head(&mut self, checked: &Checked, head: &[u8]) -> Result<(), Unfit> {
        let mut call = receiver(&self.method)?;
        let (_, response) = call.try_response(head, false)?;
        let response = response.ok_or_else(|| Unfit::Garbage("its head has no end".to_owned()))?;
        self.head = Some(ResponseHead::new(response.status(), response.headers()));
        self.state = match call.proceed() {
            Some(RecvResponseResult::RecvBody(_)) if checked.body == Framing::Chunked => {
                State::Chunked(Chunks::new())
            }
            Some(RecvResponseResult::RecvBody(call)) => State::Body(Box::new(call)),
            Some(RecvResponseResult::Redirect(call)) => {
                State::Over { may_go_on: !self.is_last && !call.must_close_connection() }
            }
            Some(RecvResponseResult::Cleanup(call)) => {
                State::Over { may_go_on: !self.is_last && !call.must_close_connection() }
            }
            None => State::Over { may_go_on: false },
        };
        match &self.state {
            State::Body(call) => match call.body_mode() {
                BodyMode::LengthDelimited(length) => self.make_room_for(length),
                _ => Ok(()),
            },
            _ => Ok(()),
        }
    }

    fn make_room_for(&mut self, length: u64) -> Result<(), Unfit> {
        if length > self.max_response_bytes && !self.is_of_error() {
            return Err(Unfit::TooLarge(Some(length)));
        }
        // One byte more, for the NUL that a response ends with.
        let room = length.min(self.most()).min(MAX_RESERVED) as usize + 1;
        self.body.try_reserve_exact(room)?;
        Ok(())
    }
}

impl ResponseHead {
    fn new(status: StatusCode, headers: &HeaderMap) -> ResponseHead {
        let value = |name| headers.get(name).map(HeaderValue::as_bytes);
        ResponseHead {
            status,
            is_json: value(header::CONTENT_TYPE).map(fast_path::is_of_json),
            keep_alive: value(KEEP_ALIVE).and_then(fast_path::keep_alive_time),
            headers: headers.clone(),
        }
    }
}

/// Understands every response to a request of this method.
fn receiver(method: &Method) -> Result<Call<RecvResponse>, Error> {
    let mut request = Request::new(());
    *request.method_mut() = method.clone();
    *request.uri_mut() = Uri::from_static("http://localhost/");
    if says_length(method) {
        request.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    let mut call = Call::new(request)?;
    call.allow_non_standard_methods(true);
    let mut call = call.proceed();
    let mut written = [0; 256];
    while !call.can_proceed() {
        call.write(&mut written)?;
    }
    match call.proceed()?.ok_or(Error::OutputOverflow)? {
        SendRequestResult::RecvResponse(call) => Ok(call),
        SendRequestResult::SendBody(mut call) => {
            call.consume_direct_write(0)?;
            call.proceed().ok_or(Error::BodyLargerThanContentLength)
        }
        // Nobody asks for it.
        SendRequestResult::Await100(_) => Err(Error::BodyNotAllowed),
    }
}

impl Scan {
    /// Whether parsing what has come of a head may tell something new: it is complete, or twice as
    /// long as last time.
    fn is_worth_a_look(&mut self, input: &[u8]) -> bool {
        let from = self.scanned.saturating_sub(3);
        self.scanned = input.len();
        let is_end = |at: usize| {
            input[at] == b'\n' && matches!(input[at - 2..at], [_, b'\n'] | [b'\n', b'\r'])
        };
        let is_worth = input.len() >= self.parsed * 2 || (from.max(2)..input.len()).any(is_end);
        if is_worth {
            self.parsed = input.len();
        }
        is_worth
    }
}

fn ended(call: Call<RecvBody>, is_last: bool) -> State {
    let may_go_on = match call.proceed() {
        Some(RecvBodyResult::Cleanup(call)) => !call.must_close_connection(),
        Some(RecvBodyResult::Redirect(call)) => !call.must_close_connection(),
        None => false,
    };
    State::Over { may_go_on: may_go_on && !is_last }
}

/// Whether a request of this method says how long its body is, even if it has none.
pub(in crate::client) fn says_length(method: &Method) -> bool {
    matches!(*method, Method::POST | Method::PUT | Method::PATCH)
}

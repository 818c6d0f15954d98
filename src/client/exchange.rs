//! One HTTP exchange, without input or output: what is to be sent, and what comes of what came in.
//!
//! HTTP/1.1 itself is ureq-proto's work.

use ureq_proto::client::state::{RecvBody, RecvResponse};
use ureq_proto::client::{Call, RecvBodyResult, RecvResponseResult, SendRequestResult};
use ureq_proto::http::{self, HeaderMap, Method, StatusCode};
use ureq_proto::{BodyMode, Error};

use super::buffers::{IoBuffers, MAX_HEAD};

/// Of an error's body no more is read than this.
const MAX_ERROR_BODY: u64 = 64 * 1024;

/// What an answer of announced size gets at first; more only as more comes.
const MAX_RESERVED: u64 = 1024 * 1024;

/// A complete HTTP answer.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
    /// The body's end can't be trusted.
    pub(super) ragged: bool,
}

/// What is wrong with an answer.
#[derive(Debug)]
pub(super) enum Unfit {
    /// The server closed the connection before its end.
    CutShort,
    Garbage(String),
    HeadTooLarge,
    TooLarge(Option<u64>),
}

impl From<Error> for Unfit {
    fn from(error: Error) -> Self {
        Unfit::Garbage(error.to_string())
    }
}

/// A request that was written, and as much of its answer as has come.
pub(super) struct Exchange {
    state: State,
    head: Option<http::response::Parts>,
    body: Vec<u8>,
    max_response_bytes: u64,
}

enum State {
    Head(Call<RecvResponse>),
    Body(Call<RecvBody>),
    Over {
        /// Nothing speaks against another exchange on the same connection.
        may_go_on: bool,
    },
}

impl Exchange {
    /// Writes the request into the buffers, its head and as much of its body as there is room for.
    /// The request says how long its body is.
    pub(super) fn begin(
        request: http::Request<()>,
        body: Option<&[u8]>,
        buffers: &mut IoBuffers,
        max_response_bytes: u64,
    ) -> Result<Exchange, Error> {
        let mut call = Call::new(request)?;
        call.allow_non_standard_methods(true);
        if body.is_some() {
            call.force_send_body();
        }
        let body = body.unwrap_or_default();
        let mut call = call.proceed();
        while !call.can_proceed() {
            let written = call.write(buffers.output())?;
            buffers.written(written);
        }
        let call = match call.proceed()?.ok_or(Error::OutputOverflow)? {
            SendRequestResult::RecvResponse(call) => call,
            SendRequestResult::SendBody(mut call) => {
                call.consume_direct_write(body.len())?;
                call.proceed().ok_or(Error::BodyLargerThanContentLength)?
            }
            // Nobody asks for it.
            SendRequestResult::Await100(_) => return Err(Error::BodyNotAllowed),
        };
        buffers.append(body);
        Ok(Exchange { state: State::Head(call), head: None, body: Vec::new(), max_response_bytes })
    }

    /// Whether the head of the answer is not complete.
    pub(super) fn is_in_head(&self) -> bool {
        matches!(self.state, State::Head(_))
    }

    /// Whether no head was understood.
    pub(super) fn has_no_head(&self) -> bool {
        self.head.is_none()
    }

    /// Whether the answer is an error's, of whose explanation whatever comes is good enough.
    pub(super) fn is_of_error(&self) -> bool {
        self.head.as_ref().is_some_and(|head| !head.status.is_success())
    }

    /// Whether the connection is fit for another exchange, as far as HTTP goes.
    pub(super) fn may_go_on(&self) -> bool {
        matches!(self.state, State::Over { may_go_on: true })
    }

    /// Takes in what is there; `None` if the answer is not complete.
    pub(super) fn read(&mut self, buffers: &mut IoBuffers) -> Result<Option<Reply>, Unfit> {
        loop {
            match std::mem::replace(&mut self.state, State::Over { may_go_on: false }) {
                State::Head(mut call) => {
                    let (used, response) = call.try_response(buffers.input(), false)?;
                    if used > MAX_HEAD {
                        return Err(Unfit::HeadTooLarge);
                    }
                    buffers.consume(used);
                    let Some(response) = response else {
                        self.state = State::Head(call);
                        if used > 0 {
                            continue;
                        }
                        return Ok(None);
                    };
                    self.head = Some(response.into_parts().0);
                    self.state = match call.proceed() {
                        Some(RecvResponseResult::RecvBody(call)) => State::Body(call),
                        Some(RecvResponseResult::Redirect(call)) => {
                            State::Over { may_go_on: !call.must_close_connection() }
                        }
                        Some(RecvResponseResult::Cleanup(call)) => {
                            State::Over { may_go_on: !call.must_close_connection() }
                        }
                        None => State::Over { may_go_on: false },
                    };
                    self.make_room()?;
                }
                State::Body(mut call) => {
                    if call.body_mode() != BodyMode::CloseDelimited && call.can_proceed() {
                        self.state = ended(call);
                        continue;
                    }
                    let (used, most) = (self.body.len(), self.most());
                    let room = buffers.input().len().min((most - used as u64) as usize);
                    if room == 0 {
                        if used as u64 == most {
                            return self.too_much();
                        }
                        self.state = State::Body(call);
                        return Ok(None);
                    }
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
                    return Ok(self.reply());
                }
            }
        }
    }

    /// The server has closed its side, and nothing more comes.
    pub(super) fn end(&mut self) -> Result<Reply, Unfit> {
        let is_complete = match &self.state {
            State::Head(_) => false,
            State::Body(call) => call.can_proceed() || call.is_ended_chunked(),
            State::Over { .. } => true,
        };
        self.state = State::Over { may_go_on: false };
        if is_complete { self.reply().ok_or(Unfit::CutShort) } else { Err(Unfit::CutShort) }
    }

    /// The answer as far as it has come, if its head has.
    pub(super) fn give_up(&mut self) -> Option<Reply> {
        self.state = State::Over { may_go_on: false };
        self.reply()
    }

    fn reply(&mut self) -> Option<Reply> {
        let head = self.head.take()?;
        let body = std::mem::take(&mut self.body);
        Some(Reply { status: head.status, headers: head.headers, body, ragged: false })
    }

    /// How much of the body is read: one byte more than is wanted, to see whether it has more.
    fn most(&self) -> u64 {
        let wanted = match self.is_of_error() {
            true => self.max_response_bytes.min(MAX_ERROR_BODY),
            false => self.max_response_bytes,
        };
        wanted.saturating_add(1).min(isize::MAX as u64)
    }

    fn too_much(&mut self) -> Result<Option<Reply>, Unfit> {
        if self.is_of_error() { Ok(self.give_up()) } else { Err(Unfit::TooLarge(None)) }
    }

    fn make_room(&mut self) -> Result<(), Unfit> {
        let State::Body(call) = &self.state else { return Ok(()) };
        let BodyMode::LengthDelimited(length) = call.body_mode() else { return Ok(()) };
        if length > self.max_response_bytes && !self.is_of_error() {
            return Err(Unfit::TooLarge(Some(length)));
        }
        self.body.reserve(length.min(self.most()).min(MAX_RESERVED) as usize);
        Ok(())
    }
}

fn ended(call: Call<RecvBody>) -> State {
    let may_go_on = match call.proceed() {
        Some(RecvBodyResult::Cleanup(call)) => !call.must_close_connection(),
        Some(RecvBodyResult::Redirect(call)) => !call.must_close_connection(),
        None => false,
    };
    State::Over { may_go_on }
}

/// Whether a request of this method says how long its body is, even if it has none.
pub(super) fn says_length(method: &Method) -> bool {
    matches!(*method, Method::POST | Method::PUT | Method::PATCH)
}

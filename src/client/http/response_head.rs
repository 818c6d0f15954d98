//! The head of a response, as it comes in.

use ureq_proto::Error;
use ureq_proto::client::state::RecvResponse;
use ureq_proto::client::{Call, RecvResponseResult, SendRequestResult};
use ureq_proto::http::{HeaderName, HeaderValue, Method, Request, Uri, header};

use crate::client::http::buffers::{IoBuffers, MAX_HEAD};
use crate::client::http::fast_path::{self, Beginning};
use crate::client::http::framing::{self, Checked, Chunks, Framing};
use crate::client::http::raw_response::{RawResponse, ResponseError};
use crate::client::http::request_head::says_length;
use crate::client::http::response_body::{Begun, BodyReader, Rest};

/// More responses that only announce another one (1xx) are not waited for.
const MAX_INTERIM: usize = 100;

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");

/// A response whose head has not come, or not all of it.
#[derive(Default)]
pub(super) struct HeadReader {
    /// What has come of it can't take the fast path.
    is_slow: bool,
    scan: Scan,
    /// How many responses came that only announce another one.
    interim: usize,
    /// One of those speaks against another exchange on the same connection.
    is_last: bool,
}

/// How much of a head was looked at, so that one that comes in small pieces is not parsed as a
/// whole for each of them.
#[derive(Default)]
struct Scan {
    scanned: usize,
    parsed: usize,
}

impl HeadReader {
    /// Takes in the head of the response to a request of this method; `None` if it is not complete.
    pub(super) fn read(
        &mut self,
        method: &Method,
        max_response_bytes: u64,
        buffers: &mut IoBuffers,
    ) -> Result<Option<Begun>, ResponseError> {
        if buffers.is_empty() {
            return Ok(None);
        }
        while self.scan.is_worth_a_look(buffers.input()) {
            if !self.is_slow {
                match fast_path::look(method, buffers.input()) {
                    Beginning::FastHead(head) if head.size <= MAX_HEAD => {
                        return BodyReader::counted(&head, max_response_bytes, buffers).map(Some);
                    }
                    Beginning::Incomplete => return Ok(None),
                    _ => {
                        self.scan = Scan::default();
                        self.is_slow = true;
                    }
                }
                continue;
            }
            let checked = framing::check(buffers.input()).map_err(ResponseError::Malformed)?;
            let Some(checked) = checked else { return Ok(None) };
            if checked.size > MAX_HEAD {
                return Err(ResponseError::HeadTooLarge);
            }
            self.scan = Scan::default();
            self.is_last |= checked.is_last;
            if checked.status == 101 {
                let why = "it switches to another protocol unasked";
                return Err(ResponseError::Malformed(why.to_owned()));
            }
            if (100..200).contains(&checked.status) {
                self.interim += 1;
                if self.interim > MAX_INTERIM {
                    let why = format!("more than {MAX_INTERIM} responses of status 1xx");
                    return Err(ResponseError::Malformed(why));
                }
                buffers.consume(checked.size);
                continue;
            }
            let (head, rest) = self.parsed(method, &checked, &buffers.input()[..checked.size])?;
            buffers.consume(checked.size);
            let body = BodyReader::new(head, rest, max_response_bytes)?;
            return Ok(Some(Begun::Part(body)));
        }
        Ok(None)
    }

    /// What ureq-proto makes of a complete head.
    fn parsed(
        &self,
        method: &Method,
        checked: &Checked,
        head: &[u8],
    ) -> Result<(RawResponse, Rest), ResponseError> {
        let mut call = receiver(method)?;
        let (_, response) = call.try_response(head, false)?;
        let Some(response) = response else {
            return Err(ResponseError::Malformed("its head does not end".to_owned()));
        };
        let (head, ()) = response.into_parts();
        let (status, headers) = (head.status, head.headers);
        let value = |name| headers.get(name).map(HeaderValue::as_bytes);
        let is_json = value(header::CONTENT_TYPE).map(fast_path::is_of_json);
        let keep_alive = value(KEEP_ALIVE).and_then(fast_path::keep_alive_time);
        let (body, ragged) = (Vec::new(), false);
        let headers = Some(Box::new(headers));
        let head = RawResponse { status, headers, is_json, keep_alive, body, ragged };
        let is_last = self.is_last;
        let rest = match call.proceed() {
            Some(RecvResponseResult::RecvBody(_)) if checked.body == Framing::Chunked => {
                Rest::Chunked { chunks: Chunks::new(), is_last }
            }
            Some(RecvResponseResult::RecvBody(call)) => {
                Rest::Framed { call: Box::new(call), is_last }
            }
            Some(RecvResponseResult::Redirect(call)) => {
                Rest::Nothing { may_go_on: !is_last && !call.must_close_connection() }
            }
            Some(RecvResponseResult::Cleanup(call)) => {
                Rest::Nothing { may_go_on: !is_last && !call.must_close_connection() }
            }
            None => Rest::Nothing { may_go_on: false },
        };
        Ok((head, rest))
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

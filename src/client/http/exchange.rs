//! One HTTP exchange, without input or output: what is to be sent, and what comes of what came in.
//!
//! Most responses take the fast path (see `fast_path`): httparse and a count of bytes. HTTP/1.1 in
//! all its other forms is ureq-proto's work, once `framing` has no doubt where the response ends.

use ureq_proto::http::Method;

use crate::client::http::buffers::IoBuffers;
use crate::client::http::framing;
use crate::client::http::raw_response::{RawResponse, ResponseError};
use crate::client::http::response_body::{Begun, BodyEnd, BodyReader};
use crate::client::http::response_head::HeadReader;

/// As much as has come of the response to a request.
pub(in crate::client) struct Exchange {
    max_response_bytes: u64,
    step: Step,
}

/// How far an exchange has come. Each step owns what it needs, and makes the next.
enum Step {
    Head(HeadReader),
    Body(BodyReader),
    /// The response was given away.
    Done(BodyEnd),
}

impl Exchange {
    /// Nothing has come.
    pub(in crate::client) fn new(max_response_bytes: u64) -> Exchange {
        Exchange { max_response_bytes, step: Step::Head(HeadReader::default()) }
    }

    /// Whether the head of the response is not complete.
    pub(in crate::client) fn is_in_head(&self) -> bool {
        matches!(self.step, Step::Head(_))
    }

    /// Whether the response is an error's, of whose explanation whatever comes is good enough.
    pub(in crate::client) fn is_of_error(&self) -> bool {
        matches!(&self.step, Step::Body(body) if body.is_of_error())
    }

    /// Whether the connection is fit for another exchange, as far as HTTP goes.
    pub(in crate::client) fn may_go_on(&self) -> bool {
        matches!(self.step, Step::Done(BodyEnd { may_go_on: true }))
    }

    /// Takes in what is there of the response to a request of this method; `None` if that is not
    /// complete.
    pub(in crate::client) fn read(
        &mut self,
        method: &Method,
        buffers: &mut IoBuffers,
    ) -> Result<Option<RawResponse>, ResponseError> {
        if let Step::Head(head) = &mut self.step {
            match head.read(method, self.max_response_bytes, buffers)? {
                Some(Begun::Whole(response)) => {
                    self.step = Step::Done(BodyEnd { may_go_on: true });
                    return Ok(Some(response));
                }
                Some(Begun::Part(body)) => self.step = Step::Body(body),
                None => return Ok(None),
            }
        }
        let Step::Body(body) = &mut self.step else { return Ok(None) };
        match body.read(buffers)? {
            Some(end) => Ok(self.end_with(end)),
            None => Ok(None),
        }
    }

    /// Where the rest of the body may be received at once, without a detour through the buffers.
    pub(in crate::client) fn room(&mut self) -> Result<Option<&mut [u8]>, ResponseError> {
        match &mut self.step {
            Step::Body(body) => body.room(),
            _ => Ok(None),
        }
    }

    /// So much was received there.
    pub(in crate::client) fn fill(&mut self, count: usize) {
        if let Step::Body(body) = &mut self.step {
            body.fill(count);
        }
    }

    /// The server has closed its side, and nothing more comes.
    pub(in crate::client) fn end(
        &mut self,
        buffers: &IoBuffers,
    ) -> Result<RawResponse, ResponseError> {
        let is_complete = match &self.step {
            Step::Head(_) => {
                framing::check(buffers.input()).map_err(ResponseError::Malformed)?;
                false
            }
            Step::Body(body) => body.may_end_here(),
            Step::Done(_) => false,
        };
        match self.give_up() {
            Some(response) if is_complete => Ok(response),
            _ => Err(ResponseError::CutShort),
        }
    }

    /// The response as far as it has come, if its head has.
    pub(in crate::client) fn give_up(&mut self) -> Option<RawResponse> {
        self.end_with(BodyEnd { may_go_on: false })
    }

    fn end_with(&mut self, end: BodyEnd) -> Option<RawResponse> {
        let response = match &mut self.step {
            Step::Body(body) => Some(body.take_response()),
            Step::Head(_) | Step::Done(_) => None,
        };
        self.step = Step::Done(end);
        response
    }
}

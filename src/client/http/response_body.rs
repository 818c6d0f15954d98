//! The body of a response, as it comes in.

use std::mem;

use ureq_proto::BodyMode;
use ureq_proto::client::state::RecvBody;
use ureq_proto::client::{Call, RecvBodyResult};

use crate::client::http::buffers::IoBuffers;
use crate::client::http::fast_path::FastHead;
use crate::client::http::framing::Chunks;
use crate::client::http::raw_response::{RawResponse, ResponseError};

/// No more than this is read of an error's body.
const MAX_ERROR_BODY: u64 = 64 * 1024;

/// How much is read of a chunk at once. What is made ready for that is cleared first, so that
/// chunks of a byte each would cost as much as large ones.
const PIECE: usize = 4096;

/// What a body of announced size gets at first; more only as more comes.
const MAX_RESERVED: u64 = 1024 * 1024;

/// For less than this there is memory.
const SMALL: usize = 4096;

/// So much empty room behind a body is given back.
const WORTH_SHRINKING: usize = 64 * 1024;

/// A response whose head has come, and its body as far as that has.
pub(super) struct BodyReader {
    response: RawResponse,
    rest: Rest,
    max_response_bytes: u64,
}

/// What comes after a head.
pub(super) enum Begun {
    /// All that was announced, and nothing speaks against another exchange on the same connection.
    Whole(RawResponse),
    Part(BodyReader),
}

/// How the rest of a body is read.
pub(super) enum Rest {
    /// By a count, on the fast path: so many bytes have come, and so many are still to come.
    Counted { filled: usize, left: u64 },
    Chunked {
        chunks: Chunks,
        /// The head speaks against another exchange on the same connection.
        is_last: bool,
    },
    /// As ureq-proto says.
    Framed {
        call: Box<Call<RecvBody>>,
        /// As above.
        is_last: bool,
    },
    /// There is no body.
    Nothing {
        /// Nothing speaks against another exchange on the same connection.
        may_go_on: bool,
    },
}

/// A body that is complete.
pub(super) struct BodyEnd {
    /// Nothing speaks against another exchange on the same connection.
    pub(super) may_go_on: bool,
}

impl BodyReader {
    /// For the rest of a response that has this head.
    #[inline]
    pub(super) fn new(
        head: RawResponse,
        rest: Rest,
        max_response_bytes: u64,
    ) -> Result<BodyReader, ResponseError> {
        let announced = match &rest {
            Rest::Counted { left, .. } => Some(*left),
            Rest::Framed { call, .. } => match call.body_mode() {
                BodyMode::LengthDelimited(length) => Some(length),
                _ => None,
            },
            Rest::Chunked { .. } | Rest::Nothing { .. } => None,
        };
        let mut reader = BodyReader { response: head, rest, max_response_bytes };
        if let Some(length) = announced {
            reader.make_room_for(length)?;
        }
        Ok(reader)
    }

    /// For the rest of a response that takes the fast path, whose head is in the buffers.
    #[inline]
    pub(super) fn counted(
        head: &FastHead,
        max_response_bytes: u64,
        buffers: &mut IoBuffers,
    ) -> Result<Begun, ResponseError> {
        let FastHead { status, size, body: length, is_json, keep_alive } = *head;
        let (headers, ragged, mut body) = (None, false, Vec::new());
        let here = usize::try_from(length.min(max_response_bytes)).unwrap_or(usize::MAX);
        if let Some(whole) = buffers.input()[size..].get(..here).filter(|_| here as u64 == length) {
            // One byte more, for the NUL that a response ends with.
            if here < SMALL {
                body = Vec::with_capacity(here + 1);
            } else {
                body.try_reserve_exact(here + 1)?;
            }
            body.extend_from_slice(whole);
            buffers.consume(size + here);
            let response = RawResponse { status, headers, is_json, keep_alive, body, ragged };
            return Ok(Begun::Whole(response));
        }
        buffers.consume(size);
        let head = RawResponse { status, headers, is_json, keep_alive, body, ragged };
        let rest = Rest::Counted { filled: 0, left: length };
        BodyReader::new(head, rest, max_response_bytes).map(Begun::Part)
    }

    /// Whether the response is an error's, of whose explanation whatever comes is good enough.
    pub(super) fn is_of_error(&self) -> bool {
        !self.response.status.is_success()
    }

    /// The response, with the body as far as it has come.
    pub(super) fn take_response(&mut self) -> RawResponse {
        let RawResponse { status, is_json, keep_alive, ragged, .. } = self.response;
        let mut body = mem::take(&mut self.response.body);
        // Of a body whose length was not announced, up to half of the room is empty.
        if body.capacity() - body.len() > WORTH_SHRINKING {
            body.shrink_to(body.len() + 1);
        }
        let headers = mem::take(&mut self.response.headers);
        RawResponse { status, headers, is_json, keep_alive, body, ragged }
    }

    /// Takes in what is there; `None` if the body is not complete.
    pub(super) fn read(
        &mut self,
        buffers: &mut IoBuffers,
    ) -> Result<Option<BodyEnd>, ResponseError> {
        let most = self.most();
        match &mut self.rest {
            Rest::Counted { .. } => self.read_counted(buffers),
            Rest::Nothing { may_go_on } => Ok(Some(BodyEnd { may_go_on: *may_go_on })),
            Rest::Chunked { chunks, is_last } => {
                let taken = chunks.read(buffers.input(), &mut self.response.body, most)?;
                buffers.consume(taken);
                if chunks.is_over() {
                    return Ok(Some(BodyEnd { may_go_on: !*is_last && !chunks.is_odd() }));
                }
                if self.response.body.len() as u64 == most {
                    return self.too_much();
                }
                Ok(None)
            }
            Rest::Framed { .. } => self.read_framed(buffers, most),
        }
    }

    fn read_counted(&mut self, buffers: &mut IoBuffers) -> Result<Option<BodyEnd>, ResponseError> {
        let Rest::Counted { filled, left } = &mut self.rest else { return Ok(None) };
        let body = &mut self.response.body;
        let input = buffers.input();
        let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
        if taken > 0 {
            body.truncate(*filled);
            body.try_reserve(taken)?;
            body.extend_from_slice(&input[..taken]);
            buffers.consume(taken);
            *filled += taken;
            *left -= taken as u64;
        }
        if *left > 0 {
            return Ok(None);
        }
        body.truncate(*filled);
        Ok(Some(BodyEnd { may_go_on: true }))
    }

    fn read_framed(
        &mut self,
        buffers: &mut IoBuffers,
        most: u64,
    ) -> Result<Option<BodyEnd>, ResponseError> {
        loop {
            let Rest::Framed { call, is_last } = &mut self.rest else { return Ok(None) };
            if call.body_mode() != BodyMode::CloseDelimited && call.can_proceed() {
                let is_last = *is_last;
                let over = Rest::Nothing { may_go_on: false };
                let Rest::Framed { call, .. } = mem::replace(&mut self.rest, over) else {
                    return Ok(None);
                };
                return Ok(Some(BodyEnd { may_go_on: !is_last && may_go_on_after(*call) }));
            }
            let body = &mut self.response.body;
            let used = body.len();
            let room = buffers.input().len().min((most - used as u64) as usize).min(PIECE);
            if room == 0 {
                return if used as u64 == most { self.too_much() } else { Ok(None) };
            }
            body.try_reserve(room)?;
            body.resize(used + room, 0);
            let (taken, given) = call.read(buffers.input(), &mut body[used..])?;
            body.truncate(used + given);
            buffers.consume(taken);
            if taken == 0 {
                return Ok(None);
            }
        }
    }

    /// Where the rest of the body may be received at once, without a detour through the buffers.
    pub(super) fn room(&mut self) -> Result<Option<&mut [u8]>, ResponseError> {
        let Rest::Counted { filled, left } = self.rest else { return Ok(None) };
        let body = &mut self.response.body;
        if filled == body.len() {
            let more = left.min(MAX_RESERVED) as usize;
            if body.capacity() < filled + more {
                // Twice as much each time, but never more than was announced and the NUL.
                let announced = usize::try_from(left).unwrap_or(usize::MAX).saturating_add(1);
                let wanted = announced.min(body.capacity()).max(more);
                body.try_reserve_exact(wanted)?;
            }
            body.resize(filled + more, 0);
        }
        Ok(Some(&mut body[filled..]))
    }

    /// So much was received there.
    pub(super) fn fill(&mut self, count: usize) {
        if let Rest::Counted { filled, left } = &mut self.rest {
            *filled += count;
            *left -= count as u64;
        }
    }

    /// Whether the body is complete if nothing more comes.
    pub(super) fn may_end_here(&self) -> bool {
        match &self.rest {
            Rest::Counted { .. } => false,
            Rest::Chunked { chunks, .. } => chunks.has_all_data(),
            Rest::Framed { call, .. } => call.can_proceed(),
            Rest::Nothing { .. } => true,
        }
    }

    /// How much of the body is read: one byte more than is wanted, to see whether it has more.
    fn most(&self) -> u64 {
        let wanted = match self.is_of_error() {
            true => self.max_response_bytes.min(MAX_ERROR_BODY),
            false => self.max_response_bytes,
        };
        wanted.saturating_add(1).min(isize::MAX as u64)
    }

    fn too_much(&self) -> Result<Option<BodyEnd>, ResponseError> {
        match self.is_of_error() {
            true => Ok(Some(BodyEnd { may_go_on: false })),
            false => Err(ResponseError::TooLarge(None)),
        }
    }

    fn make_room_for(&mut self, length: u64) -> Result<(), ResponseError> {
        if length > self.max_response_bytes && !self.is_of_error() {
            return Err(ResponseError::TooLarge(Some(length)));
        }
        // One byte more, for the NUL that a response ends with.
        let room = length.min(self.most()).min(MAX_RESERVED) as usize + 1;
        self.response.body.try_reserve_exact(room)?;
        Ok(())
    }
}

/// Whether ureq-proto knows nothing against another exchange.
fn may_go_on_after(call: Call<RecvBody>) -> bool {
    match call.proceed() {
        Some(RecvBodyResult::Cleanup(call)) => !call.must_close_connection(),
        Some(RecvBodyResult::Redirect(call)) => !call.must_close_connection(),
        None => false,
    }
}

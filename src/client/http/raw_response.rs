//! A complete HTTP response, and why one may not be taken for such.

use std::collections::TryReserveError;
use std::time::Duration;

use ureq_proto::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::client::http::framing::FramingError;

/// A complete HTTP response.
#[derive(Debug)]
pub(in crate::client) struct RawResponse {
    pub(in crate::client) status: StatusCode,
    /// None for a response that took the fast path. In a box, so that a response costs little to
    /// pass on.
    pub(in crate::client) headers: Option<Box<HeaderMap>>,
    /// What its Content-Type says, if it has one.
    pub(in crate::client) is_json: Option<bool>,
    /// For how long the server said that it keeps the connection.
    pub(in crate::client) keep_alive: Option<Duration>,
    pub(in crate::client) body: Vec<u8>,
    /// The body's end can't be trusted.
    pub(in crate::client) ragged: bool,
}

impl RawResponse {
    pub(in crate::client) fn header(&self, name: HeaderName) -> Option<&HeaderValue> {
        self.headers.as_ref()?.get(name)
    }
}

/// What is wrong with a response.
#[derive(Debug)]
pub(in crate::client) enum ResponseError {
    /// The server closed the connection before its end.
    CutShort,
    Malformed(String),
    HeadTooLarge,
    /// With its size, if that was announced.
    TooLarge(Option<u64>),
    /// The system has no memory for it.
    OutOfMemory,
}

impl From<ureq_proto::Error> for ResponseError {
    fn from(error: ureq_proto::Error) -> Self {
        ResponseError::Malformed(error.to_string())
    }
}

impl From<TryReserveError> for ResponseError {
    fn from(_: TryReserveError) -> Self {
        ResponseError::OutOfMemory
    }
}

impl From<FramingError> for ResponseError {
    fn from(error: FramingError) -> Self {
        match error {
            FramingError::Doubt(why) => ResponseError::Malformed(why),
            FramingError::OutOfMemory => ResponseError::OutOfMemory,
        }
    }
}

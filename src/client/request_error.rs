//! Why a request gave no response, and how far it came.

use crate::client::http::raw_response::RawResponse;
use crate::error::Error;

/// How far a request came.
#[derive(Debug, Default)]
pub(super) struct Report {
    /// Bytes that the kernel took.
    pub(super) written: u64,
    pub(super) received: u64,
    /// The socket was not opened for this request, but kept: see `Wire::is_kept`.
    pub(super) reused: bool,
    /// No response had come over the socket before.
    pub(super) is_first: bool,
    /// The beginning of a response whose head was not understood.
    pub(super) beginning: Vec<u8>,
}

/// Why a request gave no response.
#[derive(Debug)]
pub(super) enum ExchangeError {
    /// Complete as it is; nothing was sent.
    Error(Error),
    Cancelled,
    TimedOut,
    /// The connection broke; `None` if the server closed it in the regular way.
    Lost(Option<std::io::Error>),
    Tls(rustls::Error),
    Malformed(String),
    TooLarge(Option<u64>),
    OutOfMemory,
    /// A 408 came over a kept connection: the server had waited for a request, and closed the
    /// connection when this one was on its way.
    GivenUp(Box<RawResponse>),
}

/// Why a request gave no response, and how far it came. Passed on in a box, so that a request that
/// got one pays nothing for it.
#[derive(Debug)]
pub(super) struct RequestError {
    pub(super) cause: ExchangeError,
    pub(super) report: Report,
}

impl From<Error> for Box<RequestError> {
    fn from(error: Error) -> Self {
        ExchangeError::Error(error).into()
    }
}

impl From<ExchangeError> for Box<RequestError> {
    fn from(cause: ExchangeError) -> Self {
        Box::new(RequestError { cause, report: Report::default() })
    }
}

impl RequestError {
    /// Whether sending once more on a new socket can't do anything twice: the server gave the kept
    /// socket up, or closed it before a byte of a response came, and nothing was sent or the
    /// request only reads.
    pub(super) fn may_be_sent_again(&self, only_reads: bool) -> bool {
        match self.cause {
            ExchangeError::GivenUp(_) => true,
            ExchangeError::Lost(_) => self.report.reused && self.was_lost_unheard(only_reads),
            _ => false,
        }
    }

    /// Whether its socket, new or kept, was closed before a byte of a response came, and nothing
    /// was sent or the request only reads.
    pub(super) fn was_lost_unheard(&self, only_reads: bool) -> bool {
        matches!(self.cause, ExchangeError::Lost(_))
            && self.report.received == 0
            && (only_reads || self.report.written == 0)
    }
}

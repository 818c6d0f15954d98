//! From what happened to what the caller is told.

use ureq_proto::http::{Method, StatusCode, header};

use crate::client::http::raw_response::RawResponse;
use crate::client::http::retry_after::retry_after;
use crate::client::request_error::{ExchangeError, RequestError};
use crate::client::response::mask::Mask;
use crate::client::response::server_error;
use crate::client::routes::only_reads;
use crate::client::transport::dial;
use crate::client::transport::endpoint::{AuthToken, Endpoint};
use crate::client::transport::request_deadline::RequestDeadline;
use crate::client::transport::tls;
use crate::error::{Code, Error, Result, UNKNOWN};

/// The longest path that a message shows.
const MAX_PATH: usize = 120;

/// The outcome of a request over a socket that was `reused`, with [`ExchangeError::GivenUp`] where
/// the server gave the socket up. One that keeps the connection after a 408 gave up no socket, but
/// (as some servers do) its own work on the request: then only what reads is sent again.
pub(super) fn of_response(
    response: RawResponse,
    method: &Method,
    reused: bool,
    is_closing: bool,
) -> std::result::Result<RawResponse, ExchangeError> {
    let is_given_up = response.status == StatusCode::REQUEST_TIMEOUT
        && reused
        && (is_closing || only_reads(method));
    if is_given_up { Err(ExchangeError::GivenUp(Box::new(response))) } else { Ok(response) }
}

/// What was tried, for messages: `GET /databases on http://localhost:8080`.
pub(super) struct Tried<'a> {
    endpoint: &'a Endpoint,
    method: &'a Method,
    target: &'a str,
    /// What the request carried.
    token: &'a AuthToken,
}

impl<'a> Tried<'a> {
    pub(super) fn new(
        endpoint: &'a Endpoint,
        method: &'a Method,
        target: &'a str,
        token: &'a AuthToken,
    ) -> Tried<'a> {
        Tried { endpoint, method, target, token }
    }

    /// Hides the token that the request carried, and the one that is in use now.
    pub(super) fn mask(&self) -> Mask {
        self.token.mask.and(&self.endpoint.mask())
    }

    fn what(&self) -> String {
        let path = self.target.split('?').next().unwrap_or_default();
        let shown = self.mask().path(path, MAX_PATH);
        format!("{} {shown} on {}", self.method, self.endpoint.url())
    }

    fn error(&self, code: Code, why: &str) -> Error {
        Error::new(code, format!("{}: {why}", self.what()))
    }

    /// The response, or the error that says why there is none.
    pub(super) fn outcome(
        &self,
        outcome: std::result::Result<RawResponse, Box<RequestError>>,
        deadline: &RequestDeadline,
    ) -> Result<RawResponse> {
        outcome.map_err(|failed| self.failed(*failed, deadline))
    }

    /// The response, if its status is a 2xx.
    pub(super) fn check_status(&self, response: RawResponse) -> Result<RawResponse> {
        let encoding = response.header(header::CONTENT_ENCODING);
        if !response.status.is_success() {
            return Err(self.status_error(&response));
        }
        match encoding {
            Some(encoding) if !encoding.as_bytes().eq_ignore_ascii_case(b"identity") => Err(self
                .error(
                    Code::Protocol,
                    &format!(
                        "the response is compressed ({}), which was not asked for",
                        self.mask().excerpt(encoding.as_bytes())
                    ),
                )
                .with_http_status(response.status.as_u16())),
            _ => Ok(response),
        }
    }

    fn status_error(&self, response: &RawResponse) -> Error {
        let status = response.status;
        let mut why = status.to_string();
        if status.is_redirection() {
            if let Some(location) = response.header(header::LOCATION) {
                why.push_str(&format!(
                    ": the server redirects to {}; set base_url to where it really is",
                    server_error::location(location.as_bytes(), &self.mask())
                ));
            }
        } else if let Some(reason) = server_error::reason(&response.body, &self.mask()) {
            why.push_str(&format!(": {reason}"));
        }
        let code = match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                why.push_str(self.credentials_hint(status));
                Code::Unauthorized
            }
            _ => Code::Http,
        };
        let after = response.headers.as_deref().and_then(retry_after);
        // A server that asks to wait has not begun.
        let nothing_was_done = match status {
            StatusCode::TOO_MANY_REQUESTS => true,
            StatusCode::SERVICE_UNAVAILABLE => after.is_some(),
            _ => false,
        };
        let error = self.error(code, &why).with_http_status(status.as_u16());
        let error = if nothing_was_done {
            error.with_retriable(true)
        } else if only_reads(self.method) {
            error.with_retriable(matches!(status.as_u16(), 408 | 502 | 503 | 504))
        } else if leaves_doubt(status) {
            unknown(error)
        } else {
            error
        };
        match after {
            Some(after) => error.with_retry_after(after),
            None => error,
        }
    }

    fn credentials_hint(&self, status: StatusCode) -> &'static str {
        match (self.token.has_token, status) {
            (false, _) => "; no token was sent: set the option `token`",
            (true, StatusCode::FORBIDDEN) => "; the token does not allow this",
            (true, _) => "; the token was not accepted: set the option `token` to a valid one",
        }
    }

    /// A 2xx whose object says that it is an error.
    pub(super) fn refused(&self, status: StatusCode, why: &str) -> Error {
        self.error(Code::Http, &format!("{status}, but with an error: {why}"))
            .with_http_status(status.as_u16())
    }

    /// A 2xx with a body that the protocol does not know.
    pub(super) fn malformed(&self, why: &str, status: u16) -> Error {
        self.error(Code::Protocol, why).with_http_status(status)
    }

    /// A complete response that can't be read here: the request was carried out.
    pub(super) fn unreadable(&self, code: Code, why: &str, status: u16) -> Error {
        self.error(code, why).with_http_status(status)
    }

    /// A response that there is no memory for.
    pub(super) fn out_of_memory(&self, size: Option<u64>, status: u16) -> Error {
        let size = size.map_or(String::new(), |size| format!(" of {size} bytes"));
        let why = format!("there is not enough memory to read the response{size}");
        self.unreadable(Code::OutOfMemory, &why, status)
    }

    /// A body whose end did not come, or can't be trusted.
    pub(super) fn cut_short(&self) -> Error {
        let why = "the server ended TLS in the middle of its response";
        self.unless_it_reads(self.error(Code::ConnectionLost, why), true)
    }

    /// A response of so many bytes that came, but was not read when its request was cancelled or,
    /// with a deadline, out of time.
    pub(super) fn unread(&self, size: usize, deadline: Option<&RequestDeadline>) -> Error {
        let error = match deadline {
            None => self.error(Code::Cancelled, "the request was interrupted"),
            Some(deadline) => {
                let what = self.what();
                let text = format!(
                    "Timeout: {what}: the response of {size} bytes came, but was not read {deadline}"
                );
                Error::new(Code::Timeout, text)
            }
        };
        self.unless_it_reads(error, true)
    }

    fn failed(&self, failed: RequestError, deadline: &RequestDeadline) -> Error {
        let RequestError { cause, report } = failed;
        let sent = report.written > 0;
        let error = match cause {
            ExchangeError::Error(error) => return error,
            ExchangeError::GivenUp(response) => return self.status_error(&response),
            ExchangeError::Cancelled => self.error(Code::Cancelled, "the request was interrupted"),
            ExchangeError::TimedOut => {
                let what = if report.received > 0 { "no complete response" } else { "no response" };
                Error::new(Code::Timeout, format!("Timeout: {}: {what} {deadline}", self.what()))
            }
            ExchangeError::Lost(error) => {
                self.error(Code::ConnectionLost, &lost(error, report.received))
            }
            ExchangeError::Tls(error) => {
                let why = self.mask().excerpt(tls::explained(&error).as_bytes());
                return self.doubtful_unless_it_reads(self.error(Code::Tls, &why), sent);
            }
            ExchangeError::Malformed(why) => {
                let why = garbage(&why, &report.beginning, &self.mask());
                return self.doubtful_unless_it_reads(self.error(Code::Protocol, &why), sent);
            }
            ExchangeError::TooLarge(announced) => {
                let size = match announced {
                    Some(size) => format!("{size} bytes, more"),
                    None => "more bytes".to_owned(),
                };
                let limit = self.endpoint.max_response_bytes;
                let why = format!("the response has {size} than max_response_bytes ({limit})");
                return self.error(Code::TooLarge, &why);
            }
            ExchangeError::OutOfMemory => {
                let why = "there is not enough memory for the response";
                return self.doubtful_unless_it_reads(self.error(Code::OutOfMemory, why), sent);
            }
        };
        self.unless_it_reads(error, sent)
    }

    /// Says whether the request can safely be sent again, and if not, why.
    fn unless_it_reads(&self, error: Error, sent: bool) -> Error {
        let cancelled = error.code() == Code::Cancelled;
        if only_reads(self.method) || !sent {
            return error.with_retriable(!cancelled);
        }
        unknown(error)
    }

    /// The same for an error after which another try makes no sense.
    fn doubtful_unless_it_reads(&self, error: Error, sent: bool) -> Error {
        if only_reads(self.method) || !sent { error } else { unknown(error) }
    }
}

/// Whether a write may have been carried out though its response has this status: it may come
/// from a proxy that lost the server, or from a server that failed in the middle of the write.
fn leaves_doubt(status: StatusCode) -> bool {
    match status.as_u16() {
        // Not implemented, no such version of HTTP, no login at the network.
        501 | 505 | 511 => false,
        code => code == 408 || code >= 500,
    }
}

/// The error of a request that may have been carried out.
fn unknown(error: Error) -> Error {
    error.with_more(UNKNOWN).with_retriable(false)
}

fn lost(error: Option<std::io::Error>, received: u64) -> String {
    match (error, received) {
        (None, 0) => "the server closed the connection without a response".to_owned(),
        (None, _) => "the server closed the connection in the middle of its response".to_owned(),
        (Some(error), 0) => {
            format!("the connection broke before a response came ({})", dial::plain(&error))
        }
        (Some(error), _) => {
            format!("the connection broke in the middle of the response ({})", dial::plain(&error))
        }
    }
}

fn garbage(why: &str, beginning: &[u8], mask: &Mask) -> String {
    let mut text = format!("the response is not valid HTTP ({why})");
    if beginning.starts_with(&[0x15, 3]) || beginning.starts_with(&[0x16, 3]) {
        text.push_str("; the server speaks TLS: should base_url begin with https://?");
    } else if !beginning.is_empty() {
        text.push_str(&format!(": {}", mask.excerpt(beginning)));
    }
    text
}

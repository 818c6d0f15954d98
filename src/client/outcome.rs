//! From what happened to what the caller is told.

use std::time::Duration;

use ureq_proto::http::{HeaderMap, Method, StatusCode, header};

use super::bound::Bound;
use super::dial;
use super::endpoint::Endpoint;
use super::excerpt::excerpt;
use super::exchange::Reply;
use super::flight::Report;
use super::refusal;
use super::tls;
use crate::error::{Code, Error, Result};

/// The longest path that a message shows.
const MAX_PATH: usize = 120;
/// A server may ask for more patience; this is the most that is passed on.
const MAX_RETRY_AFTER: u64 = 24 * 60 * 60;
/// Said when a request may or may not have been carried out.
const UNKNOWN: &str = "it is not known whether the request took effect";

/// Why a request gave no answer.
#[derive(Debug)]
pub(super) enum Cause {
    /// Complete as it is; nothing was sent.
    Error(Error),
    Cut,
    TimedOut,
    /// The connection broke; `None` if the server closed it in the regular way.
    Lost(Option<std::io::Error>),
    Tls(rustls::Error),
    Garbage(String),
    TooLarge(Option<u64>),
}

/// Why a request gave no answer, and how far it came.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) cause: Cause,
    pub(super) report: Report,
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Cause::Error(error).into()
    }
}

impl From<Cause> for Failed {
    fn from(cause: Cause) -> Self {
        Failed { cause, report: Report::default() }
    }
}

impl Failed {
    /// Whether sending once more on a new socket can't do anything twice: the kept socket was
    /// closed before a byte of an answer came, and nothing was sent or the request only reads.
    pub(super) fn may_be_sent_again(&self, only_reads: bool) -> bool {
        matches!(self.cause, Cause::Lost(_))
            && self.report.reused
            && self.report.received == 0
            && (only_reads || self.report.written == 0)
    }
}

/// What was tried, for messages: `GET /databases on http://localhost:8080`.
pub(super) struct Tried<'a> {
    endpoint: &'a Endpoint,
    method: &'a Method,
    target: &'a str,
}

impl<'a> Tried<'a> {
    pub(super) fn new(endpoint: &'a Endpoint, method: &'a Method, target: &'a str) -> Tried<'a> {
        Tried { endpoint, method, target }
    }

    fn what(&self) -> String {
        let path = self.target.split('?').next().unwrap_or_default();
        let shown: String = path.chars().take(MAX_PATH).collect();
        let dots = if shown.len() < path.len() { "…" } else { "" };
        format!("{} {shown}{dots} on {}", self.method, self.endpoint.url())
    }

    fn error(&self, code: Code, why: &str) -> Error {
        Error::new(code, self.endpoint.redacted(format!("{}: {why}", self.what())))
    }

    /// The answer, or the error that says why there is none.
    pub(super) fn outcome(
        &self,
        outcome: std::result::Result<Reply, Failed>,
        bound: &Bound,
    ) -> Result<Reply> {
        outcome.map_err(|failed| self.failed(failed, bound))
    }

    /// The answer, if its status is a 2xx.
    pub(super) fn check_status(&self, reply: Reply) -> Result<Reply> {
        let encoding = reply.headers.get(header::CONTENT_ENCODING);
        if !reply.status.is_success() {
            return Err(self.status_error(&reply));
        }
        match encoding {
            Some(encoding) if !encoding.as_bytes().eq_ignore_ascii_case(b"identity") => Err(self
                .error(
                    Code::Protocol,
                    &format!(
                        "the answer is compressed ({}), which was not asked for",
                        excerpt(encoding.as_bytes())
                    ),
                )),
            _ => Ok(reply),
        }
    }

    fn status_error(&self, reply: &Reply) -> Error {
        let status = reply.status;
        let mut why = status.to_string();
        if status.is_redirection() {
            if let Some(location) = reply.headers.get(header::LOCATION) {
                why.push_str(&format!(
                    ": the server redirects to {}; set base_url to where it really is",
                    refusal::location(location.as_bytes())
                ));
            }
        } else if let Some(reason) = refusal::reason(&reply.body) {
            why.push_str(&format!(": {reason}"));
        }
        let code = match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                why.push_str(self.credentials_hint(status));
                Code::Unauthorized
            }
            _ => Code::Http,
        };
        let error = self
            .error(code, &why)
            .with_http_status(status.as_u16())
            .with_retriable(matches!(status.as_u16(), 429 | 502 | 503 | 504));
        match retry_after(&reply.headers) {
            Some(after) => error.with_retry_after(after),
            None => error,
        }
    }

    fn credentials_hint(&self, status: StatusCode) -> &'static str {
        match (self.endpoint.authorization().is_some(), status) {
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

    /// A body whose end did not come, or can't be trusted.
    pub(super) fn cut_short(&self) -> Error {
        let why = "the server broke TLS off in the middle of its answer";
        self.unless_it_reads(self.error(Code::ConnectionLost, why), true)
    }

    /// A response of so many bytes that came, but was not read when its request was cut or, with a
    /// bound, out of time.
    pub(super) fn unread(&self, size: usize, bound: Option<&Bound>) -> Error {
        let error = match bound {
            None => self.error(Code::Cancelled, "the request was interrupted"),
            Some(bound) => {
                let what = self.what();
                let text = format!(
                    "Timeout: {what}: the response of {size} bytes came, but was not read {bound}"
                );
                Error::new(Code::Timeout, self.endpoint.redacted(text))
            }
        };
        self.unless_it_reads(error, true)
    }

    fn failed(&self, failed: Failed, bound: &Bound) -> Error {
        let Failed { cause, report } = failed;
        let sent = report.written > 0;
        let error = match cause {
            Cause::Error(error) => return error,
            Cause::Cut => self.error(Code::Cancelled, "the request was interrupted"),
            Cause::TimedOut => {
                let what = if report.received > 0 { "no complete answer" } else { "no answer" };
                let text = format!("Timeout: {}: {what} {bound}", self.what());
                Error::new(Code::Timeout, self.endpoint.redacted(text))
            }
            Cause::Lost(error) => self.error(Code::ConnectionLost, &lost(error, report.received)),
            Cause::Tls(error) => {
                return self.error(Code::Tls, &tls::explained(&error));
            }
            Cause::Garbage(why) => {
                return self.error(Code::Protocol, &garbage(&why, &report.beginning));
            }
            Cause::TooLarge(announced) => {
                let size = match announced {
                    Some(size) => format!("the answer has {size} bytes"),
                    None => "the answer".to_owned(),
                };
                let limit = self.endpoint.max_response_bytes;
                return self.error(
                    Code::TooLarge,
                    &format!("{size}, more than max_response_bytes ({limit})"),
                );
            }
        };
        self.unless_it_reads(error, sent)
    }

    /// Says whether the request can safely be sent again, and if not, why.
    fn unless_it_reads(&self, error: Error, sent: bool) -> Error {
        let cancelled = error.code() == Code::Cancelled;
        if self.method == Method::GET || !sent {
            return error.with_retriable(!cancelled);
        }
        Error::new(error.code(), format!("{}; {UNKNOWN}", error.message())).with_retriable(false)
    }
}

fn lost(error: Option<std::io::Error>, received: u64) -> String {
    match (error, received) {
        (None, 0) => "the server closed the connection without an answer".to_owned(),
        (None, _) => "the server closed the connection in the middle of its answer".to_owned(),
        (Some(error), 0) => {
            format!("the connection broke before an answer came ({})", dial::plain(&error))
        }
        (Some(error), _) => {
            format!("the connection broke in the middle of the answer ({})", dial::plain(&error))
        }
    }
}

fn garbage(why: &str, beginning: &[u8]) -> String {
    let mut text = format!("the answer is no valid HTTP ({})", excerpt(why.as_bytes()));
    if beginning.starts_with(&[0x15, 3]) || beginning.starts_with(&[0x16, 3]) {
        text.push_str("; the server speaks TLS: should base_url begin with https://?");
    } else if !beginning.is_empty() {
        text.push_str(&format!(": {}", excerpt(beginning)));
    }
    text
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds: u64 = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds.min(MAX_RETRY_AFTER)))
}

//! The one error type of the library, and its stable codes.

use std::fmt;
use std::io;
use std::time::Duration;

macro_rules! codes {
    ($($variant:ident = $number:literal, $name:literal, $text:literal;)+) => {
        /// What went wrong, as a number that stays the same from version to version.
        ///
        /// The numbers are part of the ABI: a code is never renumbered and never reused.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(i32)]
        pub enum Code {
            $(#[doc = concat!($text, ".")] $variant = $number,)+
        }

        impl Code {
            /// Every code, in the order of their numbers.
            pub const ALL: &'static [Code] = &[$(Code::$variant,)+];

            /// The stable name, in upper case: `TIMEOUT`, `INVALID_HANDLE`.
            pub const fn name(self) -> &'static str {
                match self { $(Code::$variant => $name,)+ }
            }

            /// One sentence, without its full stop, that says what the code means.
            pub const fn text(self) -> &'static str {
                match self { $(Code::$variant => $text,)+ }
            }
        }
    };
}

codes! {
    InvalidArgument = -1, "INVALID_ARGUMENT", "An argument or option is missing, out of range or contradicts another";
    InvalidHandle = -2, "INVALID_HANDLE", "The handle is NULL, made up, already released, or belongs to another kind or pool";
    Closed = -3, "CLOSED", "The pool is closed";
    Timeout = -4, "TIMEOUT", "The deadline passed first";
    WouldBlock = -5, "WOULD_BLOCK", "No connection is free right now, and the call does not wait";
    Overloaded = -6, "OVERLOADED", "Too many callers are waiting already";
    Unavailable = -7, "UNAVAILABLE", "The server can't be reached";
    Cancelled = -8, "CANCELLED", "The call was cancelled, or its connection was interrupted";
    Busy = -9, "BUSY", "The connection is in use by another thread";
    WouldDeadlock = -10, "WOULD_DEADLOCK", "The call would wait for itself";
    InvalidState = -11, "INVALID_STATE", "The operation does not fit the state of the connection";
    Http = -12, "HTTP", "The server responded with an error";
    Unauthorized = -13, "UNAUTHORIZED", "The server refused the credentials";
    Protocol = -14, "PROTOCOL", "The server's response is not valid HTTP or not valid JSON";
    ConnectionLost = -15, "CONNECTION_LOST", "The connection broke before the response was complete";
    TooLarge = -16, "TOO_LARGE", "The server's response is larger than max_response_bytes";
    Tls = -17, "TLS", "The TLS settings are wrong, or the server's certificate was refused";
    Type = -18, "TYPE", "A value of a result has another type, or is out of range";
    Panic = -19, "PANIC", "A bug in this library, caught; the pool stays usable";
    OutOfMemory = -20, "OUT_OF_MEMORY", "There is not enough memory for the request, or for a response within max_response_bytes";
}

/// Said when a request may or may not have been carried out.
pub(crate) const UNKNOWN: &str = "it is not known whether the request took effect";

impl Code {
    /// The code with this number, if there is one.
    pub fn from_number(number: i32) -> Option<Code> {
        Self::ALL.iter().copied().find(|code| *code as i32 == number)
    }
}

/// An error: what was tried, on what, why it failed and, where it helps, what to do.
///
/// Never contains a token or a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    code: Code,
    message: String,
    http_status: Option<u16>,
    retriable: bool,
    retry_after: Option<Duration>,
}

/// What every fallible function of the library returns.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error with this code and message. Whether it is retriable follows from the code,
    /// until `Error::retriable` says otherwise.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Error {
            code,
            message: message.into(),
            http_status: None,
            retriable: matches!(
                code,
                Code::Timeout
                    | Code::WouldBlock
                    | Code::Overloaded
                    | Code::Unavailable
                    | Code::Busy
            ),
            retry_after: None,
        }
    }

    /// An argument or option that can't be used; `name` comes first in the message.
    pub fn invalid_argument(name: &str, why: impl fmt::Display) -> Self {
        Error::new(Code::InvalidArgument, format!("{name}: {why}"))
    }

    /// There is no memory for `what`.
    pub(crate) fn out_of_memory(what: &str) -> Self {
        Error::new(Code::OutOfMemory, format!("there is not enough memory for {what}"))
    }

    /// The error of every call on a closed pool.
    pub fn closed() -> Self {
        Error::new(Code::Closed, "Connection pool is closed")
    }

    /// What the system refused, and why. A retry makes sense only if the system ran short of
    /// something.
    pub(crate) fn of_system(what: &str, error: &io::Error) -> Self {
        let shortages = [libc::EAGAIN, libc::EMFILE, libc::ENFILE, libc::ENOMEM, libc::ENOBUFS];
        let is_short = error.raw_os_error().is_some_and(|code| shortages.contains(&code));
        let text = error.to_string();
        let why = text.split(" (os error").next().unwrap_or_default();
        Error::new(Code::Overloaded, format!("{what}: {why}")).with_retriable(is_short)
    }

    /// The same error with the HTTP status of the response.
    #[must_use]
    pub fn with_http_status(mut self, status: u16) -> Self {
        self.http_status = Some(status);
        self
    }

    /// The same error with one more thing to say.
    #[must_use]
    pub(crate) fn with_more(mut self, more: &str) -> Self {
        self.message.push_str("; ");
        self.message.push_str(more);
        self
    }

    /// The same error, said to be safe and sensible (or not) to try again.
    #[must_use]
    pub fn with_retriable(mut self, retriable: bool) -> Self {
        self.retriable = retriable;
        self
    }

    /// The same error with the time after which a new try makes sense.
    #[must_use]
    pub fn with_retry_after(mut self, after: Duration) -> Self {
        self.retry_after = Some(after);
        self
    }

    /// What went wrong, as a stable code.
    pub fn code(&self) -> Code {
        self.code
    }

    /// The text for people.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The HTTP status of the response, if there was one.
    pub fn http_status(&self) -> Option<u16> {
        self.http_status
    }

    /// Whether the same call may succeed later and is safe to repeat. Never true after a write that
    /// may have been carried out: the message then says that this is not known.
    pub fn is_retriable(&self) -> bool {
        self.retriable
    }

    /// When to try again, where the library or the server knows.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_numbered_downwards_without_gaps() {
        for (index, &code) in Code::ALL.iter().enumerate() {
            assert_eq!(code as i32, -(index as i32) - 1);
            assert_eq!(Code::from_number(code as i32), Some(code));
        }
        assert_eq!(Code::from_number(0), None);
    }

    #[test]
    fn names_are_unique() {
        let mut names: Vec<_> = Code::ALL.iter().map(|code| code.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Code::ALL.len());
    }
}

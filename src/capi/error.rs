//! `phantomdb_error`, and the codes of it.

use std::borrow::Cow;
use std::ffi::{CString, c_char};
use std::ptr;
use std::sync::OnceLock;
use std::time::Duration;

use crate::error::{Code, Error};

/// What a call returns, and what `phantomdb_error.code` holds. The numbers never change.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum phantomdb_code {
    /// The call succeeded.
    PHANTOMDB_OK = 0,
    /// An argument or option is missing, out of range or contradicts another. The message begins
    /// with its name.
    PHANTOMDB_ERR_INVALID_ARGUMENT = -1,
    /// The handle is NULL, made up, already released, or belongs to another kind or pool.
    PHANTOMDB_ERR_INVALID_HANDLE = -2,
    /// The pool is closed. The message contains the word "closed".
    PHANTOMDB_ERR_CLOSED = -3,
    /// The deadline passed first. The message contains the word "Timeout".
    PHANTOMDB_ERR_TIMEOUT = -4,
    /// No connection is free right now, and the call does not wait.
    PHANTOMDB_ERR_WOULD_BLOCK = -5,
    /// Too many callers are waiting already (`max_waiters`), or the system is short of threads,
    /// descriptors or handles.
    PHANTOMDB_ERR_OVERLOADED = -6,
    /// The server can't be reached. The message holds the root cause.
    PHANTOMDB_ERR_UNAVAILABLE = -7,
    /// The call was cancelled, or its connection was interrupted.
    PHANTOMDB_ERR_CANCELLED = -8,
    /// The connection is in use by another thread.
    PHANTOMDB_ERR_BUSY = -9,
    /// The call would wait for itself.
    PHANTOMDB_ERR_WOULD_DEADLOCK = -10,
    /// The operation does not fit the state of the connection; for example, a commit without an
    /// open transaction.
    PHANTOMDB_ERR_INVALID_STATE = -11,
    /// The server responded with an error; `http_status` says which.
    PHANTOMDB_ERR_HTTP = -12,
    /// The server refused the credentials (HTTP status 401 or 403).
    PHANTOMDB_ERR_UNAUTHORIZED = -13,
    /// The server's response is not valid HTTP or not valid JSON.
    PHANTOMDB_ERR_PROTOCOL = -14,
    /// The connection broke before the response was complete.
    PHANTOMDB_ERR_CONNECTION_LOST = -15,
    /// The server's response is larger than `max_response_bytes`.
    PHANTOMDB_ERR_TOO_LARGE = -16,
    /// The TLS settings are wrong, or the server's certificate was refused.
    PHANTOMDB_ERR_TLS = -17,
    /// A value of a result has another type, or is out of range.
    PHANTOMDB_ERR_TYPE = -18,
    /// A bug in this library, caught. The pool stays usable.
    PHANTOMDB_ERR_PANIC = -19,
    /// There is not enough memory for the request, or for a response within `max_response_bytes`.
    PHANTOMDB_ERR_OUT_OF_MEMORY = -20,
}

/// What stands for the middle of a message that is too long.
const CUT: &str = " … ";
/// How many bytes of the end of such a message are kept.
const TAIL: usize = 250;

/// The size of `phantomdb_error.message`, including its NUL.
pub const PHANTOMDB_ERROR_MESSAGE_SIZE: usize = 984;

/// Why a call failed. The caller owns it: put one on the stack, pass its address, and read it if
/// the call did not return `PHANTOMDB_OK`. Nothing in it needs to be freed.
///
/// It need not be initialised. Every call that takes one fills it on failure, and on success sets
/// `code` to `PHANTOMDB_OK` and `message` to "". Every call accepts NULL instead.
#[repr(C)]
pub struct phantomdb_error {
    /// One of `phantomdb_code`: the number that the call returned.
    pub code: i32,
    /// The HTTP status of the server's response; 0 if there was none.
    pub http_status: i32,
    /// After how many milliseconds a retry makes sense, as the library knows or the server says
    /// (in Retry-After, as seconds or a date); a day at most. 0 if that is unknown, or if a retry
    /// makes sense at once.
    pub retry_after_ms: i64,
    /// Whether the same call may succeed later and is safe to repeat. False after a write that
    /// may have taken effect; the message then says so.
    pub retriable: bool,
    /// For later versions; zero.
    pub reserved: [u8; 23],
    /// What was tried, on what, why it failed and, where that helps, what to do. UTF-8, ends with
    /// a NUL. A message that is too long loses its middle.
    pub message: [c_char; PHANTOMDB_ERROR_MESSAGE_SIZE],
}

impl phantomdb_error {
    /// Of a call that succeeded.
    pub(super) fn none() -> Self {
        phantomdb_error {
            code: phantomdb_code::PHANTOMDB_OK as i32,
            http_status: 0,
            retry_after_ms: 0,
            retriable: false,
            reserved: [0; 23],
            message: [0; PHANTOMDB_ERROR_MESSAGE_SIZE],
        }
    }

    /// Of a call that failed.
    pub(super) fn of(error: &Error) -> Self {
        let mut filled = Self::none();
        filled.fill(error);
        filled
    }

    pub(super) fn clear(&mut self) {
        self.code = phantomdb_code::PHANTOMDB_OK as i32;
        self.http_status = 0;
        self.retry_after_ms = 0;
        self.retriable = false;
        self.reserved = [0; 23];
        self.message[0] = 0;
    }

    pub(super) fn fill(&mut self, error: &Error) {
        self.clear();
        self.code = error.code() as i32;
        self.http_status = error.http_status().map_or(0, i32::from);
        self.retry_after_ms = error.retry_after().map_or(0, milliseconds);
        self.retriable = error.is_retriable();
        let text = fitting(error.message(), self.message.len() - 1);
        // A NUL within the text would hide the rest of it.
        let bytes = text.bytes().map(|byte| if byte == 0 { b'?' } else { byte });
        for (to, from) in self.message.iter_mut().zip(bytes.chain([0])) {
            *to = from as c_char;
        }
    }
}

/// Rounded up, so that "in 0 ms" is never said of a time that is still to come.
fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(i64::MAX)
}

/// The text in at most so many bytes. Its beginning says what was tried, and its end what that
/// came to, so it is the middle that goes.
fn fitting(text: &str, most: usize) -> Cow<'_, str> {
    if text.len() <= most {
        return Cow::Borrowed(text);
    }
    let mut tail = text.len() - TAIL.min(most / 2);
    while !text.is_char_boundary(tail) {
        tail += 1;
    }
    let mut head = most.saturating_sub(CUT.len() + text.len() - tail);
    while !text.is_char_boundary(head) {
        head -= 1;
    }
    Cow::Owned([&text[..head], CUT, &text[tail..]].concat())
}

/// A code with its name and text; see `phantomdb_code_table`.
#[repr(C)]
pub struct phantomdb_code_info {
    /// One of `phantomdb_code`.
    pub code: i32,
    /// The part of its name after `PHANTOMDB_ERR_`, such as "TIMEOUT"; "OK" for `PHANTOMDB_OK`.
    pub name: *const c_char,
    /// A sentence that says what it means, without a full stop.
    pub text: *const c_char,
}

// SAFETY: the pointers lead to text that is never changed or freed.
unsafe impl Sync for phantomdb_code_info {}
// SAFETY: no thread owns what they lead to.
unsafe impl Send for phantomdb_code_info {}

/// Lists every code with its name and text, in the order of the numbers, beginning with
/// `PHANTOMDB_OK`.
///
/// Returns the first of `*count` entries, which are never freed. `count` may be NULL. Bindings
/// take their constants from here, or check them. Safe from any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_code_table(count: *mut u64) -> *const phantomdb_code_info {
    let table = code_table();
    // SAFETY: C promises that `count` is NULL or writable.
    if let Some(count) = unsafe { count.as_mut() } {
        *count = table.len() as u64;
    }
    table.as_ptr()
}

/// The name of a code, such as "TIMEOUT", or NULL if the code is unknown. The text is never freed.
/// Safe from any thread.
#[unsafe(no_mangle)]
pub extern "C" fn phantomdb_code_name(code: i32) -> *const c_char {
    code_table().iter().find(|info| info.code == code).map_or(ptr::null(), |info| info.name)
}

fn code_table() -> &'static [phantomdb_code_info] {
    static TABLE: OnceLock<Vec<phantomdb_code_info>> = OnceLock::new();
    TABLE.get_or_init(|| {
        let ok = (phantomdb_code::PHANTOMDB_OK as i32, "OK", "The call succeeded");
        let failures = Code::ALL.iter().map(|code| (*code as i32, code.name(), code.text()));
        std::iter::once(ok)
            .chain(failures)
            .map(|(code, name, text)| phantomdb_code_info {
                code,
                name: for_ever(name),
                text: for_ever(text),
            })
            .collect()
    })
}

fn for_ever(text: &str) -> *const c_char {
    CString::new(text).expect("the texts of codes have no NUL").into_raw()
}

const _: () = {
    assert!(size_of::<phantomdb_error>() == 1024);
    assert!(Code::ALL.len() == -(phantomdb_code::PHANTOMDB_ERR_OUT_OF_MEMORY as i32) as usize);
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_of_the_core_has_its_twin_with_the_same_number() {
        let header = include_str!("../../include/phantomdb.h");
        for code in Code::ALL {
            let line = format!("PHANTOMDB_ERR_{} = {},", code.name(), *code as i32);
            assert!(header.contains(&line), "phantomdb.h lacks `{line}`");
        }
    }

    #[test]
    fn a_long_message_keeps_its_beginning_and_its_end() {
        assert_eq!(fitting("aéb", 4), "aéb");
        let long = format!("GET /x: 502: {}; it is not known", "é".repeat(1000));
        for most in [600, 601, 983] {
            let text = fitting(&long, most);
            assert!(text.len() <= most && text.len() > most - 4, "{}", text.len());
            assert!(text.starts_with("GET /x: 502: é") && text.ends_with("; it is not known"));
            assert!(text.contains("é … é"));
        }
    }

    #[test]
    fn times_round_up() {
        assert_eq!(milliseconds(Duration::ZERO), 0);
        assert_eq!(milliseconds(Duration::from_micros(1)), 1);
        assert_eq!(milliseconds(Duration::MAX), i64::MAX);
    }
}

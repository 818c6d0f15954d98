//! `phantomdb_step`: requests that the program carries on itself.

use std::ffi::{c_char, c_void};
use std::os::fd::IntoRawFd;
use std::ptr;
use std::time::{Duration, Instant};

use super::asynchronous::{
    completed, phantomdb_result_callback, phantomdb_ticket, result_receiver, with_ticket,
};
use super::call::{UserData, call, output};
use super::connection::{self, phantomdb_connection};
use super::error::phantomdb_error;
use super::operation;
use super::pool;
use super::result::{self, phantomdb_result};
use crate::async_pool::ConnectionQueue;
use crate::client::{InFlight, OnClose, Progress, Request, Response};
use crate::error::Result;
use crate::os::threads;

/// How far a request has come that the program carries on itself; `phantomdb_step.state`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum phantomdb_step_state {
    /// It is over: the call has returned what it came to.
    PHANTOMDB_STEP_OVER = 0,
    /// It goes on by `phantomdb_connection_resume`, when its socket is ready or its time is over.
    PHANTOMDB_STEP_WAITS = 1,
    /// It needs a socket, and so a thread: it goes on by `phantomdb_connection_finish_async`.
    PHANTOMDB_STEP_NEEDS_THREAD = 2,
}

/// What a request waits for that the program carries on itself, in an event loop of its own.
///
/// `phantomdb_connection_start` sends a request without waiting for its response, and
/// `phantomdb_connection_resume` goes on with it, again and again, until it is over. In between the
/// program watches a socket. No thread of the library takes part, and no callback runs; this is the
/// cheapest way to make a request for a program that has a loop, as runtimes of languages do.
///
/// `phantomdb_connection_start`, `_start_request`, `_resume`, `_finish`, `_finish_async`,
/// `_watch_socket`.
///
/// No step waits. The one that gets the last of a response reads it, which of a large one takes a
/// few milliseconds for each megabyte; one that sends or receives much does a part of it, and
/// says (by `events` 0) that it can go on at once.
///
/// While such a request is under way, another on the connection is refused with
/// `PHANTOMDB_ERR_BUSY`. `phantomdb_connection_interrupt` cuts it: the socket becomes ready, and
/// the next `phantomdb_connection_resume` returns `PHANTOMDB_ERR_CANCELLED`. Releasing the
/// connection ends it too: its socket is closed, and an open transaction is rolled back. Closing
/// the pool cuts it like any other request; so resume it, or release the connection.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct phantomdb_step {
    /// One of `phantomdb_step_state`. What follows is of `PHANTOMDB_STEP_WAITS`, else 0.
    pub state: i32,
    /// The descriptor to watch. It stays the library's: watch it, and nothing else, and not after
    /// the request is over. A program that keeps its descriptors longer than that has
    /// `phantomdb_connection_watch_socket` make a duplicate.
    pub descriptor: i32,
    /// What to watch it for: `POLLIN`, or `POLLOUT` too, of `<poll.h>`. 0: it can go on at once.
    pub events: i32,
    /// For later versions; zero.
    pub reserved: u32,
    /// The number of the socket. No other socket of this process ever has it, while descriptors
    /// are used again and again.
    pub socket: u64,
    /// After how many milliseconds it is to go on at the latest: its time is over then.
    pub timeout_ms: i64,
}

impl phantomdb_step {
    fn in_state(state: phantomdb_step_state) -> phantomdb_step {
        phantomdb_step {
            state: state as i32,
            descriptor: 0,
            events: 0,
            reserved: 0,
            socket: 0,
            timeout_ms: 0,
        }
    }

    fn of(progress: &Progress) -> phantomdb_step {
        match progress {
            Progress::InFlight(in_flight) => phantomdb_step::waits_for(in_flight),
            Progress::NeedsThread { .. } => {
                phantomdb_step::in_state(phantomdb_step_state::PHANTOMDB_STEP_NEEDS_THREAD)
            }
            // A step reads an unread response, and so is the last.
            Progress::Unread(_) | Progress::Done(_) => {
                phantomdb_step::in_state(phantomdb_step_state::PHANTOMDB_STEP_OVER)
            }
        }
    }

    fn waits_for(in_flight: &InFlight) -> phantomdb_step {
        let events = if in_flight.is_ready() {
            0
        } else if in_flight.is_sending() {
            libc::POLLIN | libc::POLLOUT
        } else {
            libc::POLLIN
        };
        let left = in_flight.until().saturating_duration_since(Instant::now());
        // Rounded up, so that the time is over then.
        let timeout = left.saturating_add(Duration::from_micros(999)).as_millis();
        phantomdb_step {
            descriptor: in_flight.descriptor(),
            events: events.into(),
            socket: in_flight.socket() as u64,
            timeout_ms: i64::try_from(timeout).unwrap_or(i64::MAX),
            ..phantomdb_step::in_state(phantomdb_step_state::PHANTOMDB_STEP_WAITS)
        }
    }
}

/// Starts an operation on a connection, and sends of it what can be sent without waiting.
/// `operation`, `arguments` and `argument_count` are as for `phantomdb_connection_run`.
///
/// On success `step` says how it goes on. If it is over, `*result` is the response, to be freed
/// with `phantomdb_result_free`; otherwise it is NULL. After an error it is over.
///
/// Errors: as `phantomdb_connection_run`; `PHANTOMDB_ERR_BUSY` if one is under way already.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_connection_start(
    connection: *mut phantomdb_connection,
    operation: i32,
    arguments: *const *const c_char,
    argument_count: u64,
    step: *mut phantomdb_step,
    result: *mut *mut phantomdb_result,
    error: *mut phantomdb_error,
) -> i32 {
    // SAFETY: C promises that `arguments` holds `argument_count` texts and `step`, `result` and
    // `error` are NULL or writable.
    unsafe {
        let request = || operation::numbered(operation, arguments, argument_count);
        call(error, || start(connection, request, step, result))
    }
}

/// Starts a request that has no name here yet. `method`, `path`, `body` and `body_length` are as
/// for `phantomdb_connection_request`.
///
/// In all else as `phantomdb_connection_start`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_connection_start_request(
    connection: *mut phantomdb_connection,
    method: *const c_char,
    path: *const c_char,
    body: *const c_void,
    body_length: u64,
    step: *mut phantomdb_step,
    result: *mut *mut phantomdb_result,
    error: *mut phantomdb_error,
) -> i32 {
    // SAFETY: C promises that `method` and `path` are NULL or texts, `body` holds `body_length`
    // bytes, and `step`, `result` and `error` are NULL or writable.
    unsafe {
        let request = || operation::raw(method, path, body, body_length);
        call(error, || start(connection, request, step, result))
    }
}

/// Goes on with the request that was started on this connection, as far as that can be done
/// without waiting. May be called at any time; too early it changes nothing.
///
/// `step`, `result` and the errors are as for `phantomdb_connection_start`; besides
/// `PHANTOMDB_ERR_INVALID_STATE` if there is no such request.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_connection_resume(
    connection: *mut phantomdb_connection,
    step: *mut phantomdb_step,
    result: *mut *mut phantomdb_result,
    error: *mut phantomdb_error,
) -> i32 {
    // SAFETY: C promises that `step`, `result` and `error` are NULL or writable.
    unsafe {
        call(error, || make_step(connection, step, result, |queue, look| Ok(queue.resume(look))))
    }
}

/// Finishes the request that was started on this connection and needs a thread
/// (`PHANTOMDB_STEP_NEEDS_THREAD`): on one of the library, which opens a socket for it.
///
/// In all else as `phantomdb_connection_run_async`; `PHANTOMDB_ERR_INVALID_STATE` if there is no
/// such request.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_connection_finish_async(
    connection: *mut phantomdb_connection,
    callback: phantomdb_result_callback,
    user_data: *mut c_void,
    ticket: *mut *mut phantomdb_ticket,
    error: *mut phantomdb_error,
) -> i32 {
    // SAFETY: C promises that `ticket` and `error` are NULL or writable.
    unsafe {
        call(error, || {
            with_ticket(ticket, |ticket, handle| {
                let entry = connection::find(connection)?;
                let done = completed(result_receiver(callback, user_data)?, handle);
                let pool = pool::find(entry.pool())?;
                pool.finish(&entry.queue, ticket, done)
            })
        })
    }
}

/// Finishes the request that was started on this connection, however far it has come, and waits for
/// that on this thread. For programs that can't watch its socket: for lack of descriptors, say.
///
/// In all else as `phantomdb_connection_run`; `PHANTOMDB_ERR_INVALID_STATE` if there is no such
/// request. `phantomdb_connection_interrupt` cuts it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_connection_finish(
    connection: *mut phantomdb_connection,
    result: *mut *mut phantomdb_result,
    error: *mut phantomdb_error,
) -> i32 {
    // SAFETY: C promises that `result` and `error` are NULL or writable.
    unsafe {
        call(error, || result::response(result, || connection::find(connection)?.queue.finish()))
    }
}

/// A socket is closed: its number, and what was given for this. It runs on whichever thread closes
/// the socket, within whatever call does that, which may hold locks of the library: it makes a note
/// and wakes somebody, calls nothing of this library, and returns at once.
pub type phantomdb_socket_callback =
    Option<unsafe extern "C" fn(socket: u64, user_data: *mut c_void)>;

/// Makes a duplicate of the descriptor of the socket that a request waits for
/// (`PHANTOMDB_STEP_WAITS`), for the program to watch, for as many requests as the socket serves,
/// and to close. The duplicate does not keep the connection open: when the library closes the
/// socket, the duplicate becomes ready, and `closed` is called, exactly once for each call of
/// this that returned `PHANTOMDB_OK`; it may be called before this has returned. `closed` may be
/// NULL. In a forked child it is not called.
///
/// Errors: `PHANTOMDB_ERR_INVALID_STATE` if no request waits; `PHANTOMDB_ERR_OVERLOADED` if the
/// system has no descriptor left: the request goes on, and can be finished by
/// `phantomdb_connection_finish`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_connection_watch_socket(
    connection: *mut phantomdb_connection,
    closed: phantomdb_socket_callback,
    user_data: *mut c_void,
    descriptor: *mut i32,
    error: *mut phantomdb_error,
) -> i32 {
    // SAFETY: C promises that `descriptor` and `error` are NULL or writable.
    unsafe {
        call(error, || {
            let output = output("descriptor", descriptor)?;
            *output = -1;
            let closed = notice(closed, UserData(user_data));
            *output = connection::find(connection)?.queue.duplicate(closed)?.into_raw_fd();
            Ok(())
        })
    }
}

fn notice(closed: phantomdb_socket_callback, user_data: UserData) -> Option<OnClose> {
    let closed = closed?;
    Some(Box::new(move |socket| {
        // SAFETY: the program passed the function to be called by the thread that closes the socket.
        threads::call_back(|| unsafe { closed(socket as u64, user_data.get()) });
    }))
}

/// # Safety
/// The pointers are NULL or valid.
unsafe fn start(
    connection: *mut phantomdb_connection,
    request: impl FnOnce() -> Result<Request>,
    step: *mut phantomdb_step,
    result: *mut *mut phantomdb_result,
) -> Result<()> {
    // SAFETY: `step` and `result` are NULL or writable: this function asks the same of its caller.
    unsafe { make_step(connection, step, result, |queue, look| Ok(queue.start(request()?, look))) }
}

/// Is shown how far a request has come that is not over.
type Look<'a> = &'a mut dyn FnMut(&Progress);

/// # Safety
/// The pointers are NULL or valid.
unsafe fn make_step(
    connection: *mut phantomdb_connection,
    step: *mut phantomdb_step,
    result: *mut *mut phantomdb_result,
    make: impl FnOnce(&ConnectionQueue, Look<'_>) -> Result<Option<Result<Response>>>,
) -> Result<()> {
    // SAFETY: `step` and `result` are NULL or writable: this function asks the same of its caller.
    let (result_output, step) = unsafe { (result.as_mut(), output("step", step)) };
    if let Some(output) = result_output {
        *output = ptr::null_mut();
    }
    let step = step?;
    *step = phantomdb_step::in_state(phantomdb_step_state::PHANTOMDB_STEP_OVER);
    let mut look = |progress: &Progress| *step = phantomdb_step::of(progress);
    match make(&connection::find(connection)?.queue, &mut look)? {
        // SAFETY: `result` is NULL or writable, as above; the reference to it is not used any more.
        Some(outcome) => unsafe { result::response(result, || outcome) },
        None => Ok(()),
    }
}

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

/// How far a request has come that the program drives step by step; see `phantomdb_step.state`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum phantomdb_step_state {
    /// It is over: the call has returned its outcome.
    PHANTOMDB_STEP_OVER = 0,
    /// It waits for its socket. Call `phantomdb_connection_resume` when the socket is ready or
    /// the time is over.
    PHANTOMDB_STEP_WAITS = 1,
    /// It has to open a socket, or `phantomdb_connection_resume_unread` has found a large response
    /// to read, which takes a thread. Call `phantomdb_connection_finish_async`.
    PHANTOMDB_STEP_NEEDS_THREAD = 2,
}

/// What a request waits for that the program drives step by step.
///
/// `phantomdb_connection_start` sends a request without waiting for its response, and
/// `phantomdb_connection_resume` continues it, again and again, until it is over. In between the
/// program watches a socket. No thread of the library takes part, and no callback runs. For a
/// program that has an event loop, as the runtimes of some languages do, this is the cheapest way
/// to make a request.
///
/// No step waits. The step that receives the end of a response also reads the response, which
/// takes a few milliseconds per megabyte; `phantomdb_connection_resume_unread` leaves a large one
/// unread. A step that has much to send or receive does part of it, and says by `events` 0 that it
/// can go on at once. At any time the program may leave the rest of a request to the library, by
/// `phantomdb_connection_finish_async`.
///
/// While such a request is in progress, another one on the same connection is refused with
/// `PHANTOMDB_ERR_BUSY`. `phantomdb_connection_interrupt` cuts it off: the socket becomes ready,
/// and the next `phantomdb_connection_resume` returns `PHANTOMDB_ERR_CANCELLED`. Releasing the
/// connection ends the request, too: its socket is closed, and an open transaction is rolled
/// back. Closing the pool cuts it off like any other request; so resume it, or release the
/// connection.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct phantomdb_step {
    /// One of `phantomdb_step_state`. Only `PHANTOMDB_STEP_WAITS` sets the members below;
    /// otherwise they are 0.
    pub state: i32,
    /// The descriptor to watch. It belongs to the library: do nothing but watch it, and not after
    /// the request is over. To keep a descriptor for longer, ask
    /// `phantomdb_connection_watch_socket` for a duplicate.
    pub descriptor: i32,
    /// What to watch it for: `POLLIN`, or `POLLIN | POLLOUT`, from `<poll.h>`. 0: it can go on at
    /// once.
    pub events: i32,
    /// For later versions; zero.
    pub reserved: u32,
    /// The number of the socket. No other socket of this process ever has it, whereas descriptors
    /// are reused.
    pub socket: u64,
    /// In how many milliseconds to resume at the latest, because its time is over then.
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
            Progress::NeedsThread { .. } | Progress::Unread(_) => {
                phantomdb_step::in_state(phantomdb_step_state::PHANTOMDB_STEP_NEEDS_THREAD)
            }
            Progress::Done(_) => {
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

/// Starts an operation on a connection, and sends as much of it as can be sent without waiting.
/// `operation`, `arguments` and `argument_count` are those of `phantomdb_connection_run`.
///
/// On success `step` says how it goes on. If it is over, `*result` is the response, to be freed
/// with `phantomdb_result_free`; otherwise it is NULL. After an error it is over.
///
/// Errors: like `phantomdb_connection_run`; `PHANTOMDB_ERR_BUSY` if a request is already in
/// progress.
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

/// Starts a request that has no function of its own. `method`, `path`, `body` and `body_length`
/// are those of `phantomdb_connection_request`.
///
/// Otherwise like `phantomdb_connection_start`.
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

/// Continues the request that was started on this connection, as far as that is possible without
/// waiting. It may be called at any time; if it is too early, nothing changes.
///
/// `step`, `result` and the errors are those of `phantomdb_connection_start`; also
/// `PHANTOMDB_ERR_INVALID_STATE` if no request was started.
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

/// Like `phantomdb_connection_resume`, but does not read a response of more than 64 KiB, so that
/// this takes some ten microseconds at most. The request needs a thread then
/// (`PHANTOMDB_STEP_NEEDS_THREAD`). For event loops that nothing may hold up.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_connection_resume_unread(
    connection: *mut phantomdb_connection,
    step: *mut phantomdb_step,
    result: *mut *mut phantomdb_result,
    error: *mut phantomdb_error,
) -> i32 {
    // SAFETY: C promises that `step`, `result` and `error` are NULL or writable.
    unsafe {
        call(error, || {
            make_step(connection, step, result, |queue, look| Ok(queue.resume_unread(look)))
        })
    }
}

/// Finishes the request that was started on this connection, however far it has come, on a thread
/// of the library. It is for a request that needs a thread (`PHANTOMDB_STEP_NEEDS_THREAD`), and
/// for a program that does not want to go on with one itself: because it has another request for
/// the connection, which then follows this one, or because it releases the connection, which then
/// is free when this is over.
///
/// Otherwise like `phantomdb_connection_run_async`; `PHANTOMDB_ERR_INVALID_STATE` if there is no
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

/// Finishes the request that was started on this connection, however far it has come, and waits
/// for it on this thread. For programs that can't watch its socket, for lack of descriptors, for
/// example.
///
/// Otherwise like `phantomdb_connection_run`; `PHANTOMDB_ERR_INVALID_STATE` if no request was
/// started. `phantomdb_connection_interrupt` cuts it off.
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

/// A socket has been closed: its number, and the `user_data` that was passed with this function.
/// It runs on the thread that closes the socket, within any call, which may hold locks of the
/// library. It must only record that and wake another thread, call nothing of this library, and
/// return at once.
pub type phantomdb_socket_callback =
    Option<unsafe extern "C" fn(socket: u64, user_data: *mut c_void)>;

/// Duplicates the descriptor of the socket that a request waits for (`PHANTOMDB_STEP_WAITS`). The
/// program may watch the duplicate for as many requests as the socket serves, and has to close
/// it. It does not keep the connection open: when the library closes the socket, the duplicate
/// becomes ready, and `closed` is called, exactly once for each call of this function that
/// returned `PHANTOMDB_OK`, possibly before it has returned. `closed` may be NULL. It is not
/// called in a forked child.
///
/// Errors: `PHANTOMDB_ERR_INVALID_STATE` if no request is waiting; `PHANTOMDB_ERR_OVERLOADED` if
/// the system has no descriptor left: the request goes on, and `phantomdb_connection_finish` can
/// finish it.
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
        // SAFETY: the program passed the function to be called by the thread that closes the
        // socket.
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

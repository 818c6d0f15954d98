//! `phantomdb_ticket`, and the calls that do not wait.

use std::ffi::{c_char, c_void};
use std::ptr;
use std::sync::Arc;
use std::time::Duration;

use super::call::{call, call_at_once, output};
use super::completion::{Brought, Completion, Receiver, post_close, post_connection, post_result};
use super::connection::{self, phantomdb_connection};
use super::error::{phantomdb_code, phantomdb_error};
use super::handles::{Lookup, number};
use super::member::from_ms;
use super::operation;
use super::pending_close::PendingClose;
use super::pool::{self, phantomdb_pool};
use super::result::{self, phantomdb_result};
use super::tables::{TICKETS, invalid_handle, too_many};
use crate::async_pool::{CallbackPool, Ticket};
use crate::client::{Request, Response};
use crate::error::{Code, Result};
use crate::os::threads::{self, Uncancelled};
use crate::pool::Lease;

/// An asynchronous call in progress; `phantomdb_cancel` takes it.
///
/// An asynchronous call returns at once, and passes its outcome to a callback later. All of them
/// have this in common:
///
/// - If the call returns `PHANTOMDB_OK`, its callback runs exactly once: on a thread of the
///   library, never within the call, with no lock of the library held. It may run before the call
///   has returned (`*ticket` is set by then). If the call returns an error, the callback never
///   runs.
/// - The callback's `error` is never NULL; its code is `PHANTOMDB_OK` on success. It is lent for
///   the duration of the callback. The connection or result that the callback gets belongs to it,
///   as if a blocking call had returned it, and is NULL unless the code is `PHANTOMDB_OK`.
/// - `user_data` is passed on unchanged. What it points to must live until the callback has run.
/// - `*ticket` names the call until its callback runs. It needs no freeing, and is harmless
///   later. `ticket` may be NULL for a call that will not be cancelled.
/// - Texts, bytes and arrays that are passed in are copied: they need to live only during the
///   call.
/// - A callback must not wait: acquire, requests and close are refused in it with
///   `PHANTOMDB_ERR_WOULD_DEADLOCK`. It may make asynchronous calls, call
///   `phantomdb_pool_try_acquire` and `phantomdb_pool_release`, read results and do anything else
///   that does not wait. A slow callback delays others: pass long work on to another thread.
/// - A callback must return: it must not use longjmp, let an exception escape or end its thread.
///
/// A call that waits for a connection takes no thread, and one thread of the pool serves all
/// requests in flight. A connection that has to be opened first, and a response of more than 64
/// KiB while it is read, take a thread of their own; there are at most `max_connections` of
/// these. They are kept for later calls, and end after 10 seconds without work. In a forked child
/// the calls of the parent do not exist: their callbacks do not run, and their tickets are
/// `PHANTOMDB_ERR_INVALID_HANDLE`.
pub struct phantomdb_ticket {
    _private: (),
}

/// The outcome of an acquire. `connection` is the callback's, to be released, or NULL.
pub type phantomdb_acquire_callback = Option<
    unsafe extern "C" fn(
        connection: *mut phantomdb_connection,
        error: *const phantomdb_error,
        user_data: *mut c_void,
    ),
>;

/// The outcome of a request. `result` is the callback's, to be freed, or NULL.
pub type phantomdb_result_callback = Option<
    unsafe extern "C" fn(
        result: *mut phantomdb_result,
        error: *const phantomdb_error,
        user_data: *mut c_void,
    ),
>;

/// The outcome of a close.
pub type phantomdb_close_callback =
    Option<unsafe extern "C" fn(error: *const phantomdb_error, user_data: *mut c_void)>;

/// In place of a time: the pool's own, `acquire_timeout_ms` or `close_timeout_ms`.
pub const PHANTOMDB_POOL_TIMEOUT: i64 = -1;

/// The handle of a ticket, until its callback runs; 0 if the program wants none.
pub(super) struct TicketHandle(usize);

impl TicketHandle {
    /// Gives the ticket a handle, if `output` wants one.
    fn new(
        output: Option<&mut *mut phantomdb_ticket>,
        ticket: &Arc<Ticket>,
    ) -> Result<TicketHandle> {
        let Some(output) = output else { return Ok(TicketHandle(0)) };
        *output = TICKETS.insert(ticket.clone()).ok_or_else(|| too_many("calls"))?;
        Ok(TicketHandle(number(*output)))
    }
}

impl Drop for TicketHandle {
    fn drop(&mut self) {
        if self.0 != 0 {
            TICKETS.remove::<phantomdb_ticket>(ptr::without_provenance_mut(self.0), |_| true);
        }
    }
}

/// Makes a call with a ticket of its own.
///
/// # Safety
/// `output` is NULL or may be written to.
pub(super) unsafe fn with_ticket(
    output: *mut *mut phantomdb_ticket,
    make: impl FnOnce(&Arc<Ticket>, TicketHandle) -> Result<()>,
) -> Result<()> {
    let ticket = Ticket::new();
    // SAFETY: `output` is NULL or writable until the call is made.
    let handle = unsafe { clear(output) }
        .map_or(Ok(TicketHandle(0)), |output| TicketHandle::new(Some(output), &ticket));
    // Once the call is made, its callback may have run, and `output` may be gone.
    make(&ticket, handle?).inspect_err(|_| {
        // SAFETY: the call was not made, so no callback has run and `output` is still writable.
        unsafe { clear(output) };
    })
}

/// Sets an output that may be NULL to NULL.
///
/// # Safety
/// It is NULL or may be written to.
unsafe fn clear<'a, H>(output: *mut *mut H) -> Option<&'a mut *mut H> {
    // SAFETY: `output` is NULL or writable: this function asks the same of its caller.
    let output = unsafe { output.as_mut() }?;
    *output = ptr::null_mut();
    Some(output)
}

/// The arguments of a callback: the handle, and the error.
fn callback_arguments<H>(outcome: Result<*mut H>) -> (*mut H, phantomdb_error) {
    match outcome {
        Ok(handle) => (handle, phantomdb_error::none()),
        Err(error) => (ptr::null_mut(), phantomdb_error::of(&error)),
    }
}

/// A time argument: `None` for the pool's own.
fn timeout(ms: i64) -> Result<Option<Duration>> {
    if ms == PHANTOMDB_POOL_TIMEOUT {
        return Ok(None);
    }
    from_ms("timeout_ms", ms).map(Some)
}

/// A callback that gets what a call brought.
type HandleCallback<H> = unsafe extern "C" fn(*mut H, *const phantomdb_error, *mut c_void);

/// What receives the outcome of an acquire.
type AcquireReceiver = Receiver<HandleCallback<phantomdb_connection>>;

/// What receives the outcome of a request.
pub(super) type ResultReceiver = Receiver<HandleCallback<phantomdb_result>>;

/// # Safety
/// As for [`Receiver::new`].
unsafe fn acquire_receiver(
    callback: phantomdb_acquire_callback,
    user_data: *mut c_void,
) -> Result<AcquireReceiver> {
    // SAFETY: `user_data` is what `Receiver::new` asks for: this function asks the same of its
    // caller.
    unsafe { Receiver::new(callback, user_data, post_connection) }
}

/// # Safety
/// As for [`Receiver::new`].
pub(super) unsafe fn result_receiver(
    callback: phantomdb_result_callback,
    user_data: *mut c_void,
) -> Result<ResultReceiver> {
    // SAFETY: `user_data` is what `Receiver::new` asks for: this function asks the same of its
    // caller.
    unsafe { Receiver::new(callback, user_data, post_result) }
}

/// What an acquire from this pool does when it ends.
fn acquired(
    pool: *mut phantomdb_pool,
    receiver: AcquireReceiver,
    handle: TicketHandle,
) -> impl FnOnce(Result<Lease>) + Send + 'static {
    let pool = number(pool);
    let hand_out = move |lease| connection::hand_out(pool, lease);
    ended(receiver, handle, hand_out, Brought::connection)
}

/// What a request does when it ends.
pub(super) fn completed(
    receiver: ResultReceiver,
    handle: TicketHandle,
) -> impl FnOnce(Result<Response>) + Send + 'static {
    ended(receiver, handle, result::hand_out, Brought::result)
}

/// What a call does when it ends: tells its receiver of the handle that it brought, or of its error.
fn ended<T, H: 'static>(
    receiver: Receiver<HandleCallback<H>>,
    handle: TicketHandle,
    hand_out: impl FnOnce(T) -> Result<*mut H> + Send + 'static,
    brought: fn(*mut H) -> Brought,
) -> impl FnOnce(Result<T>) + Send + 'static {
    move |outcome| {
        drop(handle);
        let outcome = outcome.and_then(hand_out);
        match receiver {
            Receiver::Callback(callback, user_data) => {
                let (given, error) = callback_arguments(outcome);
                // SAFETY: the program passed the callback to be called once, from any thread, with
                // what is its own from then on; `error` lives until it returns.
                unsafe { callback(given, &raw const error, user_data.get()) };
            }
            Receiver::Queue(queue, user_data) => {
                queue.post(Completion::new(user_data, outcome.map(brought)));
            }
        }
    }
}

/// Acquires a connection without waiting for it.
///
/// `timeout_ms` is how many milliseconds the acquire may take, or `PHANTOMDB_POOL_TIMEOUT`. The
/// callback gets the connection, or the error that `phantomdb_pool_acquire` would have returned,
/// or `PHANTOMDB_ERR_CANCELLED`. Callers are served in the order in which they came, together
/// with those that wait in `phantomdb_pool_acquire`.
///
/// Errors: `PHANTOMDB_ERR_INVALID_ARGUMENT`, `PHANTOMDB_ERR_INVALID_HANDLE`,
/// `PHANTOMDB_ERR_CLOSED`; `PHANTOMDB_ERR_OVERLOADED` if the system refuses a thread or a
/// descriptor; the message says why.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_pool_acquire_async(
    pool: *mut phantomdb_pool,
    timeout_ms: i64,
    callback: phantomdb_acquire_callback,
    user_data: *mut c_void,
    ticket: *mut *mut phantomdb_ticket,
    error: *mut phantomdb_error,
) -> i32 {
    // SAFETY: C promises that `ticket` and `error` are NULL or writable.
    unsafe {
        call(error, || {
            with_ticket(ticket, |ticket, handle| {
                let (async_pool, timeout) = (pool::find(pool)?, timeout(timeout_ms)?);
                let done = acquired(pool, acquire_receiver(callback, user_data)?, handle);
                async_pool.acquire(timeout, ticket, done)
            })
        })
    }
}

/// Acquires a connection with the least overhead; for bindings to other languages.
///
/// If a connection is free, it is in `*connection` when the call returns, and the callback does
/// not run. Otherwise `*connection` is NULL and the callback runs once, as after
/// `phantomdb_pool_acquire_async`, but on the thread that brings the outcome: a thread of the
/// library, or one that calls `phantomdb_pool_release`, `phantomdb_cancel`,
/// `phantomdb_pool_close` or another function, within that call. (Never within this call, and
/// never within another such callback.) This saves a change of threads. In return, the callback
/// must only record its arguments, and must not take a lock that is held around calls of this
/// library.
///
/// If `callback` is NULL, nobody waits: `*connection` is NULL unless a connection is free that
/// needs no check, and a failure does not count as an acquire. For callers that try this before
/// they do something else.
///
/// Errors: like `phantomdb_pool_acquire` (`PHANTOMDB_ERR_TIMEOUT` if the time was over before the
/// call returned); the callback does not run after an error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_pool_acquire_direct(
    pool: *mut phantomdb_pool,
    timeout_ms: i64,
    callback: phantomdb_acquire_callback,
    user_data: *mut c_void,
    connection: *mut *mut phantomdb_connection,
    ticket: *mut *mut phantomdb_ticket,
    error: *mut phantomdb_error,
) -> i32 {
    // SAFETY: C promises that `connection`, `ticket` and `error` are NULL or writable.
    unsafe {
        let is_time = timeout_ms >= 0 || timeout_ms == PHANTOMDB_POOL_TIMEOUT;
        if is_time && connection::acquire_at_once(pool, connection, error) {
            clear(ticket);
            return phantomdb_code::PHANTOMDB_OK as i32;
        }
        call_at_once(error, || {
            clear(ticket);
            let connection = output("connection", connection)?;
            *connection = ptr::null_mut();
            let timeout = timeout(timeout_ms)?;
            let _uncancelled = Uncancelled::begin();
            let async_pool = pool::find(pool)?;
            if callback.is_none() {
                return Ok(());
            }
            let receiver = acquire_receiver(callback, user_data)?;
            let prepare = || {
                let own = Ticket::new();
                // With no handle left, the call goes on, but can't be cancelled.
                let handle = TicketHandle::new(ticket.as_mut(), &own).unwrap_or(TicketHandle(0));
                (own, acquired(pool, receiver, handle))
            };
            let lease = async_pool.acquire_direct(timeout, prepare).inspect_err(|_| {
                clear(ticket);
            })?;
            if let Some(lease) = lease {
                *connection = connection::hand_out(number(pool), lease)?;
            }
            Ok(())
        })
    }
}

/// Acquires a connection, runs one operation on it and gives it back, without waiting for any of
/// this. `operation`, `arguments` and `argument_count` are those of `phantomdb_pool_run`.
///
/// The callback gets the response, or the error that `phantomdb_pool_run` would have returned, or
/// `PHANTOMDB_ERR_CANCELLED`.
///
/// Errors: `PHANTOMDB_ERR_INVALID_ARGUMENT`, `PHANTOMDB_ERR_INVALID_HANDLE`,
/// `PHANTOMDB_ERR_CLOSED`; `PHANTOMDB_ERR_OVERLOADED` if the system refuses a thread or a
/// descriptor; the message says why.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_pool_run_async(
    pool: *mut phantomdb_pool,
    operation: i32,
    arguments: *const *const c_char,
    argument_count: u64,
    callback: phantomdb_result_callback,
    user_data: *mut c_void,
    ticket: *mut *mut phantomdb_ticket,
    error: *mut phantomdb_error,
) -> i32 {
    // SAFETY: C promises that `arguments` holds `argument_count` texts and `ticket` and `error` are
    // NULL or writable.
    unsafe {
        let request = || operation::for_any_connection(operation, arguments, argument_count);
        call(error, || on_pool(pool, request, callback, user_data, ticket))
    }
}

/// Acquires a connection, sends one request on it and gives it back, without waiting for any of
/// this. `method`, `path`, `body` and `body_length` are those of `phantomdb_pool_request`.
///
/// The callback and the errors are those of `phantomdb_pool_run_async`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_pool_request_async(
    pool: *mut phantomdb_pool,
    method: *const c_char,
    path: *const c_char,
    body: *const c_void,
    body_length: u64,
    callback: phantomdb_result_callback,
    user_data: *mut c_void,
    ticket: *mut *mut phantomdb_ticket,
    error: *mut phantomdb_error,
) -> i32 {
    // SAFETY: C promises that `method` and `path` are NULL or texts, `body` holds `body_length`
    // bytes, and `ticket` and `error` are NULL or writable.
    unsafe {
        let request = || operation::raw(method, path, body, body_length);
        call(error, || on_pool(pool, request, callback, user_data, ticket))
    }
}

/// # Safety
/// The pointers are NULL or valid.
unsafe fn on_pool(
    pool: *mut phantomdb_pool,
    request: impl FnOnce() -> Result<Request>,
    callback: phantomdb_result_callback,
    user_data: *mut c_void,
    ticket: *mut *mut phantomdb_ticket,
) -> Result<()> {
    let make = |ticket: &Arc<Ticket>, handle| {
        let async_pool = pool::find(pool)?;
        let request = request()?;
        // SAFETY: this function asks of its caller what `user_data` has to be.
        let receiver = unsafe { result_receiver(callback, user_data) }?;
        async_pool.run(request, ticket, completed(receiver, handle))
    };
    // SAFETY: `ticket` is NULL or writable until the call is made, as this function asks, too.
    unsafe { with_ticket(ticket, make) }
}

/// Runs one operation on a connection that you have acquired, without waiting for it.
/// `operation`, `arguments` and `argument_count` are those of `phantomdb_connection_run`.
///
/// Asynchronous requests on one connection run one after the other, in the order in which they
/// were made. The connection may be released while they are in progress: it is back when they are
/// done. (Meanwhile a blocking request gets `PHANTOMDB_ERR_BUSY`, as does an asynchronous one
/// whose turn comes while a blocking one is in flight.)
///
/// The callback gets the response, or the error that `phantomdb_connection_run` would have
/// returned. After `phantomdb_cancel` that is `PHANTOMDB_ERR_CANCELLED`, unless the response came
/// first; a request in flight is cut off, and the connection's next request opens a new socket.
///
/// Errors: `PHANTOMDB_ERR_INVALID_ARGUMENT`, `PHANTOMDB_ERR_INVALID_HANDLE`,
/// `PHANTOMDB_ERR_CLOSED`; `PHANTOMDB_ERR_OVERLOADED` if the system refuses a thread or a
/// descriptor; the message says why.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_connection_run_async(
    connection: *mut phantomdb_connection,
    operation: i32,
    arguments: *const *const c_char,
    argument_count: u64,
    callback: phantomdb_result_callback,
    user_data: *mut c_void,
    ticket: *mut *mut phantomdb_ticket,
    error: *mut phantomdb_error,
) -> i32 {
    // SAFETY: C promises that `arguments` holds `argument_count` texts and `ticket` and `error` are
    // NULL or writable.
    unsafe {
        let request = || operation::numbered(operation, arguments, argument_count);
        call(error, || on_connection(connection, request, callback, user_data, ticket))
    }
}

/// Sends a request on a connection that you have acquired, without waiting for it. `method`,
/// `path`, `body` and `body_length` are those of `phantomdb_connection_request`.
///
/// Otherwise like `phantomdb_connection_run_async`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_connection_request_async(
    connection: *mut phantomdb_connection,
    method: *const c_char,
    path: *const c_char,
    body: *const c_void,
    body_length: u64,
    callback: phantomdb_result_callback,
    user_data: *mut c_void,
    ticket: *mut *mut phantomdb_ticket,
    error: *mut phantomdb_error,
) -> i32 {
    // SAFETY: C promises that `method` and `path` are NULL or texts, `body` holds `body_length`
    // bytes, and `ticket` and `error` are NULL or writable.
    unsafe {
        let request = || operation::raw(method, path, body, body_length);
        call(error, || on_connection(connection, request, callback, user_data, ticket))
    }
}

/// # Safety
/// The pointers are NULL or valid.
unsafe fn on_connection(
    connection: *mut phantomdb_connection,
    request: impl FnOnce() -> Result<Request>,
    callback: phantomdb_result_callback,
    user_data: *mut c_void,
    ticket: *mut *mut phantomdb_ticket,
) -> Result<()> {
    let make = |ticket: &Arc<Ticket>, handle| {
        let entry = connection::find(connection)?;
        let request = request()?;
        // SAFETY: this function asks of its caller what `user_data` has to be.
        let done = completed(unsafe { result_receiver(callback, user_data) }?, handle);
        let pool = pool::find(entry.pool())?;
        pool.run_on(&entry.queue, request, ticket, done)
    };
    // SAFETY: `ticket` is NULL or writable until the call is made, as this function asks, too.
    unsafe { with_ticket(ticket, make) }
}

/// Cancels an asynchronous call. Its callback runs soon, with `PHANTOMDB_ERR_CANCELLED`, or with
/// the outcome if that came first. A request in flight is cut off, and it is unknown whether it
/// took effect. A call may be cancelled twice, and also when its callback is running or has run.
///
/// Never waits, and may be called from any thread, also in a callback.
///
/// Errors: `PHANTOMDB_ERR_INVALID_HANDLE`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_cancel(
    ticket: *mut phantomdb_ticket,
    error: *mut phantomdb_error,
) -> i32 {
    let cancel = || match TICKETS.find(ticket) {
        Lookup::Live(found) => found.cancel(),
        Lookup::Stale => Ok(()),
        Lookup::Unknown => Err(invalid_handle("ticket", ticket, "was never valid")),
    };
    // SAFETY: C promises that `error` is NULL or writable.
    unsafe { call(error, cancel) }
}

/// Closes the pool like `phantomdb_pool_close_timeout`, without waiting for it. `timeout_ms` may
/// be `PHANTOMDB_POOL_TIMEOUT`.
///
/// The callback is the last one of this pool, and gets what `phantomdb_pool_close` would have
/// returned. This function may be called in a callback. A blocking close that is called meanwhile
/// returns after the callback has run.
///
/// Errors: `PHANTOMDB_ERR_INVALID_ARGUMENT`, `PHANTOMDB_ERR_INVALID_HANDLE`;
/// `PHANTOMDB_ERR_OVERLOADED` if the system refuses a thread; the message says why. Nothing is
/// closed then.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_pool_close_async(
    pool: *mut phantomdb_pool,
    timeout_ms: i64,
    callback: phantomdb_close_callback,
    user_data: *mut c_void,
    error: *mut phantomdb_error,
) -> i32 {
    let close = || {
        if let Err(error) = pool::find(pool) {
            if error.code() != Code::Closed {
                return Err(error);
            }
        }
        let timeout = timeout(timeout_ms)?;
        // SAFETY: C promises that `user_data` leads to a target if the callback is that of a queue.
        let receiver = unsafe { Receiver::new(callback, user_data, post_close) }?;
        let pool = number(pool);
        let pending = PendingClose::new(pool);
        let run = move || {
            let outcome = pool::close(ptr::without_provenance_mut(pool), timeout);
            match receiver {
                Receiver::Callback(callback, user_data) => {
                    let error = outcome
                        .err()
                        .map_or_else(phantomdb_error::none, |error| phantomdb_error::of(&error));
                    // SAFETY: the program passed the callback to be called when the pool is
                    // closed, which it is; `error` lives until it returns.
                    threads::call_back(|| unsafe { callback(&raw const error, user_data.get()) });
                }
                Receiver::Queue(queue, user_data) => {
                    queue.post(Completion::new(user_data, outcome.map(|()| Brought::Nothing)));
                }
            }
            drop(pending);
        };
        // When it calls back, nothing else of the pool is left.
        CallbackPool::start_close(run)
    };
    // SAFETY: C promises that `error` is NULL or writable.
    unsafe { call(error, close) }
}

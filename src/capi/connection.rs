//! `phantomdb_connection`: to acquire and release a connection.

use std::ffi::c_char;
use std::ptr;

use super::call::{call, call_at_once, output, text};
use super::error::{phantomdb_code, phantomdb_error};
use super::handles::number;
use super::leases::{self, LeaseEntry, Missing, Taken};
use super::member::from_ms;
use super::pool::{self, phantomdb_pool};
use super::tables::invalid_handle;
use crate::error::{Code, Error, Result};
use crate::os::threads::Uncancelled;
use crate::pool::{Lease, Pool};

/// A connection that was acquired from a pool. It is yours until you release it, in any thread.
///
/// It serves one request at a time: a second thread that tries meanwhile gets
/// `PHANTOMDB_ERR_BUSY`. `phantomdb_connection_interrupt` may be called from any thread.
///
/// All its operations (`phantomdb_connection_health_check` to `phantomdb_connection_request`)
/// have the following in common. Texts are UTF-8, end with a NUL, and need to live only during
/// the call. Names may hold any character; the library encodes them. JSON arguments are checked
/// before anything is sent. On success `*result` is the response, to be freed with
/// `phantomdb_result_free`; on failure it is NULL. `result` itself may be NULL if the response
/// does not matter. A call takes at most `request_timeout_ms`. Their errors:
///
/// - `PHANTOMDB_ERR_INVALID_ARGUMENT`: an argument can't be used; nothing was sent.
/// - `PHANTOMDB_ERR_INVALID_HANDLE`: this connection has been released, or was never valid.
/// - `PHANTOMDB_ERR_HTTP`: the server responded with an error: 400 for bad SQL, 404 for a missing
///   database or table, 409 if it exists already, 500 and so on; see `http_status`.
/// - `PHANTOMDB_ERR_UNAUTHORIZED`: the token is missing or wrong.
/// - `PHANTOMDB_ERR_UNAVAILABLE`, `PHANTOMDB_ERR_TIMEOUT`, `PHANTOMDB_ERR_CONNECTION_LOST`,
///   `PHANTOMDB_ERR_PROTOCOL`, `PHANTOMDB_ERR_TOO_LARGE`, `PHANTOMDB_ERR_TLS`: something failed
///   on the way to the server and back. The connection can still be used: its next request opens
///   a new socket.
/// - `PHANTOMDB_ERR_OUT_OF_MEMORY`: there is not enough memory for the request or the response.
/// - `PHANTOMDB_ERR_CANCELLED`: the request was interrupted.
/// - `PHANTOMDB_ERR_BUSY`: another request is in flight on this connection.
/// - `PHANTOMDB_ERR_CLOSED`: the pool was closed.
///
/// The library sends a request again only if nothing of it reached the server, if it only reads,
/// or if the server closes the connection and says that it gave up waiting for the request (408).
/// So an insert is never carried out twice. Whether you may safely repeat it yourself is in
/// `retriable` of the error.
pub struct phantomdb_connection {
    _private: (),
}

/// The lease that a handle names.
pub(super) fn find(connection: *mut phantomdb_connection) -> Result<LeaseEntry> {
    leases::find(connection).map_err(|missing| error_of(missing, connection))
}

fn error_of(missing: Missing, connection: *mut phantomdb_connection) -> Error {
    match missing {
        Missing::Unknown => unknown(connection),
        Missing::OfAnotherPool => Error::new(
            Code::InvalidHandle,
            "connection: the handle belongs to another pool; release it there",
        ),
        Missing::Other(error) => error,
    }
}

pub(super) fn unknown(connection: *mut phantomdb_connection) -> Error {
    invalid_handle("connection", connection, "has already been released, or was never valid")
}

/// Waits for a connection, at most `acquire_timeout_ms`.
///
/// On success `*connection` is yours until `phantomdb_pool_release` or `phantomdb_pool_discard`;
/// on failure it is NULL. Callers are served in the order in which they came.
///
/// Errors: `PHANTOMDB_ERR_TIMEOUT`, `PHANTOMDB_ERR_CLOSED`, `PHANTOMDB_ERR_OVERLOADED`. If the
/// server can't be reached, `PHANTOMDB_ERR_UNAVAILABLE` (or `PHANTOMDB_ERR_TLS`,
/// `PHANTOMDB_ERR_UNAUTHORIZED`) at once, with the root cause and `retry_after_ms`, unless a
/// connection in use may come back: the call waits for that. The message of a time-out says what
/// the pool was doing: what it was dialling, and since when.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_pool_acquire(
    pool: *mut phantomdb_pool,
    connection: *mut *mut phantomdb_connection,
    error: *mut phantomdb_error,
) -> i32 {
    // SAFETY: C promises that `connection` and `error` are NULL or writable.
    unsafe {
        if acquire_at_once(pool, connection, error) {
            return phantomdb_code::PHANTOMDB_OK as i32;
        }
        acquire_waiting(pool, connection, error, || {
            Ok(|pool: &Pool| pool.acquire_slow(pool.options().acquire_timeout))
        })
    }
}

/// Like `phantomdb_pool_acquire`, but waits at most `timeout_ms` milliseconds. With 0 it takes a
/// connection only if one is free at once. A negative time is refused.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_pool_acquire_timeout(
    pool: *mut phantomdb_pool,
    timeout_ms: i64,
    connection: *mut *mut phantomdb_connection,
    error: *mut phantomdb_error,
) -> i32 {
    let prepare = || {
        let timeout = from_ms("timeout_ms", timeout_ms)?;
        Ok(move |pool: &Pool| pool.acquire_slow(timeout))
    };
    // SAFETY: C promises that `connection` and `error` are NULL or writable.
    unsafe {
        if timeout_ms >= 0 && acquire_at_once(pool, connection, error) {
            return phantomdb_code::PHANTOMDB_OK as i32;
        }
        if timeout_ms > 0 {
            acquire_waiting(pool, connection, error, prepare)
        } else {
            acquire(pool, connection, error, prepare)
        }
    }
}

/// Takes a connection if one is free. Never waits and never uses the network.
///
/// Errors: `PHANTOMDB_ERR_WOULD_BLOCK` if none is free; otherwise like `phantomdb_pool_acquire`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_pool_try_acquire(
    pool: *mut phantomdb_pool,
    connection: *mut *mut phantomdb_connection,
    error: *mut phantomdb_error,
) -> i32 {
    // SAFETY: C promises that `connection` and `error` are NULL or writable.
    unsafe {
        if acquire_at_once(pool, connection, error) {
            return phantomdb_code::PHANTOMDB_OK as i32;
        }
        acquire(pool, connection, error, || Ok(Pool::try_acquire_slow))
    }
}

/// The fast path of every acquire. False if the slow path has to be taken, and nothing was done.
///
/// Nothing in it can panic, so it does without [`call`], which costs as much as all the rest.
///
/// # Safety
/// The pointers are NULL or valid.
#[inline(always)]
pub(super) unsafe fn acquire_at_once(
    pool: *mut phantomdb_pool,
    connection: *mut *mut phantomdb_connection,
    error: *mut phantomdb_error,
) -> bool {
    if connection.is_null() {
        return false;
    }
    let Some(ready) = leases::acquire_ready(pool) else { return false };
    // SAFETY: `connection` is not NULL, so it is writable, and `error` is NULL or writable: this
    // function asks the same of its caller.
    unsafe {
        *connection = ready;
        clear_error(error);
    }
    true
}

/// # Safety
/// `error` is NULL or writable.
#[inline]
unsafe fn clear_error(error: *mut phantomdb_error) {
    // SAFETY: this function asks the same of its caller.
    if let Some(error) = unsafe { error.as_mut() } {
        error.clear();
    }
}

/// An acquire that may wait: for a moment, before it takes the slow path.
///
/// # Safety
/// The pointers are NULL or valid.
#[cold]
#[inline(never)]
unsafe fn acquire_waiting<A: FnOnce(&Pool) -> Result<Lease>>(
    pool: *mut phantomdb_pool,
    connection: *mut *mut phantomdb_connection,
    error: *mut phantomdb_error,
    prepare: impl FnOnce() -> Result<A>,
) -> i32 {
    let soon = if connection.is_null() { None } else { leases::acquire_soon(pool) };
    // SAFETY: `connection` is NULL or writable, and not NULL if there is something to write, and `error`
    // is NULL or writable: this function asks the same of its caller.
    unsafe {
        match soon {
            Some(acquired) => {
                *connection = acquired;
                clear_error(error);
                phantomdb_code::PHANTOMDB_OK as i32
            }
            None => acquire(pool, connection, error, prepare),
        }
    }
}

/// The slow path of an acquire. `prepare` checks the arguments, before anything happens.
///
/// # Safety
/// The pointers are NULL or valid.
#[cold]
#[inline(never)]
unsafe fn acquire<A: FnOnce(&Pool) -> Result<Lease>>(
    pool: *mut phantomdb_pool,
    connection: *mut *mut phantomdb_connection,
    error: *mut phantomdb_error,
    prepare: impl FnOnce() -> Result<A>,
) -> i32 {
    // SAFETY: `connection` and `error` are NULL or writable: this function asks the same of its
    // caller.
    unsafe {
        call_at_once(error, || {
            let output = output("connection", connection)?;
            *output = ptr::null_mut();
            let acquire = prepare()?;
            let _uncancelled = Uncancelled::begin();
            let async_pool = pool::find(pool)?;
            *output = hand_out(number(pool), acquire(async_pool.pool())?)?;
            Ok(())
        })
    }
}

/// Gives a lease of the pool with this number its handle.
pub(super) fn hand_out(pool: usize, lease: Lease) -> Result<*mut phantomdb_connection> {
    Ok(leases::hand_out(pool, lease))
}

/// Gives a connection back. Never waits, never uses the network, and never fails for a connection
/// that you hold.
///
/// `connection` is gone afterwards, whatever this returns. A transaction that is still open on it
/// is rolled back before anybody else gets it. If another thread has a request in flight on it,
/// the request goes on, and the connection is back when that is done. A request that you drive
/// step by step (`phantomdb_step`) is abandoned.
///
/// Errors: `PHANTOMDB_ERR_INVALID_HANDLE` if the connection has already been released or belongs
/// to another pool; `PHANTOMDB_ERR_CLOSED` if the pool was closed meanwhile. The pool has then
/// taken the connection back itself, and nothing is left to do.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_pool_release(
    pool: *mut phantomdb_pool,
    connection: *mut phantomdb_connection,
    error: *mut phantomdb_error,
) -> i32 {
    // SAFETY: C promises that `error` is NULL or writable.
    unsafe {
        if leases::release_ready(pool, connection) {
            clear_error(error);
            return phantomdb_code::PHANTOMDB_OK as i32;
        }
        release(pool, connection, error)
    }
}

/// The slow path of a release.
///
/// # Safety
/// `error` is NULL or writable.
#[cold]
#[inline(never)]
unsafe fn release(
    pool: *mut phantomdb_pool,
    connection: *mut phantomdb_connection,
    error: *mut phantomdb_error,
) -> i32 {
    let take_back = || {
        match take_back(pool, connection)? {
            Taken::Lease(entry) => end(entry),
            Taken::Bare => {}
        }
        Ok(())
    };
    // SAFETY: `error` is NULL or writable: this function asks the same of its caller.
    unsafe { call_at_once(error, take_back) }
}

/// Gives a connection back to be closed instead of reused. Otherwise like
/// `phantomdb_pool_release`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_pool_discard(
    pool: *mut phantomdb_pool,
    connection: *mut phantomdb_connection,
    error: *mut phantomdb_error,
) -> i32 {
    // SAFETY: C promises that `error` is NULL or writable.
    unsafe {
        call(error, || {
            // Held, it is taken as such.
            let _held = leases::find(connection);
            drop(_held);
            if let Taken::Lease(entry) = take_back(pool, connection)? {
                entry.queue.lease().mark_discarded();
                end(entry);
            }
            Ok(())
        })
    }
}

fn take_back(pool: *mut phantomdb_pool, connection: *mut phantomdb_connection) -> Result<Taken> {
    match leases::take(number(pool), connection) {
        Ok(Taken::Lease(entry)) if entry.queue.lease().is_of_closed_pool() => Err(Error::closed()),
        Ok(taken) => Ok(taken),
        Err(missing @ Missing::Other(_)) => Err(error_of(missing, connection)),
        Err(missing) => {
            pool::find(pool)?;
            Err(error_of(missing, connection))
        }
    }
}

/// Gives back a connection that nobody has taken.
pub(super) fn release_untaken(connection: *mut phantomdb_connection) {
    if let Some(pool) = pool_of(connection) {
        // It fails only if the pool is closed, and has it back already.
        if let Ok(Taken::Lease(entry)) = take_back(pool, connection) {
            end(entry);
        }
    }
}

/// The pool that a connection is of.
pub(super) fn pool_of(connection: *mut phantomdb_connection) -> Option<*mut phantomdb_pool> {
    leases::pool_of(connection).map(ptr::without_provenance_mut)
}

/// Ends a lease, unless requests on it are under way still, which then do.
fn end(entry: LeaseEntry) {
    let (slot, _) = entry.queue.lease().slot();
    if let Some(spare) = entry.queue.emptied() {
        leases::keep_spare(slot, spare);
    }
}

/// Counts an acquire that was cancelled before it began, so that the statistics have each acquire
/// once. It asks for no connection. For bindings to languages in which a call can be cancelled
/// before it is made.
///
/// It always fails: with `PHANTOMDB_ERR_CANCELLED`, or with `PHANTOMDB_ERR_INVALID_HANDLE` or
/// `PHANTOMDB_ERR_CLOSED` because of the pool.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_pool_acquire_cancelled(
    pool: *mut phantomdb_pool,
    error: *mut phantomdb_error,
) -> i32 {
    // SAFETY: C promises that `error` is NULL or writable.
    unsafe { call(error, || Err(pool::find(pool)?.pool().acquire_cancelled())) }
}

/// Names the user of the connection for the report of a leak (`leak_threshold_ms`): the id of a
/// request, for example, or a place in the program. A release clears it.
///
/// Errors: `PHANTOMDB_ERR_INVALID_ARGUMENT`, `PHANTOMDB_ERR_INVALID_HANDLE`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_connection_set_owner(
    connection: *mut phantomdb_connection,
    owner: *const c_char,
    error: *mut phantomdb_error,
) -> i32 {
    // SAFETY: C promises that `owner` is NULL or a text and `error` is NULL or writable.
    unsafe {
        call(error, || {
            find(connection)?.queue.lease().set_owner(text("owner", owner)?);
            Ok(())
        })
    }
}

/// Cuts off the request that another thread has in flight on this connection. It fails with
/// `PHANTOMDB_ERR_CANCELLED`, and it is unknown whether it took effect. Without a request in
/// flight this does nothing. Safe from any thread; returns at once.
///
/// Errors: `PHANTOMDB_ERR_INVALID_HANDLE`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_connection_interrupt(
    connection: *mut phantomdb_connection,
    error: *mut phantomdb_error,
) -> i32 {
    // SAFETY: C promises that `error` is NULL or writable.
    unsafe {
        call(error, || {
            find(connection)?.queue.lease().cancel();
            Ok(())
        })
    }
}

//! `phantomdb_pool`: to make, change and close a pool.

use std::ffi::c_char;
use std::ptr;
use std::sync::Arc;
use std::time::Duration;

use super::call::{call, optional_text, output};
use super::error::phantomdb_error;
use super::fork;
use super::handles::{Lookup, number};
use super::leases;
use super::member::from_ms;
use super::options::{self, phantomdb_pool_options};
use super::pending_close;
use super::tables::{POOLS, invalid_handle, too_many};
use crate::async_pool::CallbackPool;
use crate::config::Secret;
use crate::error::{Error, Result};
use crate::os::threads;

/// A pool of connections to one PhantomDB server. Every call on it is safe from any thread.
///
/// It holds at most `max_connections` connections. Between `min_connections` and that, it grows
/// with demand and shrinks when connections are idle. Callers that find none free wait in a
/// queue, first come, first served, until a connection is released, a new one is open, or their
/// time is over. A connection opens its socket at its first request, so a pool can be created
/// while the server is down. After that the pool opens connections itself, a few at a time.
///
/// When the server can't be reached, callers get `PHANTOMDB_ERR_UNAVAILABLE` with the cause at
/// once instead of waiting, while the pool tries again in the background, less and less often.
/// But as long as connections in use may come back, callers wait for these: a server at its
/// limit, for example, goes on serving everybody on the connections that are open.
///
/// A forked child finds each pool of its parent empty and usable, and the parent is not affected.
/// Connections that the parent had acquired are `PHANTOMDB_ERR_INVALID_HANDLE` in the child.
///
/// Create it with `phantomdb_pool_create`, close it with `phantomdb_pool_close`. The handle of a
/// closed pool stays harmless forever: calls with it return `PHANTOMDB_ERR_CLOSED`.
pub struct phantomdb_pool {
    _private: (),
}

pub(super) fn find(pool: *mut phantomdb_pool) -> Result<Arc<CallbackPool>> {
    match POOLS.find(pool) {
        Lookup::Live(pool) => Ok(pool),
        Lookup::Stale => Err(Error::closed()),
        Lookup::Unknown => Err(unknown(pool)),
    }
}

fn unknown(pool: *mut phantomdb_pool) -> Error {
    invalid_handle("pool", pool, "was never valid")
}

/// Creates a pool. `options` may be NULL: a pool of 2 to 10 connections to http://localhost:8080.
///
/// It opens no connection unless `preconnect` is set, so the server need not be running yet. On
/// success `*pool` is the new pool, to be closed with `phantomdb_pool_close`; on failure it is
/// NULL.
///
/// Errors: `PHANTOMDB_ERR_INVALID_ARGUMENT` or `PHANTOMDB_ERR_TLS`; the message begins with the
/// name of the option that can't be used.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_pool_create(
    options: *const phantomdb_pool_options,
    pool: *mut *mut phantomdb_pool,
    error: *mut phantomdb_error,
) -> i32 {
    // SAFETY: C promises that `pool` and `error` are NULL or writable, and `options` is NULL or
    // readable.
    unsafe {
        call(error, || {
            let output = output("pool", pool)?;
            *output = ptr::null_mut();
            let made = CallbackPool::new(options::read(options)?)?;
            fork::hold_during_fork();
            let stack = made.pool().stack();
            *output = POOLS.insert(Arc::new(made)).ok_or_else(|| too_many("pools"))?;
            leases::bind(*output, stack);
            Ok(())
        })
    }
}

/// Retires every connection that is open now: idle ones at once, others when they are released.
/// Callers notice nothing. Use it when the server has moved or certificates have changed: new
/// connections look the server's name up again and read the TLS files again. A server that could
/// not be reached is tried at once.
///
/// Errors: `PHANTOMDB_ERR_INVALID_HANDLE`, `PHANTOMDB_ERR_CLOSED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_pool_reset(
    pool: *mut phantomdb_pool,
    error: *mut phantomdb_error,
) -> i32 {
    // SAFETY: C promises that `error` is NULL or writable.
    unsafe {
        call(error, || {
            find(pool)?.pool().reset();
            Ok(())
        })
    }
}

/// Changes `min_connections` and `max_connections` while the pool is in use. Connections above a
/// smaller maximum are closed: idle ones at once, others when they are released.
///
/// Errors: `PHANTOMDB_ERR_INVALID_ARGUMENT` (nothing changes then),
/// `PHANTOMDB_ERR_INVALID_HANDLE`, `PHANTOMDB_ERR_CLOSED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_pool_resize(
    pool: *mut phantomdb_pool,
    min_connections: u32,
    max_connections: u32,
    error: *mut phantomdb_error,
) -> i32 {
    // SAFETY: C promises that `error` is NULL or writable.
    unsafe { call(error, || find(pool)?.pool().resize(min_connections, max_connections)) }
}

/// Changes the bearer token; NULL sends none. Every request that starts afterwards uses it.
///
/// Errors: `PHANTOMDB_ERR_INVALID_ARGUMENT` if an HTTP header can't carry the token (the old one
/// stays then), `PHANTOMDB_ERR_INVALID_HANDLE`, `PHANTOMDB_ERR_CLOSED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_pool_set_token(
    pool: *mut phantomdb_pool,
    token: *const c_char,
    error: *mut phantomdb_error,
) -> i32 {
    // SAFETY: C promises that `token` is NULL or a text and `error` is NULL or writable.
    unsafe {
        call(error, || {
            let async_pool = find(pool)?;
            async_pool.pool().set_token(optional_text("token", token)?.map(Secret::new))
        })
    }
}

/// Closes the pool, and returns when nothing of it is left: no socket and no thread.
///
/// Callers that wait for a connection get `PHANTOMDB_ERR_CLOSED` at once. Connections in use have
/// `close_timeout_ms` to be released. Then they are cut off: a request in flight on them fails
/// with `PHANTOMDB_ERR_CLOSED`, and so does everything that is tried on them later. Release them
/// as usual.
///
/// A pool may be closed twice, and from two threads at once. When this returns, the callbacks of
/// `phantomdb_pool_close_async` have run, too.
///
/// Errors: `PHANTOMDB_ERR_INVALID_HANDLE`; `PHANTOMDB_ERR_WOULD_DEADLOCK` in a callback of the
/// library, where it closes nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_pool_close(
    pool: *mut phantomdb_pool,
    error: *mut phantomdb_error,
) -> i32 {
    // SAFETY: C promises that `error` is NULL or writable.
    unsafe { call(error, || close_and_wait(pool, None)) }
}

/// Like `phantomdb_pool_close`, but connections in use have `timeout_ms` milliseconds to be
/// released instead of `close_timeout_ms`; with 0 they are cut off at once. A close that is
/// waiting already, in another thread, ends as early.
///
/// Errors: like `phantomdb_pool_close`; `PHANTOMDB_ERR_INVALID_ARGUMENT` if the time is negative.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_pool_close_timeout(
    pool: *mut phantomdb_pool,
    timeout_ms: i64,
    error: *mut phantomdb_error,
) -> i32 {
    // SAFETY: C promises that `error` is NULL or writable.
    unsafe { call(error, || close_and_wait(pool, Some(from_ms("timeout_ms", timeout_ms)?))) }
}

/// Returns when also the callbacks of closes that do not wait have run.
fn close_and_wait(pool: *mut phantomdb_pool, timeout: Option<Duration>) -> Result<()> {
    close(pool, timeout)?;
    // One of those may be what calls this.
    if !threads::is_in_callback() {
        pending_close::wait(number(pool));
    }
    Ok(())
}

/// Closes within `timeout`, or else the pool's own.
pub(super) fn close(pool: *mut phantomdb_pool, timeout: Option<Duration>) -> Result<()> {
    let found = match POOLS.find(pool) {
        Lookup::Live(found) => found,
        Lookup::Stale => return Ok(()),
        Lookup::Unknown => return Err(unknown(pool)),
    };
    match timeout {
        Some(timeout) => found.close_within(timeout)?,
        None => found.close()?,
    }
    POOLS.remove(pool, |_| true);
    Ok(())
}

//! `phantomdb_pool`: to make, change and close a pool.

use std::ffi::c_char;
use std::ptr;
use std::sync::Arc;
use std::time::Duration;

use super::call::{call, optional_text, output};
use super::error::phantomdb_error;
use super::handles::{Lookup, number};
use super::member::from_ms;
use super::options::{self, phantomdb_pool_options};
use super::pending_close;
use super::tables::{self, POOLS, too_many};
use crate::async_pool::CallbackPool;
use crate::config::Secret;
use crate::error::{Code, Error, Result};
use crate::os::threads;

/// A pool of connections to one PhantomDB server. Every call on it is safe from any thread.
///
/// `phantomdb_pool_create`, `_acquire`, `_acquire_timeout`, `_try_acquire`, `_acquire_cancelled`,
/// `_release`, `_discard`, `_request`, `_query`, `_run`, `_status`, `_status_json`,
/// `_stats_json`, `_metrics`, `_reset`, `_resize`, `_set_token`, `_close`, `_close_timeout`;
/// without waiting `_acquire_async`, `_acquire_direct`, `_run_async`, `_request_async`,
/// `_close_async`.
///
/// A forked child finds each pool of its parent empty and usable, and the parent notices nothing
/// of it. Connections that the parent had acquired are `PHANTOMDB_ERR_INVALID_HANDLE` in the child.
///
/// Made by `phantomdb_pool_create`, ended by `phantomdb_pool_close`. A closed pool's handle stays
/// harmless for ever: calls with it return `PHANTOMDB_ERR_CLOSED`.
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
    let what = if pool.is_null() { "is NULL" } else { "was never valid" };
    Error::new(Code::InvalidHandle, format!("pool: the handle {what}"))
}

/// Makes a pool. `options` may be NULL: a pool of 2 to 10 connections to http://localhost:8080.
///
/// Opens no connection (unless `preconnect` asks for it), so the server need not be there yet.
/// On success `*pool` is the new pool, to be closed by `phantomdb_pool_close`; on failure it is
/// NULL.
///
/// Errors: `PHANTOMDB_ERR_INVALID_ARGUMENT` or `PHANTOMDB_ERR_TLS`, the message beginning with the
/// option that can't be used.
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
            tables::hold_during_fork();
            *output = POOLS.insert(Arc::new(made)).ok_or_else(|| too_many("pools"))?;
            Ok(())
        })
    }
}

/// Retires every connection that is open now: idle ones at once, others when they are released.
/// Callers notice nothing. For a server that moved, or certificates that changed: new connections
/// look its name up again, and the TLS files are read again. A server that can't be reached is
/// tried at once.
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
/// smaller maximum close: idle ones at once, others when they are released.
///
/// Errors: `PHANTOMDB_ERR_INVALID_ARGUMENT` (nothing is changed then),
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
/// Errors: `PHANTOMDB_ERR_INVALID_ARGUMENT` for a token that no HTTP header can carry (the old one
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
/// Whoever waits for a connection gets `PHANTOMDB_ERR_CLOSED` at once. Connections in use have
/// `close_timeout_ms` to be released; then they are cut: a request in flight on them fails with
/// `PHANTOMDB_ERR_CLOSED`, as does everything tried on them later. Release them as usual.
///
/// Closing a pool twice, or from two threads at once, is fine. Callbacks of
/// `phantomdb_pool_close_async` have run, too, when this returns.
///
/// Errors: `PHANTOMDB_ERR_INVALID_HANDLE`; `PHANTOMDB_ERR_WOULD_DEADLOCK` from within a callback of
/// the library, which then closes nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_pool_close(
    pool: *mut phantomdb_pool,
    error: *mut phantomdb_error,
) -> i32 {
    // SAFETY: C promises that `error` is NULL or writable.
    unsafe { call(error, || close_and_wait(pool, None)) }
}

/// As `phantomdb_pool_close`, but connections in use have `timeout_ms` to be released instead of
/// `close_timeout_ms`; with 0 they are cut at once. A close that waits already, in another thread,
/// ends as early.
///
/// Errors: as `phantomdb_pool_close`; `PHANTOMDB_ERR_INVALID_ARGUMENT` for a negative time.
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

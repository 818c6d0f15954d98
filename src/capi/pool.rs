//! `phantomdb_pool` and its calls.

use std::cell::Cell;
use std::ffi::{c_char, c_void};
use std::ptr;
use std::sync::Arc;
use std::time::Duration;

use super::asynchronous::TICKETS;
use super::call::{call, call_at_once, optional_text, output};
use super::connection::{CONNECTIONS, LeaseEntry, phantomdb_connection};
use super::error::phantomdb_error;
use super::farewell;
use super::handles::{Found, Kind, Table, number};
use super::member::from_ms;
use super::operation;
use super::options::{self, phantomdb_pool_options};
use super::result::{self, RESULTS, phantomdb_result};
use super::status::phantomdb_status;
use super::structs;
use crate::async_pool::{AsyncPool, ConnectionQueue};
use crate::client::{Operation, Response};
use crate::config::Secret;
use crate::error::{Code, Error, Result};
use crate::os::fork;
use crate::os::threads::{self, Uncancelled};
use crate::pool::{Lease, Pool};

static POOLS: Table<Arc<AsyncPool>> = Table::new(Kind::Pool);

/// A pool of connections to one PhantomDB server. Every call on it is safe from any thread.
///
/// `phantomdb_pool_create`, `_acquire`, `_acquire_timeout`, `_try_acquire`, `_acquire_cancelled`, `_release`, `_discard`,
/// `_request`, `_query`, `_run`, `_status`, `_status_json`, `_stats_json`, `_metrics`, `_reset`,
/// `_resize`, `_set_token`, `_close`, `_close_timeout`; without waiting `_acquire_async`,
/// `_acquire_direct`, `_run_async`, `_request_async`, `_close_async`.
///
/// A forked child finds each pool of its parent empty and usable, and the parent notices nothing
/// of it. Connections that the parent had acquired are `PHANTOMDB_ERR_INVALID_HANDLE` in the child.
///
/// Made by `phantomdb_pool_create`, ended by `phantomdb_pool_close`. A closed pool's handle stays
/// harmless for ever: calls with it return `PHANTOMDB_ERR_CLOSED`.
pub struct phantomdb_pool {
    _private: (),
}

thread_local! {
    /// What is left of the last lease that ended on this thread, so that the next needs no memory.
    static SPARE: Cell<Option<Arc<ConnectionQueue>>> = const { Cell::new(None) };
}

fn hold_tables() -> Box<dyn FnOnce(fork::Side)> {
    let held = (POOLS.hold(), CONNECTIONS.hold(), RESULTS.hold(), TICKETS.hold());
    let farewells = farewell::hold();
    Box::new(move |side| {
        farewells(side);
        drop(held);
    })
}

pub(super) fn find(pool: *mut phantomdb_pool) -> Result<Arc<AsyncPool>> {
    match POOLS.find(pool) {
        Found::Live(pool) => Ok(pool),
        Found::Gone => Err(Error::closed()),
        Found::Unknown => Err(unknown(pool)),
    }
}

fn unknown(pool: *mut phantomdb_pool) -> Error {
    let what = if pool.is_null() { "is NULL" } else { "is not a pool of this library" };
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
    // SAFETY: the caller promises that all pointers are NULL or valid.
    unsafe {
        call(error, || {
            let output = output("pool", pool)?;
            *output = ptr::null_mut();
            let made = AsyncPool::new(options::read(options)?)?;
            fork::hold_during_fork(&POOLS, hold_tables);
            *output = POOLS.insert(Arc::new(made)).ok_or_else(|| too_many("pools"))?;
            Ok(())
        })
    }
}

/// Waits for a connection, at most `acquire_timeout_ms`.
///
/// On success `*connection` is yours until `phantomdb_pool_release` or `phantomdb_pool_discard`; on
/// failure it is NULL. Callers are served in the order in which they came.
///
/// Errors: `PHANTOMDB_ERR_TIMEOUT`, `PHANTOMDB_ERR_CLOSED`, `PHANTOMDB_ERR_OVERLOADED`; when the server
/// can't be reached `PHANTOMDB_ERR_UNAVAILABLE` (or `PHANTOMDB_ERR_TLS`, `PHANTOMDB_ERR_UNAUTHORIZED`) at
/// once, with the root cause and `retry_after_ms`; but as long as a connection in use may come back, the
/// call waits for that. A time-out says what the pool was doing: whom it was dialling, since when.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_pool_acquire(
    pool: *mut phantomdb_pool,
    connection: *mut *mut phantomdb_connection,
    error: *mut phantomdb_error,
) -> i32 {
    // SAFETY: passed on to the caller.
    unsafe { acquire(pool, connection, error, || Ok(Pool::acquire)) }
}

/// As `phantomdb_pool_acquire`, but waits at most `timeout_ms` milliseconds. With 0 it takes a
/// connection only if one is free at once; a negative time is refused.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_pool_acquire_timeout(
    pool: *mut phantomdb_pool,
    timeout_ms: i64,
    connection: *mut *mut phantomdb_connection,
    error: *mut phantomdb_error,
) -> i32 {
    let prepare = || {
        let timeout = from_ms("timeout_ms", timeout_ms)?;
        Ok(move |pool: &Pool| pool.acquire_timeout(timeout))
    };
    // SAFETY: passed on to the caller.
    unsafe { acquire(pool, connection, error, prepare) }
}

/// Takes a connection if one is free. Never waits and never uses the network.
///
/// Errors: `PHANTOMDB_ERR_WOULD_BLOCK` if none is free; else as `phantomdb_pool_acquire`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_pool_try_acquire(
    pool: *mut phantomdb_pool,
    connection: *mut *mut phantomdb_connection,
    error: *mut phantomdb_error,
) -> i32 {
    // SAFETY: passed on to the caller.
    unsafe { acquire(pool, connection, error, || Ok(Pool::try_acquire)) }
}

/// Counts an acquire whose caller had given up before it began, so that the statistics have each
/// acquire once. For bindings to languages in which a call may be cancelled before it is made. No connection is
/// asked for.
///
/// It always fails: with `PHANTOMDB_ERR_CANCELLED`, or with `PHANTOMDB_ERR_INVALID_HANDLE` or
/// `PHANTOMDB_ERR_CLOSED` for the pool.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_pool_acquire_cancelled(
    pool: *mut phantomdb_pool,
    error: *mut phantomdb_error,
) -> i32 {
    // SAFETY: the caller promises that `error` is NULL or valid.
    unsafe { call(error, || Err(find(pool)?.pool().acquire_cancelled())) }
}

/// `prepare` looks at the arguments, before anything happens.
///
/// # Safety
/// The pointers are NULL or valid.
unsafe fn acquire<A: FnOnce(&Pool) -> Result<Lease>>(
    pool: *mut phantomdb_pool,
    connection: *mut *mut phantomdb_connection,
    error: *mut phantomdb_error,
    prepare: impl FnOnce() -> Result<A>,
) -> i32 {
    // SAFETY: the caller promises that all pointers are NULL or valid.
    unsafe {
        call_at_once(error, || {
            let output = output("connection", connection)?;
            *output = ptr::null_mut();
            let acquire = prepare()?;
            if let Some(ready) = ready(pool) {
                *output = ready?;
                return Ok(());
            }
            let _uncancelled = Uncancelled::begin();
            *output = hand_out(number(pool), acquire(find(pool)?.pool())?)?;
            Ok(())
        })
    }
}

/// The handle of a connection that is ready, if there is one.
pub(super) fn ready(pool: *mut phantomdb_pool) -> Option<Result<*mut phantomdb_connection>> {
    let mut lane = spare();
    // Without a hold of one's own on the pool, since it takes no time; and into the place where the
    // lease stays, since to move it there takes as long as to acquire it.
    let is_acquired = POOLS.with(pool, |async_pool| lane.acquire_ready(async_pool.pool()));
    if is_acquired == Some(true) {
        Some(name(number(pool), lane))
    } else {
        keep_spare(lane);
        None
    }
}

/// Gives a lease of the pool with this number its handle.
pub(super) fn hand_out(pool: usize, lease: Lease) -> Result<*mut phantomdb_connection> {
    name(pool, spare().filled(lease))
}

fn name(pool: usize, lane: Arc<ConnectionQueue>) -> Result<*mut phantomdb_connection> {
    CONNECTIONS.insert(LeaseEntry { pool, lane }).ok_or_else(|| too_many("connections"))
}

fn spare() -> Arc<ConnectionQueue> {
    // A thread that ends may release after its spare is gone.
    SPARE.try_with(Cell::take).ok().flatten().unwrap_or_default()
}

fn keep_spare(lane: Arc<ConnectionQueue>) {
    let _ = SPARE.try_with(|place| place.set(Some(lane)));
}

/// Gives a connection back. Never waits and never uses the network; it can't fail for a
/// connection that you have.
///
/// `connection` is gone afterwards, whatever this returns. A transaction that is still open on
/// it is rolled back before anybody else gets it. If another thread has a request in flight
/// on it, that request goes on, and the connection is back when it is done. A request that you carry
/// on yourself (`phantomdb_step`) is given up.
///
/// Errors: `PHANTOMDB_ERR_INVALID_HANDLE` for a connection that was released already or is not of
/// this pool; `PHANTOMDB_ERR_CLOSED` if the pool was closed meanwhile, which then took the
/// connection back itself: nothing is left to do.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_pool_release(
    pool: *mut phantomdb_pool,
    connection: *mut phantomdb_connection,
    error: *mut phantomdb_error,
) -> i32 {
    // SAFETY: the caller promises that `error` is NULL or valid.
    unsafe { call_at_once(error, || take_back(pool, connection).map(end)) }
}

/// Gives a connection back to be closed instead of reused. As `phantomdb_pool_release` in all else.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_pool_discard(
    pool: *mut phantomdb_pool,
    connection: *mut phantomdb_connection,
    error: *mut phantomdb_error,
) -> i32 {
    // SAFETY: the caller promises that `error` is NULL or valid.
    unsafe {
        call(error, || {
            let entry = take_back(pool, connection)?;
            entry.lane.lease().mark_discarded();
            end(entry);
            Ok(())
        })
    }
}

fn take_back(
    pool: *mut phantomdb_pool,
    connection: *mut phantomdb_connection,
) -> Result<LeaseEntry> {
    let is_of_this_pool = |entry: &LeaseEntry| entry.pool == number(pool);
    let Some(entry) = CONNECTIONS.remove(connection, is_of_this_pool) else {
        find(pool)?;
        return Err(match CONNECTIONS.find(connection) {
            Found::Live(_) => Error::new(
                Code::InvalidHandle,
                "connection: the handle belongs to another pool; release it there",
            ),
            _ => super::connection::unknown(connection),
        });
    };
    let lease = entry.lane.lease();
    lease.check_process()?;
    if lease.is_of_closed_pool() { Err(Error::closed()) } else { Ok(entry) }
}

/// Ends a lease, unless requests on it are under way still, which then do.
fn end(entry: LeaseEntry) {
    if let Some(spare) = entry.lane.emptied() {
        keep_spare(spare);
    }
}

/// Acquires a connection, sends one request on it and gives it back.
///
/// `method` is GET, POST, PUT, DELETE ...; `path` begins with "/" and is sent as it is, so
/// whatever needs it must be percent-encoded; `body` is JSON, or NULL with length 0. On success
/// `*result` is the response, to be freed with `phantomdb_result_free`; on failure it is NULL.
/// `result` itself may be NULL if the response is of no interest.
///
/// Errors: as `phantomdb_pool_acquire` and `phantomdb_connection_request`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_pool_request(
    pool: *mut phantomdb_pool,
    method: *const c_char,
    path: *const c_char,
    body: *const c_void,
    body_length: u64,
    result: *mut *mut phantomdb_result,
    error: *mut phantomdb_error,
) -> i32 {
    // SAFETY: the caller promises what the arguments need.
    unsafe {
        call(error, || {
            result::response(result, || {
                let async_pool = find(pool)?;
                async_pool.pool().request(&operation::raw(method, path, body, body_length)?)
            })
        })
    }
}

/// Acquires a connection, runs one SQL statement on it and gives it back.
///
/// `parameters` is a JSON array, one value for each `?` of the statement, or NULL. On success
/// `*result` is the response, to be freed with `phantomdb_result_free`; on failure it is NULL.
/// `result` itself may be NULL.
///
/// Errors: as `phantomdb_pool_acquire` and `phantomdb_connection_execute_query`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_pool_query(
    pool: *mut phantomdb_pool,
    database: *const c_char,
    sql: *const c_char,
    parameters: *const c_char,
    result: *mut *mut phantomdb_result,
    error: *mut phantomdb_error,
) -> i32 {
    // SAFETY: the caller promises what the arguments need.
    unsafe {
        call(error, || {
            result::response(result, || {
                let async_pool = find(pool)?;
                let arguments = [database, sql, parameters];
                let request = operation::request(Operation::ExecuteQuery, &arguments)?;
                async_pool.pool().request(&request)
            })
        })
    }
}

/// Acquires a connection, runs one operation on it and gives it back.
///
/// `operation` is one of `phantomdb_operation`, `arguments` its `argument_count` texts. On success
/// `*result` is the response, to be freed with `phantomdb_result_free`; on failure it is NULL.
/// `result` itself may be NULL.
///
/// Errors: as `phantomdb_pool_acquire` and as the function of the operation's name;
/// `PHANTOMDB_ERR_INVALID_ARGUMENT` for an operation of transactions, which need a connection that
/// you have.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_pool_run(
    pool: *mut phantomdb_pool,
    operation: i32,
    arguments: *const *const c_char,
    argument_count: u64,
    result: *mut *mut phantomdb_result,
    error: *mut phantomdb_error,
) -> i32 {
    // SAFETY: the caller promises what the arguments need.
    unsafe {
        call(error, || {
            result::response(result, || {
                let async_pool = find(pool)?;
                let request = operation::for_any_connection(operation, arguments, argument_count)?;
                async_pool.pool().request(&request)
            })
        })
    }
}

/// Fills `status` with the numbers of this moment. Never waits for the network.
///
/// Errors: `PHANTOMDB_ERR_INVALID_HANDLE`, `PHANTOMDB_ERR_CLOSED`, and
/// `PHANTOMDB_ERR_INVALID_ARGUMENT` if `status` was not prepared by `phantomdb_status_init`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_pool_status(
    pool: *mut phantomdb_pool,
    status: *mut phantomdb_status,
    error: *mut phantomdb_error,
) -> i32 {
    // SAFETY: the caller promises that the pointers are NULL or valid, and that `status` has
    // the size that it says.
    unsafe {
        call(error, || {
            let pool = find(pool)?;
            let size = structs::said_size(output("status", status)?);
            structs::fill(status, size, pool.pool().status().into())
        })
    }
}

/// The numbers of this moment as JSON:
/// `{"available":2,"used":0,"pending":0,"total":2,"min":2,"max":10}`.
///
/// On success `*result` holds the text, to be freed with `phantomdb_result_free`.
///
/// Errors: `PHANTOMDB_ERR_INVALID_HANDLE`, `PHANTOMDB_ERR_CLOSED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_pool_status_json(
    pool: *mut phantomdb_pool,
    result: *mut *mut phantomdb_result,
    error: *mut phantomdb_error,
) -> i32 {
    // SAFETY: the caller promises that the pointers are NULL or valid.
    unsafe {
        call(error, || {
            result::response(result, || {
                Ok(Response::from_text(find(pool)?.pool().status().to_json()))
            })
        })
    }
}

/// What the pool has done so far, as JSON: acquires by outcome, histograms of how long they and
/// the use of connections took, connections created and closed by reason, how long the caller has
/// waited that waits longest. Reading it holds up nobody.
///
/// On success `*result` holds the text, to be freed with `phantomdb_result_free`.
///
/// Errors: `PHANTOMDB_ERR_INVALID_HANDLE`, `PHANTOMDB_ERR_CLOSED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_pool_stats_json(
    pool: *mut phantomdb_pool,
    result: *mut *mut phantomdb_result,
    error: *mut phantomdb_error,
) -> i32 {
    // SAFETY: the caller promises that the pointers are NULL or valid.
    unsafe {
        call(error, || {
            result::response(result, || Ok(Response::from_text(find(pool)?.pool().stats_json())))
        })
    }
}

/// The statistics and the status as OpenMetrics text, for Prometheus and its like.
///
/// On success `*result` holds the text, to be freed with `phantomdb_result_free`.
///
/// Errors: `PHANTOMDB_ERR_INVALID_HANDLE`, `PHANTOMDB_ERR_CLOSED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_pool_metrics(
    pool: *mut phantomdb_pool,
    result: *mut *mut phantomdb_result,
    error: *mut phantomdb_error,
) -> i32 {
    // SAFETY: the caller promises that the pointers are NULL or valid.
    unsafe {
        call(error, || {
            result::response(result, || Ok(Response::from_text(find(pool)?.pool().metrics())))
        })
    }
}

/// Retires every connection that is open now: idle ones at once, others when they are released.
/// Callers notice nothing. For a server that moved, or certificates that changed: new connections
/// look its name up again, and the TLS files are read again. A server that can't be reached is tried at
/// once.
///
/// Errors: `PHANTOMDB_ERR_INVALID_HANDLE`, `PHANTOMDB_ERR_CLOSED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_pool_reset(
    pool: *mut phantomdb_pool,
    error: *mut phantomdb_error,
) -> i32 {
    // SAFETY: the caller promises that `error` is NULL or valid.
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
    // SAFETY: the caller promises that `error` is NULL or valid.
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
    // SAFETY: the caller promises what the arguments need.
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
/// Closing a pool twice, or from two threads at once, is fine. Callbacks of `phantomdb_pool_close_async`
/// have run, too, when this returns.
///
/// Errors: `PHANTOMDB_ERR_INVALID_HANDLE`; `PHANTOMDB_ERR_WOULD_DEADLOCK` from within a callback of
/// the library, which then closes nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_pool_close(
    pool: *mut phantomdb_pool,
    error: *mut phantomdb_error,
) -> i32 {
    // SAFETY: the caller promises that `error` is NULL or valid.
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
    // SAFETY: the caller promises that `error` is NULL or valid.
    unsafe { call(error, || close_and_wait(pool, Some(from_ms("timeout_ms", timeout_ms)?))) }
}

/// Returns when also the callbacks of closes that do not wait have run.
fn close_and_wait(pool: *mut phantomdb_pool, timeout: Option<Duration>) -> Result<()> {
    close(pool, timeout)?;
    // One of those may be what calls this.
    if !threads::is_in_callback() {
        farewell::wait(number(pool));
    }
    Ok(())
}

/// Closes within `timeout`, or else the pool's own.
pub(super) fn close(pool: *mut phantomdb_pool, timeout: Option<Duration>) -> Result<()> {
    let found = match POOLS.find(pool) {
        Found::Live(found) => found,
        Found::Gone => return Ok(()),
        Found::Unknown => return Err(unknown(pool)),
    };
    match timeout {
        Some(timeout) => found.close_within(timeout)?,
        None => found.close()?,
    }
    POOLS.remove(pool, |_| true);
    Ok(())
}

/// There are more handles than a handle can number.
pub(super) fn too_many(what: &str) -> Error {
    Error::new(Code::Overloaded, format!("More {what} are open than handles can name"))
}

//! `phantomdb_status`, and what a pool counts.

use std::mem::offset_of;
use std::ptr;

use super::call::{call, call_at_once, output};
use super::error::phantomdb_error;
use super::pool::{find, phantomdb_pool};
use super::result::{self, phantomdb_result};
use super::structs::{self, Sized32};
use crate::client::Response;
use crate::pool::{Pool, Status};

/// The numbers of a pool at one moment. Fill it once with `phantomdb_status_init`, then pass it
/// to `phantomdb_pool_status` as often as you like.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct phantomdb_status {
    /// Set by `phantomdb_status_init`; leave it alone.
    pub struct_size: u32,
    /// Connections that can be handed out at once.
    pub available: u32,
    /// Connections that callers have acquired.
    pub used: u32,
    /// Callers that are waiting for a connection.
    pub pending: u32,
    /// All connections: available, used, and those being opened, checked, cleaned or closed.
    pub total: u32,
    /// The option `min_connections`.
    pub min: u32,
    /// The option `max_connections`.
    pub max: u32,
}

// SAFETY: `repr(C)`, begins with a u32, integers only.
unsafe impl Sized32 for phantomdb_status {
    const FIRST_SIZE: usize = offset_of!(phantomdb_status, max) + size_of::<u32>();
    const NAME: &'static str = "status";
    const INIT: &'static str = "phantomdb_status_init";
}

impl From<Status> for phantomdb_status {
    fn from(status: Status) -> Self {
        phantomdb_status {
            struct_size: size_of::<phantomdb_status>() as u32,
            available: status.available,
            used: status.used,
            pending: status.pending,
            total: status.total,
            min: status.min,
            max: status.max,
        }
    }
}

/// Prepares `status` for `phantomdb_pool_status`. Pass `sizeof(phantomdb_status)` as
/// `struct_size`.
///
/// Errors: `PHANTOMDB_ERR_INVALID_ARGUMENT` if `status` is NULL or no version has this size;
/// nothing is written then.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_status_init(
    status: *mut phantomdb_status,
    struct_size: u32,
) -> i32 {
    // SAFETY: C promises that `status` has `struct_size` bytes; there is no error struct.
    unsafe {
        call_at_once(ptr::null_mut(), || {
            structs::fill(status, struct_size, phantomdb_status::default())
        })
    }
}

/// Fills `status` with the current numbers. Never waits for the network.
///
/// Errors: `PHANTOMDB_ERR_INVALID_HANDLE`, `PHANTOMDB_ERR_CLOSED`;
/// `PHANTOMDB_ERR_INVALID_ARGUMENT` if `status` was not prepared by `phantomdb_status_init`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_pool_status(
    pool: *mut phantomdb_pool,
    status: *mut phantomdb_status,
    error: *mut phantomdb_error,
) -> i32 {
    // SAFETY: C promises that `status` has as many bytes as its first member says, and that `error`
    // is NULL or writable.
    unsafe {
        call(error, || {
            let pool = find(pool)?;
            let size = structs::said_size(output("status", status)?);
            structs::fill(status, size, pool.pool().status().into())
        })
    }
}

/// The current numbers as JSON:
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
    // SAFETY: C promises that `result` and `error` are NULL or writable.
    unsafe { text(pool, result, error, |pool| pool.status().to_json()) }
}

/// What the pool has done so far, as JSON: acquires by outcome, histograms of how long acquiring
/// and using connections took, connections created and closed by reason, and how long the oldest
/// waiter has waited. Reading it delays nobody.
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
    // SAFETY: C promises that `result` and `error` are NULL or writable.
    unsafe { text(pool, result, error, Pool::stats_json) }
}

/// The statistics and the status as OpenMetrics text, for Prometheus and similar tools.
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
    // SAFETY: C promises that `result` and `error` are NULL or writable.
    unsafe { text(pool, result, error, Pool::metrics) }
}

/// Gives the caller a text about a pool.
///
/// # Safety
/// `result` and `error` are NULL or valid.
unsafe fn text(
    pool: *mut phantomdb_pool,
    result: *mut *mut phantomdb_result,
    error: *mut phantomdb_error,
    write: impl FnOnce(&Pool) -> String,
) -> i32 {
    // SAFETY: `result` and `error` are NULL or writable: this function asks the same of its caller.
    unsafe {
        call(error, || {
            result::response(result, || Ok(Response::from_text(write(find(pool)?.pool()))))
        })
    }
}

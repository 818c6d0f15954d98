//! `phantomdb_status`.

use std::mem::offset_of;
use std::ptr;

use super::call::call_at_once;
use super::structs::{self, Sized32};
use crate::pool::Status;

/// The numbers of a pool at one moment. Fill it once with `phantomdb_status_init`, then pass it to
/// `phantomdb_pool_status` as often as you like.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct phantomdb_status {
    /// Set by `phantomdb_status_init`; leave it alone.
    pub struct_size: u32,
    /// Connections that can be handed out at once.
    pub available: u32,
    /// Connections that callers have.
    pub used: u32,
    /// Callers that wait for a connection.
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

/// Prepares `status` for `phantomdb_pool_status`. Pass `sizeof(phantomdb_status)` as `struct_size`.
///
/// Errors: `PHANTOMDB_ERR_INVALID_ARGUMENT` for a NULL `status` or a size that no version had;
/// nothing is written then.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_status_init(
    status: *mut phantomdb_status,
    struct_size: u32,
) -> i32 {
    // SAFETY: no error struct; the caller promises that `status` has `struct_size` bytes.
    unsafe {
        call_at_once(ptr::null_mut(), || {
            structs::fill(status, struct_size, phantomdb_status::default())
        })
    }
}

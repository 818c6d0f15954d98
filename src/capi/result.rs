//! `phantomdb_result`: what a response is to its owner.

use std::ptr;

use super::call::call_at_once;
use super::tables::{RESULTS, invalid_handle, too_many};
use crate::client::Response;
use crate::error::{Error, Result};

/// A response. It can be read as JSON text or, without a JSON library, as a table (rows and
/// columns; an object is a table with one row) or as a list of names.
///
/// It is yours until `phantomdb_result_free`, and does not depend on the connection or pool that
/// it came from. Reading it is safe from any thread. Every text that it lends is UTF-8, ends with
/// a NUL, and is valid until the result is freed. A text may contain a NUL itself, so each call
/// that lends one also gives its `length` in bytes, without the last NUL; `length` may be NULL.
///
/// What its calls have in common. Their errors: `PHANTOMDB_ERR_INVALID_HANDLE` if the result has
/// been freed or was never valid; `PHANTOMDB_ERR_INVALID_ARGUMENT` if a row, column or item does
/// not exist; `PHANTOMDB_ERR_TYPE` if a value has another type, or the result is not a table or
/// not a list.
pub struct phantomdb_result {
    _private: (),
}

/// Runs what gives a response and hands it to the caller, who may not want it (`result` NULL).
///
/// # Safety
/// `result` is NULL or may be written to.
pub(super) unsafe fn response(
    result: *mut *mut phantomdb_result,
    run: impl FnOnce() -> Result<Response>,
) -> Result<()> {
    // SAFETY: `result` is NULL or writable: this function asks the same of its caller.
    let mut output = unsafe { result.as_mut() };
    if let Some(output) = &mut output {
        **output = ptr::null_mut();
    }
    let response = run()?;
    if let Some(output) = output {
        *output = hand_out(response)?;
    }
    Ok(())
}

/// Gives a response its handle.
pub(super) fn hand_out(response: Response) -> Result<*mut phantomdb_result> {
    RESULTS.insert(response).ok_or_else(|| too_many("results"))
}

pub(super) fn find(result: *const phantomdb_result) -> Result<Response> {
    RESULTS.with(result.cast_mut(), Response::clone).ok_or_else(|| unknown(result))
}

fn unknown(result: *const phantomdb_result) -> Error {
    invalid_handle("result", result, "has already been freed, or was never valid")
}

/// Frees a result, and with it every text that it lent. For NULL, and for a result that has
/// already been freed, it does nothing and returns `PHANTOMDB_ERR_INVALID_HANDLE`.
#[unsafe(no_mangle)]
pub extern "C" fn phantomdb_result_free(result: *mut phantomdb_result) -> i32 {
    let free = || RESULTS.remove(result, |_| true).map(drop).ok_or_else(|| unknown(result));
    // SAFETY: there is no error struct.
    unsafe { call_at_once(ptr::null_mut(), free) }
}

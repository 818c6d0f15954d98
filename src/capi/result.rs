//! `phantomdb_result`: what a response is to its owner.

use std::ptr;
use std::sync::Arc;

use super::call::call_at_once;
use super::handles::Lookup;
use super::tables::{RESULTS, too_many};
use crate::client::Response;
use crate::error::{Code, Error, Result};

/// A response. It can be read as JSON text, and, without any JSON library, as a table (rows and
/// columns; an object is a table of one row) or as a list of names.
///
/// As text: `phantomdb_result_text`. As a table: `_row_count`, `_column_count`, `_column_name`,
/// `_column_index`, `_cell_kind`, `_cell_is_null`, `_cell_text`, `_cell_int64`, `_cell_double`,
/// `_cell_bool`, `_cell_is_replaced`. As a list: `_item_count`, `_item`. Many values at once:
/// `_read_columns`, `_read_cells`, `_read_items`, `_read_json`. Besides: `_affected_rows`,
/// `_reported_row_count`, `_free`.
///
/// It is yours until `phantomdb_result_free`, and does not depend on the connection or the pool
/// that it came from. Reading it is safe from any thread; every text that it lends is UTF-8,
/// ended by a NUL, and valid until the result is freed. Since a text may hold a NUL itself, each
/// call that lends one also says its `length` in bytes, the last NUL not counted; `length` may be
/// NULL.
///
/// Their errors: `PHANTOMDB_ERR_INVALID_HANDLE` for a result that was freed or never was one;
/// `PHANTOMDB_ERR_INVALID_ARGUMENT` for a row, column or item that does not exist;
/// `PHANTOMDB_ERR_TYPE` for a value of another type, or a result that is no table or no list.
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
    RESULTS.insert(Arc::new(response)).ok_or_else(|| too_many("results"))
}

pub(super) fn find(result: *const phantomdb_result) -> Result<Arc<Response>> {
    match RESULTS.find(result.cast_mut()) {
        Lookup::Live(response) => Ok(response),
        _ => Err(unknown(result)),
    }
}

fn unknown(result: *const phantomdb_result) -> Error {
    let what =
        if result.is_null() { "is NULL" } else { "has already been freed, or was never valid" };
    Error::new(Code::InvalidHandle, format!("result: the handle {what}"))
}

/// Frees a result, and with it every text that it lent. Returns `PHANTOMDB_ERR_INVALID_HANDLE`, and
/// does nothing, for NULL and for a result that was freed already.
#[unsafe(no_mangle)]
pub extern "C" fn phantomdb_result_free(result: *mut phantomdb_result) -> i32 {
    let free = || RESULTS.remove(result, |_| true).map(drop).ok_or_else(|| unknown(result));
    // SAFETY: there is no error struct.
    unsafe { call_at_once(ptr::null_mut(), free) }
}

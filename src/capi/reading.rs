//! Reading a result: as text, as a table or as a list.

use std::ffi::c_char;
use std::ptr;

use super::call::{call_at_once, output, text};
use super::error::phantomdb_error;
use super::result::{find, phantomdb_result};
use crate::client::{self, Response};
use crate::error::{Error, Result};

/// The type of a cell; see `phantomdb_result_cell_kind`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum phantomdb_cell_kind {
    /// No value.
    PHANTOMDB_CELL_NULL = 0,
    /// True or false.
    PHANTOMDB_CELL_BOOL = 1,
    /// A number, whole or not.
    PHANTOMDB_CELL_NUMBER = 2,
    /// A text.
    PHANTOMDB_CELL_STRING = 3,
    /// A JSON array or object.
    PHANTOMDB_CELL_JSON = 4,
}

impl From<client::CellKind> for phantomdb_cell_kind {
    fn from(kind: client::CellKind) -> Self {
        match kind {
            client::CellKind::Null => phantomdb_cell_kind::PHANTOMDB_CELL_NULL,
            client::CellKind::Bool => phantomdb_cell_kind::PHANTOMDB_CELL_BOOL,
            client::CellKind::Number => phantomdb_cell_kind::PHANTOMDB_CELL_NUMBER,
            client::CellKind::String => phantomdb_cell_kind::PHANTOMDB_CELL_STRING,
            client::CellKind::Json => phantomdb_cell_kind::PHANTOMDB_CELL_JSON,
        }
    }
}

pub(super) fn index(name: &str, index: u64) -> Result<usize> {
    usize::try_from(index)
        .map_err(|_| Error::invalid_argument(name, format_args!("there is no {name} {index}")))
}

/// Reads one value of a result into `output`.
///
/// # Safety
/// The pointers are NULL or valid.
unsafe fn read<T>(
    result: *const phantomdb_result,
    output_name: &str,
    place: *mut T,
    error: *mut phantomdb_error,
    read: impl FnOnce(&Response) -> Result<T>,
) -> i32 {
    // SAFETY: `place` and `error` are NULL or writable: this function asks the same of its caller.
    unsafe {
        call_at_once(error, || {
            let output = output(output_name, place)?;
            *output = read(&find(result)?)?;
            Ok(())
        })
    }
}

/// Lends a text of a result. `read` gives it with the NUL that stands behind it.
///
/// # Safety
/// The pointers are NULL or valid.
unsafe fn lend(
    result: *const phantomdb_result,
    text: *mut *const c_char,
    length: *mut u64,
    error: *mut phantomdb_error,
    read: impl FnOnce(&Response) -> Result<*const [u8]>,
) -> i32 {
    // SAFETY: `text`, `length` and `error` are NULL or writable: this function asks the same of its
    // caller.
    unsafe {
        call_at_once(error, || {
            let output = output("text", text)?;
            *output = ptr::null();
            let with_nul = read(&find(result)?)?;
            *output = with_nul.cast();
            if let Some(length) = length.as_mut() {
                *length = with_nul.len() as u64 - 1;
            }
            Ok(())
        })
    }
}

/// The response as JSON: for a select, the array of row objects; for a list, the array of names;
/// for a query, `{"columns":[names],"rows":[[values]],"rowCount":n,"affectedRows":n}` (if the
/// server did not send the numbers, the rows are counted, and `affectedRows` is null); otherwise
/// the whole object that the server sent.
///
/// The text of a table or list is written when it is first asked for. `PHANTOMDB_ERR_TOO_LARGE`
/// if the rows of a query have so few columns in common that the text would be many times what
/// the server sent: read the cells instead.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_result_text(
    result: *const phantomdb_result,
    text: *mut *const c_char,
    length: *mut u64,
    error: *mut phantomdb_error,
) -> i32 {
    // SAFETY: C promises that `text`, `length` and `error` are NULL or writable.
    unsafe {
        lend(result, text, length, error, |response| Ok(response.text_with_nul()?.as_bytes()))
    }
}

/// The number of rows of the table.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_result_row_count(
    result: *const phantomdb_result,
    count: *mut u64,
    error: *mut phantomdb_error,
) -> i32 {
    // SAFETY: C promises that `count` and `error` are NULL or writable.
    unsafe {
        read(result, "count", count, error, |response| Ok(response.table()?.row_count() as u64))
    }
}

/// The number of columns of the table.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_result_column_count(
    result: *const phantomdb_result,
    count: *mut u64,
    error: *mut phantomdb_error,
) -> i32 {
    // SAFETY: C promises that `count` and `error` are NULL or writable.
    unsafe {
        read(result, "count", count, error, |response| Ok(response.table()?.column_count() as u64))
    }
}

/// The name of a column; the first is column 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_result_column_name(
    result: *const phantomdb_result,
    column: u64,
    text: *mut *const c_char,
    length: *mut u64,
    error: *mut phantomdb_error,
) -> i32 {
    let read = |response: &Response| -> Result<*const [u8]> {
        Ok(response.table()?.column_name_with_nul(index("column", column)?)?.as_bytes())
    };
    // SAFETY: C promises that `text`, `length` and `error` are NULL or writable.
    unsafe { lend(result, text, length, error, read) }
}

/// The number of the column with this name; `PHANTOMDB_ERR_INVALID_ARGUMENT` if there is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_result_column_index(
    result: *const phantomdb_result,
    name: *const c_char,
    column: *mut u64,
    error: *mut phantomdb_error,
) -> i32 {
    // SAFETY: C promises that `name` is NULL or a text and `column` and `error` are NULL or
    // writable.
    unsafe {
        read(result, "column", column, error, |response| {
            let name = text("name", name)?;
            Ok(response.table()?.column_index(name)? as u64)
        })
    }
}

/// Reads one cell into `output`.
///
/// # Safety
/// The pointers are NULL or valid.
unsafe fn read_cell<T>(
    result: *const phantomdb_result,
    (row, column): (u64, u64),
    place: *mut T,
    error: *mut phantomdb_error,
    convert: impl FnOnce(&client::Cell) -> Result<T>,
) -> i32 {
    // SAFETY: `place` and `error` are NULL or writable: this function asks the same of its caller.
    unsafe {
        read(result, "value", place, error, |response| {
            convert(&response.table()?.cell(index("row", row)?, index("column", column)?)?)
        })
    }
}

/// The type of a cell: one of `phantomdb_cell_kind`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_result_cell_kind(
    result: *const phantomdb_result,
    row: u64,
    column: u64,
    value: *mut i32,
    error: *mut phantomdb_error,
) -> i32 {
    let kind = |cell: &client::Cell| Ok(phantomdb_cell_kind::from(cell.kind()) as i32);
    // SAFETY: C promises that `value` and `error` are NULL or writable.
    unsafe { read_cell(result, (row, column), value, error, kind) }
}

/// Whether a cell is null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_result_cell_is_null(
    result: *const phantomdb_result,
    row: u64,
    column: u64,
    value: *mut bool,
    error: *mut phantomdb_error,
) -> i32 {
    // SAFETY: C promises that `value` and `error` are NULL or writable.
    unsafe { read_cell(result, (row, column), value, error, |cell| Ok(cell.is_null())) }
}

/// A cell as text: the characters of a string, the JSON of anything else, "" for null
/// (`phantomdb_result_cell_is_null` tells it from an empty string). Works for every cell.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_result_cell_text(
    result: *const phantomdb_result,
    row: u64,
    column: u64,
    text: *mut *const c_char,
    length: *mut u64,
    error: *mut phantomdb_error,
) -> i32 {
    let read = |response: &Response| -> Result<*const [u8]> {
        let cell = response.table()?.cell(index("row", row)?, index("column", column)?)?;
        Ok(cell.text_with_nul().as_bytes())
    };
    // SAFETY: C promises that `text`, `length` and `error` are NULL or writable.
    unsafe { lend(result, text, length, error, read) }
}

/// Whether a cell has unpaired surrogates. JSON can contain half a pair, but UTF-8 can't: each is
/// the character U+FFFD in the text of a string, and an escape in nested JSON.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_result_cell_is_replaced(
    result: *const phantomdb_result,
    row: u64,
    column: u64,
    value: *mut bool,
    error: *mut phantomdb_error,
) -> i32 {
    // SAFETY: C promises that `value` and `error` are NULL or writable.
    unsafe { read_cell(result, (row, column), value, error, |cell| Ok(cell.is_replaced())) }
}

/// A cell as an integer. `PHANTOMDB_ERR_TYPE` if it is not a number that an int64_t holds
/// exactly.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_result_cell_int64(
    result: *const phantomdb_result,
    row: u64,
    column: u64,
    value: *mut i64,
    error: *mut phantomdb_error,
) -> i32 {
    // SAFETY: C promises that `value` and `error` are NULL or writable.
    unsafe { read_cell(result, (row, column), value, error, |cell| cell.int64()) }
}

/// A cell as the nearest floating-point number. `PHANTOMDB_ERR_TYPE` if it is not a number, or is
/// out of range for a double, such as 1e400.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_result_cell_double(
    result: *const phantomdb_result,
    row: u64,
    column: u64,
    value: *mut f64,
    error: *mut phantomdb_error,
) -> i32 {
    // SAFETY: C promises that `value` and `error` are NULL or writable.
    unsafe { read_cell(result, (row, column), value, error, |cell| cell.double()) }
}

/// A cell as true or false. The numbers 1 and 0 count as these, because SQL often has no others.
/// `PHANTOMDB_ERR_TYPE` for anything else.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_result_cell_bool(
    result: *const phantomdb_result,
    row: u64,
    column: u64,
    value: *mut bool,
    error: *mut phantomdb_error,
) -> i32 {
    // SAFETY: C promises that `value` and `error` are NULL or writable.
    unsafe { read_cell(result, (row, column), value, error, |cell| cell.boolean()) }
}

/// The number of items of the list.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_result_item_count(
    result: *const phantomdb_result,
    count: *mut u64,
    error: *mut phantomdb_error,
) -> i32 {
    // SAFETY: C promises that `count` and `error` are NULL or writable.
    unsafe { read(result, "count", count, error, |response| Ok(response.names()?.len() as u64)) }
}

/// An item of the list; the first is item 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_result_item(
    result: *const phantomdb_result,
    item: u64,
    text: *mut *const c_char,
    length: *mut u64,
    error: *mut phantomdb_error,
) -> i32 {
    let read = |response: &Response| -> Result<*const [u8]> {
        let names = response.names()?;
        let name = names.get_with_nul(index("item", item)?).ok_or_else(|| {
            let why = format!("there is no item {item}; the list has {}", names.len());
            Error::invalid_argument("item", why)
        })?;
        Ok(name.as_bytes())
    };
    // SAFETY: C promises that `text`, `length` and `error` are NULL or writable.
    unsafe { lend(result, text, length, error, read) }
}

/// How many rows an update, a delete or another statement changed; -1 if the server did not say,
/// as after an insert, or sent something other than a whole number of at least 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_result_affected_rows(
    result: *const phantomdb_result,
    count: *mut i64,
    error: *mut phantomdb_error,
) -> i32 {
    // SAFETY: C promises that `count` and `error` are NULL or writable.
    unsafe {
        read(result, "count", count, error, |response| Ok(response.affected_rows().unwrap_or(-1)))
    }
}

/// How many rows there are according to the server, which may be more than it sent; if it does
/// not say, or sends something other than a whole number of at least 0, the number of rows that
/// it sent. Every binding calls this `rowCount`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_result_reported_row_count(
    result: *const phantomdb_result,
    count: *mut i64,
    error: *mut phantomdb_error,
) -> i32 {
    // SAFETY: C promises that `count` and `error` are NULL or writable.
    unsafe {
        read(result, "count", count, error, |response| Ok(response.row_count()?.unwrap_or(-1)))
    }
}

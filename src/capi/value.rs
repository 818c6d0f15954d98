//! `phantomdb_value`: many values of a result in one call.

use std::ffi::c_char;
use std::mem::MaybeUninit;
use std::slice;

use super::call::{call, output};
use super::error::phantomdb_error;
use super::reading::index;
use super::result::{find, phantomdb_result};
use crate::client::{Cell, CellKind, JsonString, JsonToken, Number, Response};
use crate::error::{Error, Result};

/// What a `phantomdb_value` is.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum phantomdb_value_kind {
    /// No value.
    PHANTOMDB_VALUE_NULL = 0,
    /// True or false: `integer` is 1 or 0.
    PHANTOMDB_VALUE_BOOL = 1,
    /// A number without a fraction or exponent that an int64_t holds: `integer`.
    PHANTOMDB_VALUE_INTEGER = 2,
    /// A number without a fraction or exponent that no int64_t holds: `text` has its digits.
    PHANTOMDB_VALUE_BIG_INTEGER = 3,
    /// A number with a fraction or exponent: `number` is the nearest double.
    PHANTOMDB_VALUE_DOUBLE = 4,
    /// A number with a fraction or exponent that is out of range for a double, such as 1e400:
    /// `text` has it as it was sent.
    PHANTOMDB_VALUE_BIG_NUMBER = 5,
    /// A string: `text` has its characters.
    PHANTOMDB_VALUE_STRING = 6,
    /// A JSON array or object in a cell: `text` has its JSON, and `phantomdb_result_read_json`
    /// reads it.
    PHANTOMDB_VALUE_JSON = 7,
    /// An array begins. Only `phantomdb_result_read_json` gives this kind and those below.
    PHANTOMDB_VALUE_ARRAY = 8,
    /// An object begins.
    PHANTOMDB_VALUE_OBJECT = 9,
    /// The name of a member of an object, in `text`. Its value comes next.
    PHANTOMDB_VALUE_KEY = 10,
    /// The innermost array or object ends.
    PHANTOMDB_VALUE_END = 11,
}

/// The bits of `phantomdb_value.flags`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum phantomdb_value_flag {
    /// `integer` is exactly the value: for a whole number that an int64_t holds, however it is
    /// written (5, 5.0, 5e0); for true and false, 1 and 0.
    PHANTOMDB_VALUE_HAS_INTEGER = 1,
    /// `number` is the nearest double: for every number that is in range.
    PHANTOMDB_VALUE_HAS_DOUBLE = 2,
    /// A cell, column or item has unpaired surrogates. JSON can contain half a pair, but UTF-8
    /// can't: each is the character U+FFFD in `text`, and an escape in JSON.
    PHANTOMDB_VALUE_REPLACED = 4,
}

/// As both row and column: the whole result; see `phantomdb_result_read_json`.
pub const PHANTOMDB_WHOLE: u64 = u64::MAX;

/// A value of a result, as the functions give it that read many at once.
///
/// These functions fill an array of yours with as many values as there are, or as there is room
/// for, and set `count` to their number. `position` is where they begin, and afterwards where the
/// next call continues: set it to 0 once, then leave it alone. When `count` is 0, there are no
/// more. So a program makes few calls for a result of any size, and gets each value with its
/// type, its text and, if it is a number, its value:
///
///     uint64_t position = 0;
///     uint64_t count = 0;
///     phantomdb_value values[256];
///     int32_t code;
///     do {
///         code = phantomdb_result_read_cells(result, &position, values, 256, &count, &error);
///         for (uint64_t i = 0; i < count; i++) use(&values[i]);
///     } while (code == PHANTOMDB_OK && count > 0);
///
/// `phantomdb_result_read_columns` reads the names of the columns, `phantomdb_result_read_cells`
/// the cells, `phantomdb_result_read_items` the items of a list, and `phantomdb_result_read_json`
/// JSON of any shape.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct phantomdb_value {
    /// One of `phantomdb_value_kind`.
    pub kind: i32,
    /// Bits of `phantomdb_value_flag`.
    pub flags: u32,
    /// The row of a cell; otherwise 0.
    pub row: u64,
    /// The column of a cell, or the number of a column or item; otherwise 0.
    pub column: u64,
    /// With `PHANTOMDB_VALUE_HAS_INTEGER`: the value. Otherwise 0.
    pub integer: i64,
    /// With `PHANTOMDB_VALUE_HAS_DOUBLE`: the nearest double. Otherwise 0.
    pub number: f64,
    /// UTF-8: the characters of a string, "" for null, the JSON of anything else.
    pub text: *const c_char,
    /// The length of `text` in bytes.
    pub length: u64,
}

impl phantomdb_value {
    fn new(kind: phantomdb_value_kind, text: &str) -> phantomdb_value {
        phantomdb_value {
            kind: kind as i32,
            flags: 0,
            row: 0,
            column: 0,
            integer: 0,
            number: 0.0,
            text: text.as_ptr().cast(),
            length: text.len() as u64,
        }
    }

    /// A string; `index` is its number among the columns or items.
    fn string(text_with_nul: &str, index: usize, is_replaced: bool) -> phantomdb_value {
        let text = &text_with_nul[..text_with_nul.len() - 1];
        let mut value = phantomdb_value::new(phantomdb_value_kind::PHANTOMDB_VALUE_STRING, text);
        value.column = index as u64;
        value.note_replaced(is_replaced);
        value
    }

    fn boolean(is_true: bool, text: &str) -> phantomdb_value {
        let mut value = phantomdb_value::new(phantomdb_value_kind::PHANTOMDB_VALUE_BOOL, text);
        value.integer = i64::from(is_true);
        value.flags = phantomdb_value_flag::PHANTOMDB_VALUE_HAS_INTEGER as u32;
        value
    }

    fn number(text: &str) -> phantomdb_value {
        let number = Number::of(text);
        let kind = match (number.is_integer, number.int64, number.double) {
            (true, Some(_), _) => phantomdb_value_kind::PHANTOMDB_VALUE_INTEGER,
            (true, None, _) => phantomdb_value_kind::PHANTOMDB_VALUE_BIG_INTEGER,
            (false, _, Some(_)) => phantomdb_value_kind::PHANTOMDB_VALUE_DOUBLE,
            (false, _, None) => phantomdb_value_kind::PHANTOMDB_VALUE_BIG_NUMBER,
        };
        let mut value = phantomdb_value::new(kind, text);
        if let Some(integer) = number.int64 {
            value.flags |= phantomdb_value_flag::PHANTOMDB_VALUE_HAS_INTEGER as u32;
            value.integer = integer;
        }
        if let Some(double) = number.double {
            value.flags |= phantomdb_value_flag::PHANTOMDB_VALUE_HAS_DOUBLE as u32;
            value.number = double;
        }
        value
    }

    fn cell(cell: &Cell) -> phantomdb_value {
        let text = cell.text();
        let mut value = match cell.kind() {
            CellKind::Null => {
                phantomdb_value::new(phantomdb_value_kind::PHANTOMDB_VALUE_NULL, text)
            }
            CellKind::Bool => phantomdb_value::boolean(text == "true", text),
            CellKind::Number => phantomdb_value::number(text),
            CellKind::String => {
                phantomdb_value::new(phantomdb_value_kind::PHANTOMDB_VALUE_STRING, text)
            }
            CellKind::Json => {
                phantomdb_value::new(phantomdb_value_kind::PHANTOMDB_VALUE_JSON, text)
            }
        };
        value.row = cell.row() as u64;
        value.column = cell.column() as u64;
        value.note_replaced(cell.is_replaced());
        value
    }

    fn note_replaced(&mut self, is_replaced: bool) {
        if is_replaced {
            self.flags |= phantomdb_value_flag::PHANTOMDB_VALUE_REPLACED as u32;
        }
    }
}

/// Where values go: an array of the caller's.
struct Room<'a> {
    places: &'a mut [MaybeUninit<phantomdb_value>],
    filled: usize,
}

impl Room<'_> {
    fn is_full(&self) -> bool {
        self.filled == self.places.len()
    }

    fn put(&mut self, value: phantomdb_value) {
        self.places[self.filled].write(value);
        self.filled += 1;
    }

    /// Puts as many of `count` strings as there is room for, from `position` on, and returns where
    /// to go on. `string` gives one with its NUL, and whether it had unpaired surrogates.
    fn put_strings<'a>(
        &mut self,
        position: u64,
        count: usize,
        string: impl Fn(usize) -> Result<(&'a str, bool)>,
    ) -> Result<u64> {
        let mut next = index("position", position)?;
        while next < count && !self.is_full() {
            let (text, is_replaced) = string(next)?;
            self.put(phantomdb_value::string(text, next, is_replaced));
            next += 1;
        }
        Ok(next as u64)
    }
}

/// Fills an array of values: `fill` is told where to begin, and says where to go on.
///
/// # Safety
/// The pointers are NULL or valid, and `values` has room for `capacity` values.
unsafe fn read_many(
    result: *const phantomdb_result,
    position: *mut u64,
    (values, capacity): (*mut phantomdb_value, u64),
    count: *mut u64,
    error: *mut phantomdb_error,
    fill: impl FnOnce(&Response, u64, &mut Room) -> Result<u64>,
) -> i32 {
    // SAFETY: `position`, `count` and `error` are NULL or writable: this function asks the same of
    // its caller.
    unsafe {
        call(error, || {
            let count = output("count", count)?;
            *count = 0;
            let position = output("position", position)?;
            let places = room("values", values, capacity)?;
            if places.is_empty() {
                return Err(Error::invalid_argument("capacity", "must be at least 1"));
            }
            let mut room = Room { places, filled: 0 };
            *position = fill(&find(result)?, *position, &mut room)?;
            *count = room.filled as u64;
            Ok(())
        })
    }
}

/// An array of the caller's to be filled; NULL with length 0 is none.
///
/// # Safety
/// `array` is NULL or has room for `length` elements, which nobody else uses meanwhile.
unsafe fn room<'a, T>(name: &str, array: *mut T, length: u64) -> Result<&'a mut [MaybeUninit<T>]> {
    let most = isize::MAX as usize / size_of::<T>().max(1);
    let length = usize::try_from(length).ok().filter(|length| *length <= most);
    let length = length.ok_or_else(|| Error::invalid_argument(name, "is too large"))?;
    if array.is_null() {
        if length > 0 {
            return Err(Error::invalid_argument(name, "is NULL"));
        }
        return Ok(&mut []);
    }
    // SAFETY: `array` is not NULL, so it has room for `length` elements that nobody else uses; they
    // are no larger than an object can be.
    Ok(unsafe { slice::from_raw_parts_mut(array.cast(), length) })
}

/// Reads the names of the columns of a table, each once and in order, as
/// `PHANTOMDB_VALUE_STRING`. Two may be equal. Texts end with a NUL and are valid until the
/// result is freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_result_read_columns(
    result: *const phantomdb_result,
    position: *mut u64,
    values: *mut phantomdb_value,
    capacity: u64,
    count: *mut u64,
    error: *mut phantomdb_error,
) -> i32 {
    let fill = |response: &Response, position: u64, room: &mut Room| {
        let table = response.table()?;
        room.put_strings(position, table.column_count(), |column| {
            Ok((table.column_name_with_nul(column)?, table.is_column_name_replaced(column)?))
        })
    };
    // SAFETY: C promises that `values` has room for `capacity` values and `position`, `count` and
    // `error` are NULL or writable.
    unsafe { read_many(result, position, (values, capacity), count, error, fill) }
}

/// Reads the cells of a table that the server sent, row by row, and by column within a row. A
/// null that it sent is among them; a cell that it left out of a row is not
/// (`phantomdb_result_cell_kind` says that it is null). A row may have no cells. Texts end with a
/// NUL and are valid until the result is freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_result_read_cells(
    result: *const phantomdb_result,
    position: *mut u64,
    values: *mut phantomdb_value,
    capacity: u64,
    count: *mut u64,
    error: *mut phantomdb_error,
) -> i32 {
    let fill = |response: &Response, position: u64, room: &mut Room| {
        let mut cells = response.table()?.cells(position)?;
        while !room.is_full() {
            let Some(cell) = cells.next() else { break };
            room.put(phantomdb_value::cell(&cell));
        }
        Ok(cells.position())
    };
    // SAFETY: C promises that `values` has room for `capacity` values and `position`, `count` and
    // `error` are NULL or writable.
    unsafe { read_many(result, position, (values, capacity), count, error, fill) }
}

/// Reads the items of a list, in order, as `PHANTOMDB_VALUE_STRING`. Texts end with a NUL and are
/// valid until the result is freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_result_read_items(
    result: *const phantomdb_result,
    position: *mut u64,
    values: *mut phantomdb_value,
    capacity: u64,
    count: *mut u64,
    error: *mut phantomdb_error,
) -> i32 {
    let fill = |response: &Response, position: u64, room: &mut Room| {
        let names = response.names()?;
        room.put_strings(position, names.len(), |item| {
            Ok((names.get_with_nul(item).unwrap_or("\0"), names.is_replaced(item)))
        })
    };
    // SAFETY: C promises that `values` has room for `capacity` values and `position`, `count` and
    // `error` are NULL or writable.
    unsafe { read_many(result, position, (values, capacity), count, error, fill) }
}

/// Reads JSON of any shape as a sequence of values. An object is `PHANTOMDB_VALUE_OBJECT`, then
/// for each member `PHANTOMDB_VALUE_KEY` and its value, then `PHANTOMDB_VALUE_END`. An array is
/// `PHANTOMDB_VALUE_ARRAY`, its values, then `PHANTOMDB_VALUE_END`. At most 128 arrays and
/// objects are open at a time. If several members have the same name, all are given; the last one
/// counts.
///
/// `row` and `column` name a cell of the kind `PHANTOMDB_VALUE_JSON`. If both are
/// `PHANTOMDB_WHOLE`, the JSON is that of `phantomdb_result_text`. `PHANTOMDB_ERR_TYPE` if it is
/// not JSON.
///
/// Strings with escapes are decoded into `buffer`, which has `buffer_size` bytes. Texts don't end
/// with a NUL; they are valid until the buffer is used again or the result is freed. A buffer as
/// long as the JSON is always large enough. With a smaller one, a call may give fewer values than
/// `capacity`. If not even one string fits, it fails with `PHANTOMDB_ERR_INVALID_ARGUMENT`, and
/// the message and the `length` of the first value say how many bytes that string needs;
/// `position` is unchanged, so the call can be repeated. `buffer` may be NULL if no string has an
/// escape.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_result_read_json(
    result: *const phantomdb_result,
    row: u64,
    column: u64,
    position: *mut u64,
    values: *mut phantomdb_value,
    capacity: u64,
    count: *mut u64,
    buffer: *mut c_char,
    buffer_size: u64,
    error: *mut phantomdb_error,
) -> i32 {
    let fill = |response: &Response, position: u64, room: &mut Room| {
        let cell = match (row, column) {
            (PHANTOMDB_WHOLE, PHANTOMDB_WHOLE) => None,
            (row, column) => Some((index("row", row)?, index("column", column)?)),
        };
        // SAFETY: C promises that `buffer` has room for `buffer_size` bytes, which only this call
        // uses.
        let mut buffer = unsafe { self::room("buffer", buffer.cast::<u8>(), buffer_size) }?;
        let mut tokens = response.tokens(cell, position)?;
        loop {
            let place = tokens.position();
            if room.is_full() {
                return Ok(place);
            }
            let Some(token) = tokens.next() else { return Ok(tokens.position()) };
            match token_value(&token, &mut buffer) {
                Some(value) => room.put(value),
                // The buffer is full: the next call has all of it.
                None if room.filled > 0 => return Ok(place),
                None => return Err(too_small(&token, buffer_size, room)),
            }
        }
    };
    // SAFETY: C promises that `values` has room for `capacity` values, `buffer` has room for
    // `buffer_size` bytes, and `position`, `count` and `error` are NULL or writable.
    unsafe { read_many(result, position, (values, capacity), count, error, fill) }
}

/// `None` if the buffer has no room for its text.
fn token_value(token: &JsonToken, buffer: &mut &mut [MaybeUninit<u8>]) -> Option<phantomdb_value> {
    Some(match token {
        JsonToken::Null => phantomdb_value::new(phantomdb_value_kind::PHANTOMDB_VALUE_NULL, ""),
        JsonToken::Bool(is_true, text) => phantomdb_value::boolean(*is_true, text),
        JsonToken::Number(text) => phantomdb_value::number(text),
        JsonToken::String(string) => {
            decoded(phantomdb_value_kind::PHANTOMDB_VALUE_STRING, string, buffer)?
        }
        JsonToken::Key(name) => decoded(phantomdb_value_kind::PHANTOMDB_VALUE_KEY, name, buffer)?,
        JsonToken::Array => phantomdb_value::new(phantomdb_value_kind::PHANTOMDB_VALUE_ARRAY, ""),
        JsonToken::Object => phantomdb_value::new(phantomdb_value_kind::PHANTOMDB_VALUE_OBJECT, ""),
        JsonToken::End => phantomdb_value::new(phantomdb_value_kind::PHANTOMDB_VALUE_END, ""),
    })
}

fn decoded(
    kind: phantomdb_value_kind,
    string: &JsonString,
    buffer: &mut &mut [MaybeUninit<u8>],
) -> Option<phantomdb_value> {
    if let Some(text) = string.plain() {
        return Some(phantomdb_value::new(kind, text));
    }
    let (length, is_replaced) = string.decode(buffer)?;
    let (used, rest) = std::mem::take(buffer).split_at_mut(length);
    *buffer = rest;
    let mut value = phantomdb_value::new(kind, "");
    value.text = used.as_ptr().cast();
    value.length = length as u64;
    value.note_replaced(is_replaced);
    Some(value)
}

fn too_small(token: &JsonToken, size: u64, room: &mut Room) -> Error {
    let needed = match token {
        JsonToken::String(string) | JsonToken::Key(string) => string.most(),
        _ => 0,
    };
    let mut value = phantomdb_value::new(phantomdb_value_kind::PHANTOMDB_VALUE_STRING, "");
    value.length = needed as u64;
    room.put(value);
    let why = format!("has {size} bytes, but a string needs {needed}");
    Error::invalid_argument("buffer", why)
}

//! One value of a table.

use std::fmt;

use crate::client::response::cell_kind::CellKind;
use crate::client::response::columns::Columns;
use crate::client::response::json::{self, IntegerError};
use crate::client::response::text::Item;
use crate::error::{Code, Error, Result};

/// A number as the server spelled it, and what it fits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Number {
    /// Whether it is spelled as an integer: without a fraction and without an exponent.
    pub is_integer: bool,
    /// Its value, if that is whole and has 64 bits, however it is spelled.
    pub int64: Option<i64>,
    /// The nearest double, unless it lies outside their range.
    pub double: Option<f64>,
}

impl Number {
    /// Of a JSON number.
    pub fn of(text: &str) -> Number {
        let is_integer = !text.bytes().any(|byte| matches!(byte, b'.' | b'e' | b'E'));
        if is_integer {
            if let Ok(integer) = text.parse::<i64>() {
                return Number { is_integer, int64: Some(integer), double: Some(integer as f64) };
            }
        }
        let double = text.parse::<f64>().ok().filter(|double| double.is_finite());
        let may_be_whole =
            double.is_some_and(|double| double.fract() == 0.0 && double.abs() < 1e19);
        let int64 = match is_integer || !may_be_whole {
            true => None,
            false => json::exact_integer(text).ok(),
        };
        Number { is_integer, int64, double }
    }
}

/// One value of a [`Table`](crate::Table), borrowed from it. Any thread may read it.
#[derive(Clone, Copy)]
pub struct Cell<'a> {
    pub(in crate::client) item: Item<'a>,
    pub(in crate::client) row: usize,
    pub(in crate::client) column: usize,
    /// For messages: looking a long name up for each value would take long.
    pub(in crate::client) columns: &'a Columns,
}

impl fmt::Debug for Cell<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Cell");
        shown.field("row", &self.row).field("column", &self.column);
        shown.field("kind", &self.kind()).finish_non_exhaustive()
    }
}

impl<'a> Cell<'a> {
    /// What the cell holds.
    pub fn kind(&self) -> CellKind {
        self.item.kind
    }

    /// The number of its row, counted from 0.
    pub fn row(&self) -> usize {
        self.row
    }

    /// The number of its column, counted from 0.
    pub fn column(&self) -> usize {
        self.column
    }

    /// Whether it has unpaired surrogates (`"\ud800"`), which no UTF-8 can hold. Each is U+FFFD in
    /// the text of a string, and spelled `\ufffd` in nested JSON.
    pub fn is_replaced(&self) -> bool {
        self.item.is_replaced
    }

    /// What a number is; `None` for anything else.
    pub fn number(&self) -> Option<Number> {
        (self.kind() == CellKind::Number).then(|| Number::of(self.text()))
    }

    /// Whether the cell is null.
    pub fn is_null(&self) -> bool {
        self.kind() == CellKind::Null
    }

    /// The value as text: a string's content, a number as the server wrote it, `true` or `false`,
    /// nested JSON as it stands; empty for null.
    pub fn text(&self) -> &'a str {
        self.item.plain()
    }

    /// [`Cell::text`] with one NUL byte after it. A string of the server may hold NULs of its own.
    pub fn text_with_nul(&self) -> &'a str {
        self.item.text
    }

    /// The value as a 64-bit integer, exactly.
    ///
    /// # Errors
    ///
    /// `Type` if the cell is not a number, has a fraction, or lies outside the range.
    pub fn int64(&self) -> Result<i64> {
        if self.kind() != CellKind::Number {
            return Err(self.mismatch("a 64-bit integer"));
        }
        json::exact_integer(self.text()).map_err(|why| match why {
            IntegerError::Fraction => self.unfit("has a fraction, so it is not a 64-bit integer"),
            IntegerError::OutOfRange => self.unfit("does not fit a 64-bit integer"),
        })
    }

    /// The value as the nearest double.
    ///
    /// # Errors
    ///
    /// `Type` if the cell is not a number, or lies outside the range of a double.
    pub fn double(&self) -> Result<f64> {
        if self.kind() != CellKind::Number {
            return Err(self.mismatch("a number"));
        }
        match self.text().parse::<f64>() {
            Ok(value) if value.is_finite() => Ok(value),
            _ => Err(self.unfit("does not fit a double")),
        }
    }

    /// The value as a boolean: `true`, `false`, or a number that is exactly 1 or 0, which is how
    /// some SQL engines store them.
    ///
    /// # Errors
    ///
    /// `Type` for everything else.
    pub fn boolean(&self) -> Result<bool> {
        match self.kind() {
            CellKind::Bool => Ok(self.text() == "true"),
            CellKind::Number => match json::exact_integer(self.text()) {
                Ok(0) => Ok(false),
                Ok(1) => Ok(true),
                _ => Err(self.unfit("is neither 0 nor 1, so it is not a boolean")),
            },
            _ => Err(self.mismatch("a boolean")),
        }
    }

    pub(in crate::client) fn is_not_json(&self) -> Error {
        self.mismatch("an array or object")
    }

    fn mismatch(&self, wanted: &str) -> Error {
        Error::new(
            Code::Type,
            format!(
                "row {}, column \"{}\" is {}, not {wanted}",
                self.row,
                self.columns.described(self.column),
                self.kind().described()
            ),
        )
    }

    fn unfit(&self, why: &str) -> Error {
        let number = self.columns.excerpt(self.text());
        Error::new(
            Code::Type,
            format!(
                "row {}, column \"{}\": {number} {why}",
                self.row,
                self.columns.described(self.column)
            ),
        )
    }
}

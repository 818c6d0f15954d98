//! One value of a table.

use super::json::{self, NotAnInteger};
use crate::error::{Code, Error, Result};

/// What a [`Cell`] holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// SQL's NULL, or a column that the row's object does not have.
    Null,
    /// `true` or `false`.
    Bool,
    /// A number, kept as the server wrote it.
    Number,
    /// A string.
    String,
    /// A nested array or object, as JSON text.
    Json,
}

impl Kind {
    fn described(self) -> &'static str {
        match self {
            Kind::Null => "null",
            Kind::Bool => "a boolean",
            Kind::Number => "a number",
            Kind::String => "a string",
            Kind::Json => "nested JSON",
        }
    }
}

/// One value of a [`Table`](super::Table), borrowed from it. Any thread may read it.
#[derive(Clone, Copy, Debug)]
pub struct Cell<'a> {
    pub(super) kind: Kind,
    /// With the NUL after it.
    pub(super) text: &'a str,
    pub(super) row: usize,
    pub(super) column: &'a str,
}

impl<'a> Cell<'a> {
    /// What the cell holds.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether the cell is null.
    pub fn is_null(&self) -> bool {
        self.kind == Kind::Null
    }

    /// The value as text: a string's content, a number as the server wrote it, `true` or `false`,
    /// nested JSON as it stands; empty for null.
    pub fn text(&self) -> &'a str {
        &self.text[..self.text.len() - 1]
    }

    /// [`Cell::text`] with one NUL byte after it. A string of the server may hold NULs of its own.
    pub fn text_with_nul(&self) -> &'a str {
        self.text
    }

    /// The value as a 64-bit integer, exactly.
    ///
    /// # Errors
    ///
    /// `Type` if the cell is no number, has a fraction, or lies outside the range.
    pub fn int64(&self) -> Result<i64> {
        if self.kind != Kind::Number {
            return Err(self.mismatch("a 64-bit integer"));
        }
        json::exact_integer(self.text()).map_err(|why| match why {
            NotAnInteger::Fraction => self.unfit("has a fraction, so it is no 64-bit integer"),
            NotAnInteger::OutOfRange => self.unfit("does not fit a 64-bit integer"),
        })
    }

    /// The value as the nearest double.
    ///
    /// # Errors
    ///
    /// `Type` if the cell is no number, or lies outside the range of a double.
    pub fn double(&self) -> Result<f64> {
        if self.kind != Kind::Number {
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
        match self.kind {
            Kind::Bool => Ok(self.text() == "true"),
            Kind::Number => match json::exact_integer(self.text()) {
                Ok(0) => Ok(false),
                Ok(1) => Ok(true),
                _ => Err(self.unfit("is neither 0 nor 1, so it is no boolean")),
            },
            _ => Err(self.mismatch("a boolean")),
        }
    }

    fn mismatch(&self, wanted: &str) -> Error {
        Error::new(
            Code::Type,
            format!(
                "row {}, column \"{}\" is {}, not {wanted}",
                self.row,
                self.column.escape_debug(),
                self.kind.described()
            ),
        )
    }

    fn unfit(&self, why: &str) -> Error {
        let number = super::excerpt::excerpt(self.text().as_bytes());
        Error::new(
            Code::Type,
            format!("row {}, column \"{}\": {number} {why}", self.row, self.column.escape_debug()),
        )
    }
}

//! A table or a list written as JSON.

use crate::client::response::cell_kind::CellKind;
use crate::client::response::list::Names;
use crate::client::response::table::Table;
use crate::error::{Code, Error, Result};

/// A text of any response may be so long, however short the response was.
const ALWAYS_ALLOWED: usize = 1024 * 1024;

/// A JSON text that may not become much longer than the response.
pub(in crate::client) struct Written {
    text: String,
    limit: usize,
}

impl Written {
    /// Of a response of this length.
    pub(in crate::client) fn new(response: usize) -> Written {
        let limit = response.saturating_mul(2).max(ALWAYS_ALLOWED);
        Written { text: String::new(), limit }
    }

    pub(in crate::client) fn finish(mut self) -> Result<String> {
        self.reserve(1)?;
        self.text.push('\0');
        Ok(self.text)
    }

    /// `["name",…]`
    pub(in crate::client) fn names(&mut self, names: &Names) -> Result<()> {
        self.push("[")?;
        for name in names.iter() {
            self.separate()?;
            self.string(name)?;
        }
        self.push("]")
    }

    /// `[{"column":value,…},…]`: of each row the values that it has.
    pub(in crate::client) fn row_objects(&mut self, table: &Table) -> Result<()> {
        let mut cells = table.cells(0)?.peekable();
        self.push("[")?;
        for row in 0..table.row_count() {
            self.separate()?;
            self.push("{")?;
            while let Some(cell) = cells.next_if(|cell| cell.row() == row) {
                self.separate()?;
                self.string(table.column_name(cell.column())?)?;
                self.push(":")?;
                self.value(cell.kind(), cell.text())?;
            }
            self.push("}")?;
        }
        self.push("]")
    }

    /// `["column",…]`
    pub(in crate::client) fn columns(&mut self, table: &Table) -> Result<()> {
        self.push("[")?;
        for column in 0..table.column_count() {
            self.separate()?;
            self.string(table.column_name(column)?)?;
        }
        self.push("]")
    }

    /// `[[value,…],…]`: of each row a value for each column.
    pub(in crate::client) fn row_arrays(&mut self, table: &Table) -> Result<()> {
        let mut cells = table.cells(0)?.peekable();
        self.push("[")?;
        for row in 0..table.row_count() {
            self.separate()?;
            self.push("[")?;
            let mut column = 0;
            while let Some(cell) = cells.next_if(|cell| cell.row() == row) {
                self.nulls(column, cell.column())?;
                self.separate()?;
                self.value(cell.kind(), cell.text())?;
                column = cell.column() + 1;
            }
            self.nulls(column, table.column_count())?;
            self.push("]")?;
        }
        self.push("]")
    }

    fn nulls(&mut self, from: usize, to: usize) -> Result<()> {
        for _ in from..to {
            self.separate()?;
            self.push("null")?;
        }
        Ok(())
    }

    fn value(&mut self, kind: CellKind, text: &str) -> Result<()> {
        match kind {
            CellKind::Null => self.push("null"),
            CellKind::String => self.string(text),
            CellKind::Bool | CellKind::Number | CellKind::Json => self.push(text),
        }
    }

    fn string(&mut self, text: &str) -> Result<()> {
        self.push("\"")?;
        let mut rest = text;
        let is_special = |character: char| matches!(character, '"' | '\\' | '\0'..' ');
        while let Some(at) = rest.find(is_special) {
            self.push(&rest[..at])?;
            match rest.as_bytes()[at] {
                b'"' => self.push("\\\"")?,
                b'\\' => self.push("\\\\")?,
                b'\n' => self.push("\\n")?,
                b'\r' => self.push("\\r")?,
                b'\t' => self.push("\\t")?,
                other => self.push(&format!("\\u{other:04x}"))?,
            }
            rest = &rest[at + 1..];
        }
        self.push(rest)?;
        self.push("\"")
    }

    /// A comma, unless it is the first.
    fn separate(&mut self) -> Result<()> {
        if self.text.ends_with(['[', '{']) { Ok(()) } else { self.push(",") }
    }

    pub(in crate::client) fn push(&mut self, text: &str) -> Result<()> {
        self.reserve(text.len())?;
        self.text.push_str(text);
        Ok(())
    }

    fn reserve(&mut self, more: usize) -> Result<()> {
        if self.text.len() + more > self.limit {
            return Err(Error::new(
                Code::TooLarge,
                format!(
                    "as one JSON text the table would have more than {} bytes, since its rows have \
                     few columns in common; read its cells",
                    self.limit
                ),
            ));
        }
        let reserved = self.text.try_reserve(more);
        reserved.map_err(|_| Error::out_of_memory("the text of a response"))
    }
}

//! Rows and columns, read from the JSON of a response in every shape that servers send.

use std::fmt;
use std::ops::Range;

use crate::client::response::cell::Cell;
use crate::client::response::cell_kind::CellKind;
use crate::client::response::columns::{Columns, Index};
use crate::client::response::json::{Shape, Token};
use crate::client::response::mask::Mask;
use crate::client::response::reading::{ReadError, Reader};
use crate::client::response::segments::{OutOfMemoryError, Segments};
use crate::client::response::stop::Stop;
use crate::client::response::text::Item;
use crate::error::{Error, Result};

/// A table of values: the rows of a `select` or of a query. Immutable; any thread may read it.
///
/// Rows are kept sparsely, so that its size follows from the size of the response, whatever
/// columns its rows have.
#[derive(Default)]
pub struct Table {
    columns: Columns,
    /// Where each row begins in `cells`, with [`MAPPED`] if it is mapped; one more entry than there
    /// are rows.
    rows: Segments<u32>,
    /// Where the values are, row by row. A row that begins with a value for the first column, and
    /// goes on without a gap, is its values alone. Any other is mapped: first the columns that it
    /// has values for, ascending, then the values.
    cells: Segments<u32>,
    /// Where nested values are that had unpaired surrogates, in order.
    replaced: Segments<u32>,
}

/// Its values are data of the program, which have no place in a log.
impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table")
            .field("rows", &self.row_count())
            .field("columns", &self.column_count())
            .finish_non_exhaustive()
    }
}

/// The mark of a mapped row. No response is so long that it could be part of a place in `cells`: a
/// value has two bytes at least, and two entries only if it has a name too.
const MAPPED: u32 = 1 << 31;

/// Where the rows of a table are in a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::client) enum Source {
    /// An array of row objects; the columns are the union of their members, as first seen.
    Objects(Range<usize>),
    /// An array of column names (or of objects with a `name`), and one of rows: arrays with a value
    /// for each column, or objects. No place at all for rows stands for no rows.
    Columns { columns: Range<usize>, rows: Range<usize> },
    /// One object, which is one row.
    Row(Range<usize>),
}

/// The part of `cells` that a row has.
#[derive(Clone, Copy)]
struct Extent {
    start: usize,
    count: usize,
    is_mapped: bool,
}

impl Extent {
    /// Of what comes after all rows.
    const NONE: Extent = Extent { start: 0, count: 0, is_mapped: false };
}

impl Table {
    /// Reads a table from a response, which is UTF-8.
    pub(in crate::client) fn read(
        mut bytes: Vec<u8>,
        source: Source,
        stop: &Stop<'_>,
        mask: &Mask,
    ) -> std::result::Result<Table, ReadError> {
        let (columns, rows, is_one_row) = match source {
            Source::Objects(rows) => (None, rows, false),
            Source::Row(row) => (None, row, true),
            Source::Columns { columns, rows } if !rows.is_empty() && columns.start > rows.start => {
                // What is read first has to come first.
                let moved = columns.start;
                bytes.rotate_left(moved);
                let gap = bytes.len() - moved;
                (Some(0..columns.len()), rows.start + gap..rows.end + gap, false)
            }
            Source::Columns { columns, rows } => (Some(columns), rows, false),
        };
        let first = columns.clone().unwrap_or(rows.clone());
        let mut builder = Builder::new(Reader::new(bytes, first, stop)?, mask);
        if columns.is_some() {
            builder.add_columns()?;
            if rows.is_empty() {
                return builder.finish();
            }
            builder.reader.go_on(rows);
        }
        if is_one_row {
            let row = builder.reader.next()?;
            builder.add_row(&row)?;
        } else {
            builder.add_rows()?;
        }
        builder.finish()
    }

    /// The number of rows.
    pub fn row_count(&self) -> usize {
        self.rows.len().saturating_sub(1)
    }

    /// The number of columns. For rows sent as objects: all names that any row has.
    pub fn column_count(&self) -> usize {
        self.columns.count()
    }

    /// The name of a column, counted from 0.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` if the table has fewer columns.
    pub fn column_name(&self, column: usize) -> Result<&str> {
        Ok(self.column_item(column)?.plain())
    }

    /// [`Table::column_name`] with one NUL byte after it.
    ///
    /// # Errors
    ///
    /// As [`Table::column_name`].
    pub fn column_name_with_nul(&self, column: usize) -> Result<&str> {
        Ok(self.column_item(column)?.text)
    }

    /// Whether the server's spelling of a column's name has unpaired surrogates, which are U+FFFD
    /// in it.
    ///
    /// # Errors
    ///
    /// As [`Table::column_name`].
    pub fn is_column_name_replaced(&self, column: usize) -> Result<bool> {
        self.columns.is_name_replaced(column).ok_or_else(|| self.no_column(column))
    }

    fn column_item(&self, column: usize) -> Result<Item<'_>> {
        self.columns.name(column).ok_or_else(|| self.no_column(column))
    }

    #[cold]
    fn no_column(&self, column: usize) -> Error {
        out_of_range("column", column, self.column_count())
    }

    /// The number of the column with this name; the first of several. The first call takes some
    /// time in a table of many columns.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` if there is none, `OutOfMemory` if there is no memory to look for it.
    pub fn column_index(&self, name: &str) -> Result<usize> {
        let found = self.columns.find(name).map_err(|_| Error::out_of_memory("a table"))?;
        found.ok_or_else(|| {
            let name = self.columns.excerpt(name);
            Error::invalid_argument("name", format_args!("there is no column \"{name}\""))
        })
    }

    /// One value; rows and columns count from 0.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` if the table has fewer rows or columns.
    pub fn cell(&self, row: usize, column: usize) -> Result<Cell<'_>> {
        let item = self.place(row, column)?.map_or(Item::NULL, |place| self.item(place));
        Ok(Cell { item, row, column, columns: &self.columns })
    }

    /// The JSON of a cell that is an array or object, a NUL, and whatever stands after that; found
    /// without a look at all of it. `None` for a cell of another kind.
    ///
    /// # Errors
    ///
    /// As [`Table::cell`].
    pub(in crate::client) fn json(&self, row: usize, column: usize) -> Result<Option<&str>> {
        Ok(self.place(row, column)?.and_then(|place| self.columns.texts().json(place)))
    }

    /// Where the value of a cell is packed, if it has one.
    fn place(&self, row: usize, column: usize) -> Result<Option<u32>> {
        if column >= self.column_count() {
            return Err(self.no_column(column));
        }
        if row >= self.row_count() {
            return Err(out_of_range("row", row, self.row_count()));
        }
        let Extent { start, count, is_mapped } = self.extent(row);
        let index = match is_mapped {
            false => (column < count).then_some(column),
            true => self.find(start, count, column),
        };
        let values = if is_mapped { start + count } else { start };
        Ok(index.and_then(|index| self.cells.get(values + index)))
    }

    fn item(&self, place: u32) -> Item<'_> {
        let item = self.columns.texts().item(place);
        let is_replaced = match item.kind {
            CellKind::Json => {
                let before = self.replaced.partition_point(|other| other < place);
                self.replaced.get(before) == Some(place)
            }
            _ => item.is_replaced,
        };
        Item { is_replaced, ..item }
    }

    /// Which of the values of a mapped row is the one for this column.
    fn find(&self, start: usize, count: usize, column: usize) -> Option<usize> {
        let (mut low, mut high) = (0, count);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.cells.get(start + middle)? as usize {
                name if name == column => return Some(middle),
                name if name < column => low = middle + 1,
                _ => high = middle,
            }
        }
        None
    }

    fn extent(&self, row: usize) -> Extent {
        let at = |row| self.rows.get(row).unwrap_or_default();
        let (start, end) = (at(row), at(row + 1) & !MAPPED);
        let is_mapped = start & MAPPED != 0;
        let start = (start & !MAPPED) as usize;
        let entries = end as usize - start;
        Extent { start, count: if is_mapped { entries / 2 } else { entries }, is_mapped }
    }

    /// The values that the server sent, row by row, by columns within a row: what it left out of a
    /// row is missing, a null that it sent is not. `position` is 0, or what [`Cells::position`]
    /// said.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for another position.
    pub fn cells(&self, position: u64) -> Result<Cells<'_>> {
        let wrong =
            || Error::invalid_argument("position", "must be 0, or as the last call left it");
        let entry = usize::try_from(position).map_err(|_| wrong())?;
        if entry > self.cells.len() {
            return Err(wrong());
        }
        if entry == self.cells.len() {
            return Ok(Cells {
                table: self,
                row: self.row_count(),
                extent: Extent::NONE,
                index: 0,
            });
        }
        // The last of the rows that begin there or before, since those before it are empty.
        let row = self.rows.partition_point(|start| (start & !MAPPED) as usize <= entry) - 1;
        let extent = self.extent(row);
        let index = entry - extent.start;
        if index >= extent.count {
            return Err(wrong());
        }
        Ok(Cells { table: self, row, extent, index })
    }
}

/// The values of a table, one after the other; see [`Table::cells`].
pub struct Cells<'a> {
    table: &'a Table,
    row: usize,
    /// Of the row.
    extent: Extent,
    /// Of the next of its values.
    index: usize,
}

impl Cells<'_> {
    /// Where to go on later, with [`Table::cells`].
    pub fn position(&self) -> u64 {
        match self.row < self.table.row_count() {
            true => {
                let Extent { start, count, is_mapped } = self.extent;
                // Past the last of a row is where the next begins.
                let is_past = self.index == count;
                (start + if is_past && is_mapped { 2 * count } else { self.index }) as u64
            }
            false => self.table.cells.len() as u64,
        }
    }
}

impl<'a> Iterator for Cells<'a> {
    type Item = Cell<'a>;

    fn next(&mut self) -> Option<Cell<'a>> {
        let table = self.table;
        while self.index == self.extent.count {
            if self.row + 1 >= table.row_count() {
                self.row = table.row_count();
                return None;
            }
            self.row += 1;
            (self.extent, self.index) = (table.extent(self.row), 0);
        }
        let Extent { start, count, is_mapped } = self.extent;
        let (column, place) = match is_mapped {
            true => {
                let column = table.cells.get(start + self.index)?;
                (column as usize, table.cells.get(start + count + self.index)?)
            }
            false => (self.index, table.cells.get(start + self.index)?),
        };
        self.index += 1;
        let (item, row) = (table.item(place), self.row);
        Some(Cell { item, row, column, columns: &table.columns })
    }
}

fn out_of_range(name: &str, index: usize, count: usize) -> Error {
    let why = format!("{index} is out of range: there are {count}, counted from 0");
    Error::invalid_argument(name, why)
}

fn malformed(why: impl fmt::Display) -> ReadError {
    ReadError::Malformed(why.to_string())
}

struct Builder<'s> {
    reader: Reader<'s>,
    columns: Segments<u32>,
    rows: Segments<u32>,
    cells: Segments<u32>,
    /// Of the columns; made when the first row comes that is an object.
    index: Index,
    is_listed: bool,
    /// What the rows so far are.
    shape: Option<Shape>,
    /// For rows whose members come in an order of their own.
    sorted: Vec<(u32, u32)>,
    mask: Mask,
}

impl<'s> Builder<'s> {
    fn new(reader: Reader<'s>, mask: &Mask) -> Builder<'s> {
        Builder {
            reader,
            columns: Segments::default(),
            rows: Segments::default(),
            cells: Segments::default(),
            index: Index::default(),
            is_listed: false,
            shape: None,
            sorted: Vec::new(),
            mask: mask.clone(),
        }
    }

    /// Listed columns: two may have the same name, as in `SELECT 1 AS a, 2 AS a`.
    fn add_columns(&mut self) -> std::result::Result<(), ReadError> {
        self.is_listed = true;
        let list = self.reader.next()?;
        if !matches!(list, Token::Array(_)) {
            return Err(malformed(format_args!("the columns are {}, not an array", list.shape())));
        }
        loop {
            match self.reader.next()? {
                Token::End(_) => return Ok(()),
                name => {
                    let place = self.reader.name(&name)?;
                    self.columns.push(place)?;
                }
            }
        }
    }

    fn add_rows(&mut self) -> std::result::Result<(), ReadError> {
        let list = self.reader.next()?;
        if !matches!(list, Token::Array(_)) {
            return Err(malformed(format_args!("the rows are {}, not an array", list.shape())));
        }
        loop {
            match self.reader.next()? {
                Token::End(_) => return Ok(()),
                row => self.add_row(&row)?,
            }
        }
    }

    fn add_row(&mut self, first: &Token) -> std::result::Result<(), ReadError> {
        let shape = first.shape();
        let number = self.rows.len();
        if !matches!(first, Token::Array(_) | Token::Object(_)) {
            return Err(malformed(format_args!("row {number} is {shape}")));
        }
        if *self.shape.get_or_insert(shape) != shape {
            return Err(malformed(format_args!("row {number} is {shape}, others are not")));
        }
        let start = self.cells.len() as u32;
        let is_mapped = match shape {
            Shape::Object => self.add_object()?,
            _ if !self.is_listed => {
                return Err(malformed(format_args!(
                    "row {number} is an array, but no columns are named"
                )));
            }
            _ => self.add_array(number)?,
        };
        self.rows.push(if is_mapped { start | MAPPED } else { start })?;
        Ok(())
    }

    fn add_array(&mut self, number: usize) -> std::result::Result<bool, ReadError> {
        let columns = self.columns.len();
        for column in 0.. {
            let value = self.reader.next()?;
            if let Token::End(_) = value {
                break;
            }
            if column == columns {
                return Err(malformed(format_args!(
                    "row {number} has more values than there are columns ({columns})"
                )));
            }
            let place = self.reader.value(&value)?;
            self.cells.push(place)?;
        }
        Ok(false)
    }

    /// Whether the row is mapped.
    fn add_object(&mut self) -> std::result::Result<bool, ReadError> {
        let start = self.cells.len();
        // How many values are for the first columns, one after the other; then come pairs of a
        // column and a value.
        let mut in_order = 0;
        let mut is_mapped = false;
        let mut expected = 0;
        while let Token::Key(name) = self.reader.next()? {
            let name = self.reader.packer.string(&name);
            let column = self.column_of(name, expected)?;
            let value = self.reader.next()?;
            let place = self.reader.value(&value)?;
            if !is_mapped && column == in_order {
                in_order += 1;
            } else {
                is_mapped = true;
                self.cells.push(column)?;
            }
            self.cells.push(place)?;
            expected = column + 1;
        }
        match is_mapped {
            true => Ok(self.arrange(start, in_order as usize)?),
            false => Ok(false),
        }
    }

    /// The column of this name, which was packed last; a new one if there is none.
    fn column_of(
        &mut self,
        name: u32,
        expected: u32,
    ) -> std::result::Result<u32, OutOfMemoryError> {
        let packer = &self.reader.packer;
        let text = packer.last(name);
        let is_same = |column: u32| {
            self.columns.get(column as usize).is_some_and(|name| packer.is_string(name, text))
        };
        // Rows mostly repeat the order of the first, so that no hashing is needed; but of listed
        // columns an earlier one may have the same name.
        if !self.is_listed && is_same(expected) {
            self.reader.packer.rewind(name);
            return Ok(expected);
        }
        while self.index.len() < self.columns.len() {
            let column = self.index.len();
            let text = self.columns.get(column).map_or(&[][..], |name| packer.characters(name));
            let is_same = |other: u32| {
                self.columns.get(other as usize).is_some_and(|name| packer.is_string(name, text))
            };
            self.index.add(text, is_same)?;
        }
        if let Some(column) = self.index.find(text, is_same) {
            self.reader.packer.rewind(name);
            return Ok(column);
        }
        self.index.add(text, |_| false)?;
        self.columns.push(name)?;
        Ok(self.columns.len() as u32 - 1)
    }

    /// Arranges the row that begins at `start` by columns: after so many values for the first
    /// columns it has pairs. Of a member that occurs twice the last one counts. Whether the row is
    /// mapped then.
    fn arrange(
        &mut self,
        start: usize,
        in_order: usize,
    ) -> std::result::Result<bool, OutOfMemoryError> {
        let pairs = (self.cells.len() - start - in_order) / 2;
        self.sorted.clear();
        self.sorted.try_reserve_exact(in_order + pairs)?;
        let cell = |index: usize| self.cells.get(start + index).unwrap_or_default();
        self.sorted.extend((0..in_order).map(|column| (column as u32, cell(column))));
        let pair = |at: usize| (cell(at), cell(at + 1));
        self.sorted.extend((0..pairs).map(|index| pair(in_order + 2 * index)));
        // Values are in the order of their places.
        self.sorted.sort_unstable();
        let mut kept = 0;
        for index in 0..self.sorted.len() {
            if kept > 0 && self.sorted[kept - 1].0 == self.sorted[index].0 {
                kept -= 1;
            }
            self.sorted[kept] = self.sorted[index];
            kept += 1;
        }
        self.sorted.truncate(kept);
        self.cells.truncate(start);
        let is_mapped = self.sorted.last().is_some_and(|last| last.0 as usize >= kept);
        if is_mapped {
            for (column, _) in &self.sorted {
                self.cells.push(*column)?;
            }
        }
        for (_, place) in &self.sorted {
            self.cells.push(*place)?;
        }
        Ok(is_mapped)
    }

    fn finish(mut self) -> std::result::Result<Table, ReadError> {
        self.rows.push(self.cells.len() as u32)?;
        let Builder { mut reader, columns, rows, cells, mask, .. } = self;
        let replaced = std::mem::take(&mut reader.replaced);
        let texts = reader.finish()?;
        Ok(Table { columns: Columns::new(texts, columns, mask), rows, cells, replaced })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;

    fn whole(json: &str) -> Range<usize> {
        0..json.len()
    }

    fn from_objects(rows: &str) -> std::result::Result<Table, ReadError> {
        Table::read(
            rows.as_bytes().to_vec(),
            Source::Objects(whole(rows)),
            &Stop::never(),
            &Mask::default(),
        )
    }

    fn from_columns_and_rows(columns: &str, rows: &str) -> std::result::Result<Table, ReadError> {
        let read = |text: String, columns: usize, rows: usize, length: (usize, usize)| {
            let source = Source::Columns {
                columns: columns..columns + length.0,
                rows: rows..rows + length.1,
            };
            Table::read(text.into_bytes(), source, &Stop::never(), &Mask::default())
        };
        let length = (columns.len(), rows.len());
        let one = read(format!("{columns}, {rows}"), 0, length.0 + 2, length);
        // In whichever order they come.
        let other = read(format!("{rows}, {columns}"), length.1 + 2, 0, length);
        match (&one, &other) {
            (Ok(one), Ok(other)) => assert_eq!(shown(one), shown(other)),
            (one, other) => assert_eq!(one.is_ok(), other.is_ok()),
        }
        one
    }

    fn shown(table: &Table) -> Vec<Vec<String>> {
        let mut lines = vec![
            (0..table.column_count()).map(|c| table.column_name(c).unwrap().to_owned()).collect(),
        ];
        for row in 0..table.row_count() {
            lines.push(
                (0..table.column_count())
                    .map(|column| {
                        let cell = table.cell(row, column).unwrap();
                        assert_eq!(cell.text_with_nul(), format!("{}\0", cell.text()));
                        if cell.is_null() { "NULL".to_owned() } else { cell.text().to_owned() }
                    })
                    .collect(),
            );
        }
        lines
    }

    #[test]
    fn objects_give_the_union_of_their_members_in_first_seen_order() {
        let table = from_objects(
            r#"[{"b":1,"a":"x"},{"a":null,"c":true},{},{"c":[1, 2],"a":2,"a":3,"b":1.50}]"#,
        )
        .unwrap();
        assert_eq!(
            shown(&table),
            [
                vec!["b", "a", "c"],
                vec!["1", "x", "NULL"],
                vec!["NULL", "NULL", "true"],
                vec!["NULL", "NULL", "NULL"],
                vec!["1.50", "3", "[1, 2]"],
            ]
        );
        assert_eq!(table.column_index("c"), Ok(2));
        assert_eq!(table.column_index("d").unwrap_err().code(), Code::InvalidArgument);
    }

    #[test]
    fn columns_and_rows_in_both_dialects() {
        let table = from_columns_and_rows(
            r#"["a", {"name":"b","type":"int"}, "a"]"#,
            r#"[[1, "two\u0000\n", 3], [4], [null, 5]]"#,
        )
        .unwrap();
        assert_eq!(
            shown(&table),
            [
                vec!["a", "b", "a"],
                vec!["1", "two\0\n", "3"],
                vec!["4", "NULL", "NULL"],
                vec!["NULL", "5", "NULL"],
            ]
        );
        let error = from_columns_and_rows("[\"a\"]", "[[1],[1,2]]").unwrap_err();
        let why = "row 1 has more values than there are columns (1)";
        assert_eq!(error, ReadError::Malformed(why.to_owned()));
        assert!(from_columns_and_rows("[1]", "[]").is_err());
        assert!(from_objects("[[1]]").is_err());
        assert!(from_objects("{}").is_err());
    }

    #[test]
    fn of_listed_columns_with_one_name_objects_fill_the_first() {
        let table = from_columns_and_rows(
            r#"["x", "a", "y", "a"]"#,
            r#"[{"y":1,"a":2}, {"x":0,"a":3}, {"a":4,"a":5}]"#,
        )
        .unwrap();
        assert_eq!(
            shown(&table)[1..],
            [
                vec!["NULL", "2", "1", "NULL"],
                vec!["0", "3", "NULL", "NULL"],
                vec!["NULL", "5", "NULL", "NULL"],
            ]
        );
        assert_eq!(table.column_index("a"), Ok(1));
    }

    #[test]
    fn rows_that_all_have_other_columns_stay_small() {
        let rows: Vec<String> = (0..20_000).map(|i| format!("{{\"c{i}\":{i}}}")).collect();
        let table = from_objects(&format!("[{}]", rows.join(","))).unwrap();
        assert_eq!((table.row_count(), table.column_count()), (20_000, 20_000));
        assert_eq!(table.cells(0).unwrap().count(), 20_000);
        assert_eq!(table.cell(19_999, 19_999).unwrap().int64().unwrap(), 19_999);
        assert!(table.cell(19_999, 0).unwrap().is_null());
    }

    #[test]
    fn values_convert_exactly_or_say_why_not() {
        let table = from_objects(
            r#"[{"i":9007199254740993,"f":1.5,"s":"5","b":true,"n":null,"j":{},"e":1e400,"o":1,"t":2}]"#,
        )
        .unwrap();
        let cell = |name: &str| table.cell(0, table.column_index(name).unwrap()).unwrap();
        assert_eq!(cell("i").int64().unwrap(), 9_007_199_254_740_993);
        assert_eq!(cell("f").double().unwrap(), 1.5);
        assert!(cell("b").boolean().unwrap());
        assert!(cell("o").boolean().unwrap());
        let refused = |error: Error, text: &str| {
            assert_eq!(error.code(), Code::Type);
            assert_eq!(error.message(), text);
        };
        refused(
            cell("f").int64().unwrap_err(),
            "row 0, column \"f\": 1.5 has a fraction, so it is not a 64-bit integer",
        );
        refused(
            cell("s").int64().unwrap_err(),
            "row 0, column \"s\" is a string, not a 64-bit integer",
        );
        refused(cell("n").double().unwrap_err(), "row 0, column \"n\" is null, not a number");
        refused(
            cell("j").boolean().unwrap_err(),
            "row 0, column \"j\" is nested JSON, not a boolean",
        );
        refused(cell("b").double().unwrap_err(), "row 0, column \"b\" is a boolean, not a number");
        refused(
            cell("e").double().unwrap_err(),
            "row 0, column \"e\": 1e400 does not fit a double",
        );
        refused(
            cell("t").boolean().unwrap_err(),
            "row 0, column \"t\": 2 is neither 0 nor 1, so it is not a boolean",
        );
    }

    #[test]
    fn out_of_range_is_an_error_and_no_panic() {
        let table = from_objects("[]").unwrap();
        assert_eq!(table.cell(0, 0).unwrap_err().code(), Code::InvalidArgument);
        let table = from_objects("[{\"a\":1}]").unwrap();
        assert!(table.cell(1, 0).unwrap_err().message().starts_with("row: 1 is out of range"));
        assert!(table.cell(0, usize::MAX).is_err());
        assert!(table.column_name(1).is_err());
        assert_eq!(Table::default().row_count(), 0);
    }
}

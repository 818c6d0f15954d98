//! Rows and columns, read from the JSON of an answer in every shape that servers send.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::cell::{Cell, Kind};
use super::excerpt::excerpt;
use super::json::{self, Shape};
use super::text::{Span, Texts};
use crate::error::{Error, Result};

/// A table of values: the rows of a `select` or of a query. Immutable; any thread may read it.
///
/// Rows are kept sparsely, so that its size follows from the size of the answer, whatever
/// columns its rows have.
#[derive(Debug, Default)]
pub struct Table {
    texts: Texts,
    columns: Vec<Span>,
    /// Where each row's values begin in `values`; one more entry than there are rows.
    rows: Vec<usize>,
    /// The values of all rows, each row's sorted by column; what is missing is null.
    values: Vec<Value>,
}

#[derive(Clone, Copy, Debug)]
struct Value {
    column: usize,
    kind: Kind,
    text: Span,
}

impl Table {
    /// The number of rows.
    pub fn row_count(&self) -> usize {
        self.rows.len().saturating_sub(1)
    }

    /// The number of columns. For rows sent as objects: all names that any row has.
    pub fn column_count(&self) -> usize {
        self.columns.len()
    }

    /// The name of a column, counted from 0.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` if there is no such column.
    pub fn column_name(&self, column: usize) -> Result<&str> {
        self.column_name_with_nul(column).map(|name| &name[..name.len() - 1])
    }

    /// [`Table::column_name`] with one NUL byte after it.
    ///
    /// # Errors
    ///
    /// As [`Table::column_name`].
    pub fn column_name_with_nul(&self, column: usize) -> Result<&str> {
        match self.columns.get(column) {
            Some(span) => Ok(self.texts.get(*span)),
            None => Err(Error::invalid_argument(
                "column",
                format_args!(
                    "{column} is out of range: there are {}, counted from 0",
                    self.columns.len()
                ),
            )),
        }
    }

    /// The number of the column with this name; the first of several.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` if there is none.
    pub fn column_index(&self, name: &str) -> Result<usize> {
        let is_it = |span: &Span| {
            let text = self.texts.get(*span);
            &text[..text.len() - 1] == name
        };
        self.columns.iter().position(is_it).ok_or_else(|| {
            let name = excerpt(name.as_bytes());
            Error::invalid_argument("name", format_args!("there is no column \"{name}\""))
        })
    }

    /// One value; rows and columns count from 0.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` if there is no such row or column.
    pub fn cell(&self, row: usize, column: usize) -> Result<Cell<'_>> {
        let name = self.column_name(column)?;
        if row >= self.row_count() {
            return Err(Error::invalid_argument(
                "row",
                format_args!(
                    "{row} is out of range: there are {}, counted from 0",
                    self.row_count()
                ),
            ));
        }
        let values = &self.values[self.rows[row]..self.rows[row + 1]];
        let found = match values.get(column) {
            Some(value) if value.column == column => Some(value),
            _ => values
                .binary_search_by_key(&column, |value| value.column)
                .ok()
                .map(|index| &values[index]),
        };
        Ok(match found {
            Some(value) => {
                Cell { kind: value.kind, text: self.texts.get(value.text), row, column: name }
            }
            None => Cell { kind: Kind::Null, text: "\0", row, column: name },
        })
    }

    /// Reads an array of row objects; the columns are the union of their members, as first seen.
    pub(super) fn from_objects(rows: &str) -> std::result::Result<Table, String> {
        let mut builder = Builder::new();
        json::elements(rows, |row| builder.add_object(row))?;
        Ok(builder.finish())
    }

    /// Reads one object as one row.
    pub(super) fn from_object(row: &str) -> std::result::Result<Table, String> {
        let mut builder = Builder::new();
        builder.add_object(row)?;
        Ok(builder.finish())
    }

    /// Reads an array of column names (or of objects with a `name`) and one of rows, each an array
    /// with a value for each column, or an object.
    pub(super) fn from_columns_and_rows(
        columns: &str,
        rows: &str,
    ) -> std::result::Result<Table, String> {
        let mut builder = Builder::new();
        json::elements(columns, |column| {
            builder.add_column(name_of(column)?);
            Ok(())
        })?;
        json::elements(rows, |row| match Shape::of(row) {
            Shape::Object => builder.add_object(row),
            _ => builder.add_array(row),
        })?;
        Ok(builder.finish())
    }
}

/// A name as servers list them: a string, or an object with a `name`.
pub(super) fn name_of(json: &str) -> std::result::Result<String, String> {
    let name = match Shape::of(json) {
        Shape::String => Some(json),
        Shape::Object => {
            json::member(json, &["name"]).filter(|name| Shape::of(name) == Shape::String)
        }
        _ => None,
    };
    match name {
        Some(name) => json::string(name),
        None => Err(format!("expected a name or an object with a name, got {}", Shape::of(json))),
    }
}

struct Builder {
    table: Table,
    by_name: HashMap<String, usize>,
}

impl Builder {
    fn new() -> Builder {
        Builder { table: Table { rows: vec![0], ..Table::default() }, by_name: HashMap::new() }
    }

    /// A listed column: two may have the same name, as in `SELECT 1 AS a, 2 AS a`.
    fn add_column(&mut self, name: String) {
        let index = self.table.columns.len();
        self.table.columns.push(self.table.texts.add(&name));
        self.by_name.entry(name).or_insert(index);
    }

    fn column_of_member(&mut self, name: String, expected: usize) -> usize {
        // Rows mostly repeat the order of the first, so that no hashing is needed.
        if let Some(span) = self.table.columns.get(expected) {
            let text = self.table.texts.get(*span);
            if text[..text.len() - 1] == name {
                return expected;
            }
        }
        match self.by_name.entry(name) {
            Entry::Occupied(entry) => *entry.get(),
            Entry::Vacant(entry) => {
                let index = self.table.columns.len();
                self.table.columns.push(self.table.texts.add(entry.key()));
                entry.insert(index);
                index
            }
        }
    }

    fn add_object(&mut self, row: &str) -> std::result::Result<(), String> {
        if Shape::of(row) != Shape::Object {
            return Err(format!("expected an object for a row, got {}", Shape::of(row)));
        }
        let start = self.table.values.len();
        let mut expected = 0;
        let mut in_order = true;
        json::members(row, |name, value| {
            let column = self.column_of_member(name.into_owned(), expected);
            in_order &= column >= expected;
            expected = column + 1;
            self.add_value(column, value)
        })?;
        if !in_order {
            self.sort_row(start);
        }
        self.table.rows.push(self.table.values.len());
        Ok(())
    }

    /// Sorts the row that begins at `start`; of a member that occurs twice the last one counts.
    fn sort_row(&mut self, start: usize) {
        let row = &mut self.table.values[start..];
        row.sort_by_key(|value| value.column);
        let mut kept = 0;
        for index in 0..row.len() {
            if kept > 0 && row[kept - 1].column == row[index].column {
                kept -= 1;
            }
            row[kept] = row[index];
            kept += 1;
        }
        self.table.values.truncate(start + kept);
    }

    fn add_array(&mut self, row: &str) -> std::result::Result<(), String> {
        let columns = self.table.columns.len();
        let number = self.table.row_count();
        let mut column = 0;
        json::elements(row, |value| {
            if column == columns {
                return Err(format!(
                    "row {number} has more values than there are columns ({columns})"
                ));
            }
            self.add_value(column, value)?;
            column += 1;
            Ok(())
        })?;
        self.table.rows.push(self.table.values.len());
        Ok(())
    }

    fn add_value(&mut self, column: usize, json: &str) -> std::result::Result<(), String> {
        let (kind, text) = match Shape::of(json) {
            Shape::Null => (Kind::Null, self.table.texts.add("")),
            Shape::Bool => (Kind::Bool, self.table.texts.add(json)),
            Shape::Number => (Kind::Number, self.table.texts.add(json)),
            Shape::Array | Shape::Object => (Kind::Json, self.table.texts.add(json)),
            Shape::String => (Kind::String, self.table.texts.add(&json::string(json)?)),
        };
        self.table.values.push(Value { column, kind, text });
        Ok(())
    }

    fn finish(mut self) -> Table {
        self.table.texts.shrink();
        self.table
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;

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
        let table = Table::from_objects(
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
        let table = Table::from_columns_and_rows(
            r#"["a", {"name":"b","type":"int"}, "a"]"#,
            r#"[[1, "two\u0000\n", 3], [4], {"b": 5}]"#,
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
        let error = Table::from_columns_and_rows("[\"a\"]", "[[1],[1,2]]").unwrap_err();
        assert!(error.contains("row 1 has more values"), "{error}");
        assert!(Table::from_columns_and_rows("[1]", "[]").is_err());
        assert!(Table::from_objects("[[1]]").is_err());
        assert!(Table::from_objects("{}").is_err());
        assert!(Table::from_objects(r#"[{"a":"\ud800"}]"#).is_err());
    }

    #[test]
    fn rows_that_all_have_other_columns_stay_small() {
        let rows: Vec<String> = (0..20_000).map(|i| format!("{{\"c{i}\":{i}}}")).collect();
        let table = Table::from_objects(&format!("[{}]", rows.join(","))).unwrap();
        assert_eq!((table.row_count(), table.column_count()), (20_000, 20_000));
        assert_eq!(table.values.len(), 20_000);
        assert_eq!(table.cell(19_999, 19_999).unwrap().int64().unwrap(), 19_999);
        assert!(table.cell(19_999, 0).unwrap().is_null());
    }

    #[test]
    fn values_convert_exactly_or_say_why_not() {
        let table = Table::from_objects(
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
            "row 0, column \"f\": 1.5 has a fraction, so it is no 64-bit integer",
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
            "row 0, column \"t\": 2 is neither 0 nor 1, so it is no boolean",
        );
    }

    #[test]
    fn out_of_range_is_an_error_and_no_panic() {
        let table = Table::from_objects("[]").unwrap();
        assert_eq!(table.cell(0, 0).unwrap_err().code(), Code::InvalidArgument);
        let table = Table::from_objects("[{\"a\":1}]").unwrap();
        assert!(table.cell(1, 0).unwrap_err().message().starts_with("row: 1 is out of range"));
        assert!(table.cell(0, usize::MAX).is_err());
        assert!(table.column_name(1).is_err());
        assert_eq!(Table::default().row_count(), 0);
    }
}

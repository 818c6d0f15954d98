//! The answer to a query, in the shapes that servers send, and in the one that callers get.

use super::cell::Kind;
use super::json::{self, Shape};
use super::table::Table;

/// What servers call the number of rows that a statement changed.
pub(super) const AFFECTED_ROWS: &[&str] = &["affectedRows", "affected_rows", "count", "inserted"];
/// What servers call the number of rows of an answer.
pub(super) const ROW_COUNT: &[&str] = &["rowCount", "row_count"];

/// The rows in a query's object, if it has any.
pub(super) fn table(object: &str) -> Option<Result<Table, String>> {
    let rows = array(object, "rows");
    if let (Some(columns), Some(rows)) = (array(object, "columns"), rows) {
        return Some(Table::from_columns_and_rows(columns, rows));
    }
    let rows = array(object, "results").or_else(|| array(object, "records")).or(rows)?;
    Some(Table::from_objects(rows))
}

/// The object that callers get, whatever the server calls its parts: `columns`, `rows` (arrays),
/// `rowCount` and `affectedRows`. `None` if its rows can't be read, or
/// make no sensible table.
pub(super) fn uniform(object: &str) -> Option<String> {
    let number = |names| json::member(object, names).unwrap_or("null");
    let with = |columns: &str, rows: &str| {
        format!(
            r#"{{"columns":{columns},"rows":{rows},"rowCount":{},"affectedRows":{}}}"#,
            number(ROW_COUNT),
            number(AFFECTED_ROWS)
        )
    };
    if let (Some(columns), Some(rows)) = (array(object, "columns"), array(object, "rows")) {
        if is_array_of(columns, Shape::String) && is_array_of(rows, Shape::Array) {
            return Some(with(columns, rows));
        }
    }
    let table = table(object).unwrap_or_else(|| Table::from_objects("[]")).ok()?;
    // Rows that all have other columns would become much more than the server sent.
    if table.row_count().saturating_mul(table.column_count()) > object.len() {
        return None;
    }
    let (columns, rows) = written(&table)?;
    Some(with(&columns, &rows))
}

fn array<'a>(object: &'a str, name: &str) -> Option<&'a str> {
    json::member(object, &[name]).filter(|value| Shape::of(value) == Shape::Array)
}

/// By its first element: a server that mixes them is found out when the rows are read.
fn is_array_of(array: &str, shape: Shape) -> bool {
    let first = array[1..].trim_start();
    first.starts_with(']') || Shape::of(first) == shape
}

/// Its columns and rows as JSON.
fn written(table: &Table) -> Option<(String, String)> {
    let (mut columns, mut rows) = (String::from("["), String::from("["));
    for column in 0..table.column_count() {
        separate(&mut columns);
        columns.push_str(&json::quoted(table.column_name(column).ok()?));
    }
    for row in 0..table.row_count() {
        separate(&mut rows);
        rows.push('[');
        for column in 0..table.column_count() {
            separate(&mut rows);
            let cell = table.cell(row, column).ok()?;
            match cell.kind() {
                Kind::Null => rows.push_str("null"),
                Kind::String => rows.push_str(&json::quoted(cell.text())),
                Kind::Bool | Kind::Number | Kind::Json => rows.push_str(cell.text()),
            }
        }
        rows.push(']');
    }
    columns.push(']');
    rows.push(']');
    Some((columns, rows))
}

fn separate(list: &mut String) {
    if !list.ends_with('[') {
        list.push(',');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_shapes_become_the_one() {
        let uniform = |object| uniform(object).unwrap();
        assert_eq!(
            uniform(r#"{"results":[{"a":1,"b":"x,\"["},{"b":null,"c":[1,{}]}],"affected_rows":2}"#),
            r#"{"columns":["a","b","c"],"rows":[[1,"x,\"[",null],[null,null,[1,{}]]],"rowCount":null,"affectedRows":2}"#
        );
        assert_eq!(
            uniform(r#"{"columns":[{"name":"a"}],"rows":[[true]],"row_count":1}"#),
            r#"{"columns":["a"],"rows":[[true]],"rowCount":1,"affectedRows":null}"#
        );
        assert_eq!(
            uniform(r#"{"message":"done","count":3}"#),
            r#"{"columns":[],"rows":[],"rowCount":null,"affectedRows":3}"#
        );
    }

    #[test]
    fn the_usual_shape_is_copied_without_what_is_said_twice() {
        let object = r#"{"columns":["a"],"rows": [ [ 9007199254740993 ] ],"rowCount":1,"affectedRows":0,"records":[{"a":9007199254740993}]}"#;
        assert_eq!(
            uniform(object).unwrap(),
            r#"{"columns":["a"],"rows":[ [ 9007199254740993 ] ],"rowCount":1,"affectedRows":0}"#
        );
    }

    #[test]
    fn rows_that_have_little_in_common_do_not_blow_up() {
        let rows: Vec<_> = (0..1000).map(|n| format!("{{\"c{n}\":{n}}}")).collect();
        assert_eq!(uniform(&format!("{{\"records\":[{}]}}", rows.join(","))), None);
    }

    #[test]
    fn rows_that_can_not_be_read_are_left_as_they_are() {
        assert_eq!(uniform(r#"{"records":[1]}"#), None);
    }
}

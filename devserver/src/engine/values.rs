//! Values as SQL text, and what the types of columns mean.

use crate::error::{Error, Result};
use rusqlite::types::Value as Sql;

/// Whether a column of this declared type holds booleans.
pub fn is_boolean(declared: Option<&str>) -> bool {
    declared.is_some_and(|name| {
        name.eq_ignore_ascii_case("boolean") || name.eq_ignore_ascii_case("bool")
    })
}

/// Whether SQLite would make a number of this text in a column of this declared type, and a
/// rounded one: an integer that fits into no integer of its own.
pub fn would_be_rounded(text: &str, declared: &str) -> bool {
    let digits = text.trim_matches([' ', '\t', '\n', '\r', '\x0b', '\x0c']);
    let digits = digits.strip_prefix(['-', '+']).unwrap_or(digits);
    let is_integer = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_integer && text.trim().parse::<i64>().is_err() && is_numeric(declared)
}

/// Refuses a value that SQLite would round in a column of this declared type.
pub fn check_rounding(value: &Sql, column: &str, declared: &str) -> Result<()> {
    match value {
        Sql::Text(text) if would_be_rounded(text, declared) => Err(Error::bad_request(format!(
            "the text for the column {column:?} is an integer that does not fit into a signed 64-bit integer: SQLite would round it"
        ))),
        _ => Ok(()),
    }
}

/// SQLite's rules for the affinity of a declared type.
fn is_numeric(declared: &str) -> bool {
    let declared = declared.to_ascii_uppercase();
    let has = |part: &str| declared.contains(part);
    if has("INT") {
        return true;
    }
    !(has("CHAR") || has("CLOB") || has("TEXT") || has("BLOB") || declared.is_empty())
}

/// A value as an SQL literal, for the default of a column.
pub fn literal(value: &Sql) -> Result<String> {
    Ok(match value {
        Sql::Null => "NULL".into(),
        Sql::Integer(integer) => integer.to_string(),
        Sql::Real(float) => format!("{float:e}"),
        Sql::Text(text) if text.contains('\0') => {
            return Err(Error::bad_request("a default value contains NUL"));
        }
        Sql::Text(text) => format!("'{}'", text.replace('\'', "''")),
        Sql::Blob(_) => return Err(Error::internal("JSON has no bytes")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn booleans_are_declared_so() {
        assert!(is_boolean(Some("Boolean")) && is_boolean(Some("BOOL")));
        assert!(!is_boolean(Some("integer")) && !is_boolean(None));
    }

    #[test]
    fn literals_are_quoted() {
        assert_eq!(literal(&Sql::Text("it's".into())).unwrap(), "'it''s'");
        assert_eq!(literal(&Sql::Integer(1)).unwrap(), "1");
        assert_eq!(literal(&Sql::Real(0.5)).unwrap(), "5e-1");
    }

    #[test]
    fn digits_in_a_text_are_rounded_in_numeric_columns_alone() {
        let long = "18446744073709551616";
        for declared in ["INTEGER", "bigint", "float", "decimal(30,0)", "boolean", "NUMERIC"] {
            assert!(would_be_rounded(long, declared), "{declared}");
            assert!(would_be_rounded(" -9223372036854775809 ", declared), "{declared}");
            assert!(!would_be_rounded("9223372036854775807", declared), "{declared}");
            assert!(!would_be_rounded("1e30", declared), "{declared}");
            assert!(!would_be_rounded("18446744073709551616x", declared), "{declared}");
        }
        for declared in ["TEXT", "varchar(20)", "BLOB", "clob", ""] {
            assert!(!would_be_rounded(long, declared), "{declared}");
        }
    }
}

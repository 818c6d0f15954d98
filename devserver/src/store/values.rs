//! JSON values to SQLite's and back.

use crate::error::{Error, Result};
use rusqlite::types::{Value as Sql, ValueRef};
use serde_json::Value as Json;
use std::fmt::Write;

/// A JSON value as SQLite stores it; arrays and objects become their JSON text.
pub fn to_sql(value: &Json) -> Result<Sql> {
    Ok(match value {
        Json::Null => Sql::Null,
        Json::Bool(flag) => Sql::Integer((*flag).into()),
        Json::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(integer), _) => Sql::Integer(integer),
            (None, Some(float)) if !number.is_u64() => Sql::Real(float),
            _ => {
                return Err(Error::bad_request(format!(
                    "the number {number} does not fit into a signed 64-bit integer"
                )));
            }
        },
        Json::String(text) => Sql::Text(text.clone()),
        Json::Array(_) | Json::Object(_) => Sql::Text(value.to_string()),
    })
}

/// A value of SQLite as JSON; `boolean` says that its column is declared so.
///
/// What JSON lacks: bytes become hexadecimal text, infinities become null.
pub fn to_json(value: ValueRef<'_>, boolean: bool) -> Json {
    match value {
        ValueRef::Null => Json::Null,
        ValueRef::Integer(0) if boolean => Json::Bool(false),
        ValueRef::Integer(1) if boolean => Json::Bool(true),
        ValueRef::Integer(integer) => integer.into(),
        ValueRef::Real(float) => float.into(),
        ValueRef::Text(text) => String::from_utf8_lossy(text).into(),
        ValueRef::Blob(bytes) => bytes
            .iter()
            .fold(String::with_capacity(2 * bytes.len()), |mut hex, byte| {
                let _ = write!(hex, "{byte:02x}");
                hex
            })
            .into(),
    }
}

/// Whether a column of this declared type holds booleans.
pub fn is_boolean(declared: Option<&str>) -> bool {
    declared.is_some_and(|name| {
        name.eq_ignore_ascii_case("boolean") || name.eq_ignore_ascii_case("bool")
    })
}

/// A JSON scalar as an SQL literal, for the default of a column.
pub fn literal(value: &Json) -> Result<String> {
    Ok(match to_sql(value)? {
        Sql::Null => "NULL".into(),
        Sql::Integer(integer) => integer.to_string(),
        Sql::Real(float) => format!("{float:e}"),
        Sql::Text(text) if text.contains('\0') => {
            return Err(Error::bad_request("a default value contains NUL"));
        }
        Sql::Text(text) => format!("'{}'", text.replace('\'', "''")),
        Sql::Blob(_) => unreachable!("JSON has no bytes"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn scalars_come_back_as_they_went() {
        for value in [
            json!(null),
            json!(0),
            json!(i64::MAX),
            json!(i64::MIN),
            json!(9_007_199_254_740_993_i64),
            json!(0.1),
            json!(5.0),
            json!(-1e300),
            json!(""),
            json!("a\0ü€😀"),
        ] {
            let stored = to_sql(&value).unwrap();
            assert_eq!(to_json((&stored).into(), false).to_string(), value.to_string());
        }
    }

    #[test]
    fn booleans_need_a_column_that_says_so() {
        assert_eq!(to_json(ValueRef::Integer(1), true), json!(true));
        assert_eq!(to_json(ValueRef::Integer(0), true), json!(false));
        assert_eq!(to_json(ValueRef::Integer(2), true), json!(2));
        assert_eq!(to_json(ValueRef::Integer(1), false), json!(1));
        assert!(is_boolean(Some("Boolean")) && is_boolean(Some("BOOL")));
        assert!(!is_boolean(Some("integer")) && !is_boolean(None));
    }

    #[test]
    fn what_does_not_fit_is_refused_or_told_apart() {
        assert!(to_sql(&json!(u64::MAX)).is_err());
        assert_eq!(to_json(ValueRef::Blob(&[0, 255]), false), json!("00ff"));
        assert_eq!(to_json(ValueRef::Real(f64::INFINITY), false), json!(null));
    }

    #[test]
    fn literals_are_quoted() {
        assert_eq!(literal(&json!("it's")).unwrap(), "'it''s'");
        assert_eq!(literal(&json!(true)).unwrap(), "1");
        assert_eq!(literal(&json!(0.5)).unwrap(), "5e-1");
    }
}

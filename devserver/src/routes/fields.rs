//! Fields of the JSON objects that clients send.

use crate::error::{Error, Result};
use crate::store::schema::Column;
use crate::store::sql::Row;
use serde_json::{Map, Value};

/// Takes out a field that must be text.
pub fn text(object: &mut Map<String, Value>, field: &str) -> Result<String> {
    match object.remove(field) {
        Some(Value::String(text)) => Ok(text),
        Some(_) => Err(Error::bad_request(format!("{field:?} must be a string"))),
        None => Err(Error::bad_request(format!("{field:?} is missing"))),
    }
}

/// Takes out a field that must be text where it is given; null counts as not given.
pub fn optional_text(object: &mut Map<String, Value>, field: &str) -> Result<Option<String>> {
    match object.remove(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Error::bad_request(format!("{field:?} must be a string"))),
    }
}

/// Takes out a field that must be a list.
pub fn list(object: &mut Map<String, Value>, field: &str) -> Result<Vec<Value>> {
    match object.remove(field) {
        Some(Value::Array(list)) => Ok(list),
        Some(_) => Err(Error::bad_request(format!("{field:?} must be an array"))),
        None => Err(Error::bad_request(format!("{field:?} is missing"))),
    }
}

/// Takes out a field that must be an object.
pub fn object(object: &mut Map<String, Value>, field: &str) -> Result<Row> {
    match object.remove(field) {
        Some(Value::Object(inner)) => Ok(inner),
        Some(_) => Err(Error::bad_request(format!("{field:?} must be an object"))),
        None => Err(Error::bad_request(format!("{field:?} is missing"))),
    }
}

/// Refuses what nobody took out; a wish that is ignored in silence is worse than an error.
pub fn finish(object: &Map<String, Value>, what: &str) -> Result<()> {
    match object.keys().next() {
        None => Ok(()),
        Some(field) => Err(Error::bad_request(format!("{what} has no field {field:?}"))),
    }
}

/// Takes out the columns of a table to be made.
pub fn columns(object: &mut Map<String, Value>) -> Result<Vec<Column>> {
    list(object, "columns")?.into_iter().map(column).collect()
}

fn column(value: Value) -> Result<Column> {
    let Value::Object(mut object) = value else {
        return Err(Error::bad_request("a column must be an object"));
    };
    let object = &mut object;
    let column = Column {
        name: text(object, "name")?,
        kind: text(object, "type")?,
        nullable: flag(object, "nullable", None)?.unwrap_or(true),
        primary_key: flag(object, "primaryKey", Some("primary_key"))?.unwrap_or(false),
        unique: flag(object, "unique", None)?.unwrap_or(false),
        default: object
            .remove("defaultValue")
            .or_else(|| object.remove("default_value"))
            .or_else(|| object.remove("default"))
            .filter(|value| !value.is_null()),
    };
    finish(object, "a column")?;
    Ok(column)
}

fn flag(object: &mut Map<String, Value>, field: &str, alias: Option<&str>) -> Result<Option<bool>> {
    let value = object.remove(field).or_else(|| alias.and_then(|alias| object.remove(alias)));
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(flag)) => Ok(Some(flag)),
        Some(_) => Err(Error::bad_request(format!("{field:?} must be true or false"))),
    }
}

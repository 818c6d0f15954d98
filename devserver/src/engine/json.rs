//! JSON as it comes and goes: read without rounding a number, written without a copy of a name for
//! each row.

use crate::error::{Error, Result};
use rusqlite::types::{Value as Sql, ValueRef};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::collections::HashSet;
use std::fmt;
use std::io::Write;

/// How much of a number an error shows.
const SHOWN: usize = 40;

/// A JSON object whose values are still the text that came, in its order.
#[derive(Debug, Default)]
pub struct Object<'b>(Vec<(String, &'b RawValue)>);

impl<'b> Object<'b> {
    /// Reads a body; none where it is empty.
    pub fn parse(body: &'b [u8]) -> Result<Option<Self>> {
        if body.is_empty() {
            return Ok(None);
        }
        match body.iter().find(|byte| !byte.is_ascii_whitespace()) {
            // Else serde_json would say what else it had expected.
            Some(b'{') | None => {}
            Some(_) => {
                return Err(match serde_json::from_slice::<&RawValue>(body) {
                    Ok(_) => Error::bad_request("the body must be a JSON object"),
                    Err(error) => not_json(&error),
                });
            }
        }
        serde_json::from_slice(body).map(Some).map_err(|error| not_json(&error))
    }

    /// The same; an empty body is an error.
    pub fn required(body: &'b [u8]) -> Result<Self> {
        Self::parse(body)?
            .ok_or_else(|| Error::bad_request("the request needs a JSON object as its body"))
    }

    /// The names and the values, in order.
    pub fn members(&self) -> impl ExactSizeIterator<Item = (&str, &'b RawValue)> {
        self.0.iter().map(|(name, value)| (name.as_str(), *value))
    }

    /// Whether it has no members.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes a member out; null counts as not given.
    pub fn take(&mut self, name: &str) -> Option<&'b RawValue> {
        let at = self.0.iter().position(|(key, _)| key == name)?;
        Some(self.0.remove(at).1).filter(|value| value.get() != "null")
    }

    /// Takes out a member that must be text.
    pub fn take_text(&mut self, field: &str) -> Result<String> {
        self.take_optional_text(field)?.ok_or_else(|| missing(field))
    }

    /// Takes out a member that must be text where it is given.
    pub fn take_optional_text(&mut self, field: &str) -> Result<Option<String>> {
        let Some(value) = self.take(field) else { return Ok(None) };
        if !value.get().starts_with('"') {
            return Err(Error::bad_request(format!("{field:?} must be a string")));
        }
        text(value).map(Some)
    }

    /// Takes out a member that must be a list.
    pub fn take_list(&mut self, field: &str) -> Result<Vec<&'b RawValue>> {
        self.take_optional_list(field)?.ok_or_else(|| missing(field))
    }

    /// Takes out a member that must be a list where it is given.
    pub fn take_optional_list(&mut self, field: &str) -> Result<Option<Vec<&'b RawValue>>> {
        let Some(value) = self.take(field) else { return Ok(None) };
        if !value.get().starts_with('[') {
            return Err(Error::bad_request(format!("{field:?} must be an array")));
        }
        serde_json::from_str(value.get()).map(Some).map_err(|error| not_json(&error))
    }

    /// Takes out a member that must be an object.
    pub fn take_object(&mut self, field: &str) -> Result<Self> {
        let value = self.take(field).ok_or_else(|| missing(field))?;
        object(value)?.ok_or_else(|| Error::bad_request(format!("{field:?} must be an object")))
    }

    /// Takes out a member that must be true or false where it is given.
    pub fn take_flag(&mut self, field: &str) -> Result<Option<bool>> {
        match self.take(field).map(RawValue::get) {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(_) => Err(Error::bad_request(format!("{field:?} must be true or false"))),
        }
    }

    /// Refuses what nobody took out; a wish that is ignored in silence is worse than an error.
    pub fn finish(&self, what: &str) -> Result<()> {
        match self.0.first() {
            None => Ok(()),
            Some((field, _)) => Err(Error::bad_request(format!("{what} has no field {field:?}"))),
        }
    }
}

impl<'b: 'd, 'd> Deserialize<'b> for Object<'d> {
    fn deserialize<D: Deserializer<'b>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Members;

        impl<'b> Visitor<'b> for Members {
            type Value = Object<'b>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'b>>(
                self,
                mut map: A,
            ) -> std::result::Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                let mut names = HashSet::new();
                while let Some(name) = map.next_key::<String>()? {
                    if !names.insert(name.clone()) {
                        let message =
                            format_args!("the member {name:?} is given twice").to_string();
                        return Err(serde::de::Error::custom(message));
                    }
                    members.push((name, map.next_value()?));
                }
                Ok(Object(members))
            }
        }

        deserializer.deserialize_map(Members)
    }
}

/// A value as an object, if it is one.
pub fn object(value: &RawValue) -> Result<Option<Object<'_>>> {
    if !value.get().starts_with('{') {
        return Ok(None);
    }
    serde_json::from_str(value.get()).map(Some).map_err(|error| not_json(&error))
}

/// A value as SQLite stores it; arrays and objects become their JSON text.
pub fn to_sql(value: &RawValue) -> Result<Sql> {
    let text_of = value.get();
    Ok(match text_of.as_bytes()[0] {
        b'n' => Sql::Null,
        b't' => Sql::Integer(1),
        b'f' => Sql::Integer(0),
        b'"' => Sql::Text(text(value)?),
        b'[' | b'{' => Sql::Text(compact(text_of)),
        _ => number(text_of)?,
    })
}

/// An integer must be exact, and any other number a finite double.
fn number(text: &str) -> Result<Sql> {
    let refuse = |kind: &str| {
        let shown = if text.len() > SHOWN { format!("{}…", &text[..SHOWN]) } else { text.into() };
        Err(Error::bad_request(format!("the number {shown} does not fit into {kind}")))
    };
    if text.contains(['.', 'e', 'E']) {
        return match text.parse::<f64>() {
            Ok(float) if float.is_finite() => Ok(Sql::Real(float)),
            _ => refuse("a 64-bit floating-point number"),
        };
    }
    match text.parse() {
        Ok(integer) => Ok(Sql::Integer(integer)),
        Err(_) => refuse("a signed 64-bit integer"),
    }
}

fn text(value: &RawValue) -> Result<String> {
    serde_json::from_str(value.get()).map_err(|error| not_json(&error))
}

/// The same JSON without the white space between its parts, every number as it was spelled.
fn compact(text: &str) -> String {
    let mut compact = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['"', ' ', '\t', '\r', '\n']) {
        compact.push_str(&rest[..at]);
        rest = &rest[at..];
        let mut end = 1;
        if rest.starts_with('"') {
            let bytes = rest.as_bytes();
            while end < bytes.len() && bytes[end] != b'"' {
                end += if bytes[end] == b'\\' { 2 } else { 1 };
            }
            end = (end + 1).min(rest.len());
            compact.push_str(&rest[..end]);
        }
        rest = &rest[end..];
    }
    compact + rest
}

fn missing(field: &str) -> Error {
    Error::bad_request(format!("{field:?} is missing"))
}

fn not_json(error: &serde_json::Error) -> Error {
    Error::bad_request(format!("the body is not JSON: {error}"))
}

/// Writes a text as JSON.
pub fn write_text(into: &mut Vec<u8>, text: &str) {
    // Nothing can fail when the target is memory.
    let _ = serde_json::to_writer(into, text);
}

/// Writes a value of SQLite as JSON; `boolean` says that its column is declared so.
///
/// What JSON lacks: bytes become hexadecimal text, infinities become null.
pub fn write_value(into: &mut Vec<u8>, value: ValueRef<'_>, boolean: bool) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    match value {
        ValueRef::Null => into.extend_from_slice(b"null"),
        ValueRef::Integer(0) if boolean => into.extend_from_slice(b"false"),
        ValueRef::Integer(1) if boolean => into.extend_from_slice(b"true"),
        ValueRef::Integer(integer) => {
            let _ = write!(into, "{integer}");
        }
        ValueRef::Real(float) => {
            let _ = serde_json::to_writer(into, &float);
        }
        ValueRef::Text(text) => write_text(into, &String::from_utf8_lossy(text)),
        ValueRef::Blob(bytes) => {
            into.push(b'"');
            for byte in bytes {
                into.push(HEX[usize::from(byte >> 4)]);
                into.push(HEX[usize::from(byte & 15)]);
            }
            into.push(b'"');
        }
    }
}

/// The least that a value takes as JSON, known before it is written.
pub fn least_size(value: ValueRef<'_>) -> usize {
    match value {
        ValueRef::Text(text) => text.len() + 2,
        ValueRef::Blob(bytes) => 2 * bytes.len() + 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::value::to_raw_value;

    fn stored(text: &str) -> Result<Sql> {
        to_sql(serde_json::from_str(text).unwrap())
    }

    fn shown(value: &Sql, boolean: bool) -> String {
        let mut text = Vec::new();
        write_value(&mut text, value.into(), boolean);
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn scalars_come_back_as_they_went() {
        for value in [
            "null",
            "0",
            "9223372036854775807",
            "-9223372036854775808",
            "9007199254740993",
            "0.1",
            "5.0",
            "-0.0",
            "-1e+300",
            "\"\"",
            "\"a\\u0000ü€😀\"",
        ] {
            assert_eq!(shown(&stored(value).unwrap(), false), value);
        }
        assert_eq!(stored("-0").unwrap(), Sql::Integer(0));
        assert_eq!(stored("1e3").unwrap(), Sql::Real(1000.0));
    }

    #[test]
    fn a_number_that_does_not_fit_is_refused_whatever_it_is_for() {
        for number in [
            "9223372036854775808",
            "18446744073709551615",
            "18446744073709551616",
            "-9223372036854775809",
            &"9".repeat(5000),
            "1e400",
            "-1e400",
        ] {
            let error = stored(number).unwrap_err();
            assert!(error.message.contains("does not fit") && error.message.len() < 150);
        }
        // Inside a document it is not a number of ours, and stays as it was spelled.
        assert_eq!(
            stored("[ 18446744073709551616 , {\"a b\" : \"\\\" \"} ]").unwrap(),
            Sql::Text("[18446744073709551616,{\"a b\":\"\\\" \"}]".into())
        );
    }

    #[test]
    fn booleans_need_a_column_that_says_so() {
        assert_eq!(shown(&Sql::Integer(1), true), "true");
        assert_eq!(shown(&Sql::Integer(0), true), "false");
        assert_eq!(shown(&Sql::Integer(2), true), "2");
        assert_eq!(shown(&Sql::Integer(1), false), "1");
        assert_eq!(shown(&Sql::Blob(vec![0, 255]), false), "\"00ff\"");
        assert_eq!(shown(&Sql::Real(f64::INFINITY), false), "null");
    }

    #[test]
    fn an_object_is_taken_apart_once() {
        let mut object = Object::required(b" {\"a\":\"x\",\"b\":[1, 2],\"c\":null}").unwrap();
        assert_eq!(object.take_text("a").unwrap(), "x");
        assert_eq!(object.take_list("b").unwrap().len(), 2);
        assert!(object.take_flag("c").unwrap().is_none());
        object.finish("it").unwrap();
        for wrong in ["{", "[]", "null", "\"x\"", "{\"a\":}", "{\"a\":1,\"a\":2}", "\0", "{}x"] {
            assert!(Object::required(wrong.as_bytes()).is_err(), "{wrong}");
        }
        assert!(Object::required(b"").is_err());
        let deep = "[".repeat(1_000_000) + &"]".repeat(1_000_000);
        let body = format!("{{\"a\":{deep}}}");
        let object = Object::required(body.as_bytes()).unwrap();
        assert_eq!(to_sql(object.members().next().unwrap().1).unwrap(), Sql::Text(deep));
        let lone = to_raw_value("x").unwrap();
        assert_eq!(to_sql(&lone).unwrap(), Sql::Text("x".into()));
        assert!(stored("\"\\ud800\"").is_err());
    }
}

//! JSON whose numbers keep their digits, so that one that changed on its way is seen.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::value::RawValue;

/// A JSON value.
#[derive(Clone, Debug, PartialEq)]
pub enum Json {
    Null,
    Bool(bool),
    /// Its digits, as they were written.
    Number(String),
    Text(String),
    List(Vec<Json>),
    Object(BTreeMap<String, Json>),
}

impl Json {
    /// Reads a JSON text.
    pub fn parse(text: &str) -> Result<Json, String> {
        let raw: &RawValue = serde_json::from_str(text).map_err(|error| error.to_string())?;
        Json::read(raw)
    }

    fn read(raw: &RawValue) -> Result<Json, String> {
        let text = raw.get();
        let failed = |error: serde_json::Error| error.to_string();
        match text.as_bytes()[0] {
            b'n' => Ok(Json::Null),
            b't' | b'f' => Ok(Json::Bool(text == "true")),
            b'"' => Ok(Json::Text(serde_json::from_str(text).map_err(failed)?)),
            b'[' => {
                let items: Vec<&RawValue> = serde_json::from_str(text).map_err(failed)?;
                Ok(Json::List(items.into_iter().map(Json::read).collect::<Result<_, _>>()?))
            }
            b'{' => {
                let members: BTreeMap<String, &RawValue> =
                    serde_json::from_str(text).map_err(failed)?;
                let read = |(name, value)| Ok((name, Json::read(value)?));
                Ok(Json::Object(members.into_iter().map(read).collect::<Result<_, String>>()?))
            }
            _ => Ok(Json::Number(text.to_owned())),
        }
    }

    /// An object of these members.
    pub fn object(members: impl IntoIterator<Item = (&'static str, Json)>) -> Json {
        Json::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    /// The member of this name, if it is an object that has one.
    pub fn get(&self, name: &str) -> Option<&Json> {
        match self {
            Json::Object(members) => members.get(name),
            _ => None,
        }
    }

    /// Its characters, if it is a text.
    pub fn text(&self) -> Option<&str> {
        match self {
            Json::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Its value, if it is a number.
    pub fn number(&self) -> Option<f64> {
        match self {
            Json::Number(digits) => digits.parse().ok(),
            _ => None,
        }
    }

    /// Its items, if it is a list.
    pub fn list(&self) -> Option<&[Json]> {
        match self {
            Json::List(items) => Some(items),
            _ => None,
        }
    }

    /// Its text, or the texts in its list.
    pub fn texts(&self) -> Vec<String> {
        match self {
            Json::Text(text) => vec![text.clone()],
            Json::List(items) => items.iter().filter_map(Json::text).map(str::to_owned).collect(),
            _ => Vec::new(),
        }
    }

    /// # Errors
    /// It is not an object, or has a member that is in none of these lists.
    pub fn check_members(&self, known: &[&[&str]]) -> Result<(), String> {
        let Json::Object(members) = self else { return Err("is not an object".to_owned()) };
        match members.keys().find(|name| !known.iter().any(|list| list.contains(&name.as_str()))) {
            Some(name) => Err(format!("{name} means nothing here")),
            None => Ok(()),
        }
    }

    /// The same with each text replaced.
    pub fn map_texts(self, replace: &impl Fn(&str) -> String) -> Json {
        match self {
            Json::Text(text) => Json::Text(replace(&text)),
            Json::List(items) => {
                Json::List(items.into_iter().map(|it| it.map_texts(replace)).collect())
            }
            Json::Object(members) => Json::Object(
                members.into_iter().map(|(name, it)| (name, it.map_texts(replace))).collect(),
            ),
            other => other,
        }
    }
}

impl From<&str> for Json {
    fn from(text: &str) -> Json {
        Json::Text(text.to_owned())
    }
}

impl From<String> for Json {
    fn from(text: String) -> Json {
        Json::Text(text)
    }
}

impl From<usize> for Json {
    fn from(number: usize) -> Json {
        Json::Number(number.to_string())
    }
}

impl From<Vec<Json>> for Json {
    fn from(items: Vec<Json>) -> Json {
        Json::List(items)
    }
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        match self {
            Json::Null => f.write_str("null"),
            Json::Bool(value) => write!(f, "{value}"),
            Json::Number(digits) => f.write_str(digits),
            Json::Text(text) => f.write_str(&quoted(text)),
            Json::List(items) => {
                f.write_str("[")?;
                for (index, item) in items.iter().enumerate() {
                    write!(f, "{}{item}", if index == 0 { "" } else { "," })?;
                }
                f.write_str("]")
            }
            Json::Object(members) => {
                f.write_str("{")?;
                for (index, (name, member)) in members.iter().enumerate() {
                    let comma = if index == 0 { "" } else { "," };
                    write!(f, "{comma}{}:{member}", quoted(name))?;
                }
                f.write_str("}")
            }
        }
    }
}

/// A number as its sign, its digits without zeros at the ends, and the power of ten of the last.
fn decimal(number: &str) -> Option<(bool, String, i64)> {
    let (mantissa, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let is_negative = mantissa.starts_with('-');
    let mantissa = mantissa.trim_start_matches('-');
    let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{part}");
    let significant = digits.trim_end_matches('0');
    let dropped = i64::try_from(digits.len() - significant.len()).ok()?;
    let exponent = exponent.parse::<i64>().ok()? - i64::try_from(part.len()).ok()? + dropped;
    let significant = significant.trim_start_matches('0').to_owned();
    if significant.is_empty() {
        return Some((false, significant, 0));
    }
    Some((is_negative, significant, exponent))
}

/// Whether two numbers are the same, however they are written.
pub fn same_number(one: &str, other: &str) -> bool {
    one == other || (decimal(one).is_some() && decimal(one) == decimal(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_written_as_it_was() {
        let text = r#"{"a":[1.50,9007199254740993,-0.1e5],"b":{"c":null,"d":"ü\n"},"e":true}"#;
        assert_eq!(Json::parse(text).unwrap().to_string(), text);
        assert!(Json::parse("{").is_err());
    }

    #[test]
    fn numbers_are_the_same_however_they_are_written() {
        for (one, other) in
            [("1", "1.0"), ("100", "1e2"), ("-0", "0"), ("0.010", "1E-2"), ("12.5", "1.25e+1")]
        {
            assert!(same_number(one, other), "{one} {other}");
        }
        for (one, other) in [
            ("9007199254740993", "9007199254740992"),
            ("1", "-1"),
            ("0.30000000000000004", "0.3"),
            ("1", "10"),
        ] {
            assert!(!same_number(one, other), "{one} {other}");
        }
    }
}

//! Reading JSON without building trees: members of an object, elements of an array, their kinds.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::stop::Stop;

/// How deep arrays and objects may nest: the limit of serde_json itself, which does not count
/// inside raw values.
const DEPTH: usize = 128;

/// What a JSON text is, told from its first character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Null,
    Bool,
    Number,
    String,
    Array,
    Object,
}

impl Shape {
    /// The shape of a text that is valid JSON.
    pub(super) fn of(json: &str) -> Shape {
        match json.trim_start().as_bytes().first() {
            Some(b'{') => Shape::Object,
            Some(b'[') => Shape::Array,
            Some(b'"') => Shape::String,
            Some(b't' | b'f') => Shape::Bool,
            Some(b'n') => Shape::Null,
            _ => Shape::Number,
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Shape::Null => "null",
            Shape::Bool => "a boolean",
            Shape::Number => "a number",
            Shape::String => "a string",
            Shape::Array => "an array",
            Shape::Object => "an object",
        })
    }
}

/// Checks that a text is one JSON value that nests no deeper than [`DEPTH`].
pub(super) fn check(text: &str) -> Result<Shape, String> {
    serde_json::from_str::<IgnoredAny>(text).map_err(|error| error.to_string())?;
    check_depth(text)?;
    Ok(Shape::of(text))
}

/// As [`check`]; if the text is an object, also finds some of its members on the way, of two with
/// the same name the last. `stop` may end it, with whatever error.
pub(super) fn check_and_find<'a, const N: usize>(
    text: &'a str,
    names: [&str; N],
    stop: &Stop<'_>,
) -> Result<(Shape, [Option<&'a str>; N]), String> {
    let mut found = [None; N];
    if Shape::of(text) != Shape::Object {
        return Ok((check(text)?, found));
    }
    members(text, |name, value| {
        if let Some(index) = names.iter().position(|wanted| *wanted == name) {
            found[index] = Some(value);
        }
        stop.check(value.len()).map_err(|_| "stopped".to_owned())
    })?;
    check_depth(text)?;
    Ok((Shape::Object, found))
}

/// Expects valid JSON: brackets are counted, strings skipped.
fn check_depth(json: &str) -> Result<(), String> {
    // Counting is much faster than looking closely, and mostly enough.
    if json.bytes().filter(|byte| matches!(byte, b'[' | b'{')).count() <= DEPTH {
        return Ok(());
    }
    let mut depth = 0;
    let mut in_string = false;
    let mut escaped = false;
    for byte in json.bytes() {
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'[' | b'{' => {
                depth += 1;
                if depth > DEPTH {
                    return Err(format!("nested deeper than {DEPTH} levels"));
                }
            }
            b']' | b'}' => depth -= 1,
            _ => {}
        }
    }
    Ok(())
}

/// The text of a JSON string, for a value of that shape.
pub(super) fn string(json: &str) -> Result<String, String> {
    serde_json::from_str(json).map_err(|error| error.to_string())
}

/// `text` as a JSON string, quotes included.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Calls `visit` with each member of an object, in order; the first error ends it.
pub(super) fn members<'a>(
    json: &'a str,
    visit: impl FnMut(Cow<'a, str>, &'a str) -> Result<(), String>,
) -> Result<(), String> {
    struct Members<F>(F);

    impl<'de, F> Visitor<'de> for Members<F>
    where
        F: FnMut(Cow<'de, str>, &'de str) -> Result<(), String>,
    {
        type Value = ();

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a JSON object")
        }

        fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
            while let Some(name) = map.next_key::<Text<'de>>()? {
                let value = map.next_value::<&'de RawValue>()?;
                (self.0)(name.0, value.get()).map_err(serde::de::Error::custom)?;
            }
            Ok(())
        }
    }

    let mut reader = serde_json::Deserializer::from_str(json);
    let read = reader.deserialize_map(Members(visit)).and_then(|()| reader.end());
    read.map_err(|error| error.to_string())
}

/// A string, which need not be copied if nothing in it is escaped.
struct Text<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TextVisitor).map(Text)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}

/// Calls `visit` with each string of an array; false, at the first of them, if it has other elements.
pub(super) fn strings(json: &str, visit: impl FnMut(&str)) -> bool {
    struct Strings<F>(F);
    struct One<'a, F>(&'a mut F);

    impl<'de, F: FnMut(&str)> Visitor<'de> for Strings<F> {
        type Value = ();

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an array of strings")
        }

        fn visit_seq<A: SeqAccess<'de>>(mut self, mut elements: A) -> Result<(), A::Error> {
            while elements.next_element_seed(One(&mut self.0))?.is_some() {}
            Ok(())
        }
    }

    impl<'de, F: FnMut(&str)> DeserializeSeed<'de> for One<'_, F> {
        type Value = ();

        fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
            deserializer.deserialize_str(self)
        }
    }

    impl<F: FnMut(&str)> Visitor<'_> for One<'_, F> {
        type Value = ();

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a string")
        }

        fn visit_str<E>(self, text: &str) -> Result<(), E> {
            (self.0)(text);
            Ok(())
        }
    }

    let mut reader = serde_json::Deserializer::from_str(json);
    reader.deserialize_seq(Strings(visit)).is_ok()
}

/// Calls `visit` with each element of an array, in order; the first error ends it.
pub(super) fn elements<'a>(
    json: &'a str,
    visit: impl FnMut(&'a str) -> Result<(), String>,
) -> Result<(), String> {
    struct Elements<F>(F);

    impl<'de, F> Visitor<'de> for Elements<F>
    where
        F: FnMut(&'de str) -> Result<(), String>,
    {
        type Value = ();

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a JSON array")
        }

        fn visit_seq<A: SeqAccess<'de>>(mut self, mut elements: A) -> Result<(), A::Error> {
            while let Some(value) = elements.next_element::<&'de RawValue>()? {
                (self.0)(value.get()).map_err(serde::de::Error::custom)?;
            }
            Ok(())
        }
    }

    let mut reader = serde_json::Deserializer::from_str(json);
    reader.deserialize_seq(Elements(visit)).map_err(|error| error.to_string())
}

/// The value of the first of `names` that an object has; the order of `names` decides.
pub(super) fn member<'a>(json: &'a str, names: &[&str]) -> Option<&'a str> {
    let mut best: Option<(usize, &'a str)> = None;
    members(json, |name, value| {
        if let Some(rank) = names.iter().position(|wanted| *wanted == name) {
            if best.is_none_or(|(so_far, _)| rank <= so_far) {
                best = Some((rank, value));
            }
        }
        Ok(())
    })
    .ok()?;
    best.map(|(_, value)| value)
}

/// A whole number, exactly: `5`, `5.0` and `5e0` are 5; `5.5` is none.
pub(super) fn exact_integer(number: &str) -> Result<i64, NotAnInteger> {
    if let Ok(plain) = number.parse() {
        return Ok(plain);
    }
    let (mantissa, exponent) = match number.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (number, None),
    };
    let (sign, mantissa) = match mantissa.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", mantissa),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let fraction = fraction.trim_end_matches('0');
    let digits = format!("{whole}{fraction}");
    let digits = digits.trim_start_matches('0');
    if digits.is_empty() {
        return Ok(0);
    }
    let exponent = match exponent.map(str::parse::<i64>) {
        None => 0,
        Some(Ok(exponent)) => exponent,
        // An exponent beyond 64 bits: its sign says whether the number is huge or tiny.
        Some(Err(_)) if number.contains("e-") || number.contains("E-") => {
            return Err(NotAnInteger::Fraction);
        }
        Some(Err(_)) => return Err(NotAnInteger::OutOfRange),
    };
    let significant = digits.trim_end_matches('0');
    let trailing = (digits.len() - significant.len()) as i64;
    let zeros = exponent.saturating_sub(fraction.len() as i64).saturating_add(trailing);
    if zeros < 0 {
        return Err(NotAnInteger::Fraction);
    }
    // i64 has 19 digits; more can't fit, and must not be written out.
    if zeros.saturating_add(significant.len() as i64) > 19 {
        return Err(NotAnInteger::OutOfRange);
    }
    let zeros = "0".repeat(zeros as usize);
    format!("{sign}{significant}{zeros}").parse().map_err(|_| NotAnInteger::OutOfRange)
}

/// Why a number is not a 64-bit integer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotAnInteger {
    Fraction,
    OutOfRange,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_exact_in_every_spelling() {
        for (text, value) in [
            ("0", 0),
            ("-0", 0),
            ("-0.0", 0),
            ("0e999999999999999999999", 0),
            ("5.0", 5),
            ("1e3", 1000),
            ("1.5e1", 15),
            ("1200e-2", 12),
            ("-12.30E1", -123),
            ("9223372036854775807", i64::MAX),
            ("-9223372036854775808", i64::MIN),
            ("922337203685477580.7e1", i64::MAX),
            ("9007199254740993.0", 9_007_199_254_740_993),
        ] {
            assert_eq!(exact_integer(text), Ok(value), "{text}");
        }
        for text in ["1.5", "1e-1", "15e-1", "1e-99999999999999999999", "0.1"] {
            assert_eq!(exact_integer(text), Err(NotAnInteger::Fraction), "{text}");
        }
        for text in
            ["9223372036854775808", "1e19", "1e99999999999999999999", "-9223372036854775809"]
        {
            assert_eq!(exact_integer(text), Err(NotAnInteger::OutOfRange), "{text}");
        }
    }

    #[test]
    fn nesting_is_bounded_and_brackets_in_strings_do_not_count() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(check(&nested(DEPTH)), Ok(Shape::Array));
        assert!(check(&nested(DEPTH + 1)).unwrap_err().contains("deeper than 128"));
        assert!(check(&nested(1_000_000)).is_err());
        let quoted = format!("[\"\\\"{}\"]", "[".repeat(500));
        assert_eq!(check(&quoted), Ok(Shape::Array));
    }

    #[test]
    fn members_come_in_order_and_the_preferred_name_wins() {
        let json = r#"{"b": 1, "a": {"x": [2]}, "c": null}"#;
        let mut seen = Vec::new();
        members(json, |name, value| {
            seen.push(format!("{name}={value}"));
            Ok(())
        })
        .unwrap();
        assert_eq!(seen, ["b=1", "a={\"x\": [2]}", "c=null"]);
        assert_eq!(member(json, &["c", "b"]), Some("null"));
        assert_eq!(member(json, &["x"]), None);
        assert_eq!(member("[1]", &["x"]), None);
    }
}

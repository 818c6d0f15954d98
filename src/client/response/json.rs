//! Reads JSON in one pass: token by token, without trees, without recursion, every rule of RFC 8259
//! checked on the way.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use crate::client::response::stop::{Stop, StoppedError};
use crate::client::response::words::plain_length;

/// How deep arrays and objects may nest.
pub(in crate::client) const DEPTH: usize = 128;

/// What a JSON value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::client) enum Shape {
    Null,
    Bool,
    Number,
    String,
    Array,
    Object,
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

/// Where a string's content stands, between its quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::client) struct Quoted {
    pub(in crate::client) content: Range<usize>,
    /// Whether something in it is escaped.
    pub(in crate::client) is_escaped: bool,
}

/// What a JSON text consists of, with the place where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::client) enum Token {
    Null,
    Bool(Range<usize>),
    Number(Range<usize>),
    String(Quoted),
    /// The name of a member, whose value comes next.
    Key(Quoted),
    /// An array begins.
    Array(usize),
    /// An object begins.
    Object(usize),
    /// The array or object that began last ends, before this place.
    End(usize),
}

impl Token {
    /// The shape of the value that begins with this token.
    pub(in crate::client) fn shape(&self) -> Shape {
        match self {
            Token::Null => Shape::Null,
            Token::Bool(_) => Shape::Bool,
            Token::Number(_) => Shape::Number,
            Token::String(_) | Token::Key(_) => Shape::String,
            Token::Array(_) | Token::End(_) => Shape::Array,
            Token::Object(_) => Shape::Object,
        }
    }
}

/// Why the reading of a JSON text ended early.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::client) enum JsonError {
    /// It is not JSON: what is wrong, and at which byte.
    Invalid(&'static str, usize),
    /// It nests deeper than [`DEPTH`].
    TooDeep,
    Stopped,
}

impl From<StoppedError> for JsonError {
    fn from(_: StoppedError) -> JsonError {
        JsonError::Stopped
    }
}

impl JsonError {
    /// For people; `text` is what was read.
    pub(in crate::client) fn described(&self, text: &[u8]) -> String {
        match self {
            JsonError::Invalid(what, at) => {
                let before = &text[..text.len().min(*at)];
                let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
                let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
                format!("{what} at line {line} column {}", before.len() - start + 1)
            }
            JsonError::TooDeep => format!("nested deeper than {DEPTH} levels"),
            JsonError::Stopped => "stopped".to_owned(),
        }
    }
}

/// What may come next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Value,
    FirstElement,
    FirstKey,
    /// What follows a value: a comma, the end of what it is in, or the end of the text.
    Rest,
}

/// Reads one JSON value. It holds no borrow of the text, which may change behind the place that it
/// has come to.
pub(in crate::client) struct Scanner<'s> {
    at: usize,
    end: usize,
    next: Next,
    depth: usize,
    /// For each open level whether it is an object; the innermost is the lowest bit.
    objects: u128,
    stop: &'s Stop<'s>,
    looked: usize,
}

/// After so many bytes it asks whether to go on.
const BETWEEN_LOOKS: usize = 4096;

impl<'s> Scanner<'s> {
    /// Of the value that is in this part of a text, which is UTF-8.
    pub(in crate::client) fn new(part: Range<usize>, stop: &'s Stop<'s>) -> Scanner<'s> {
        Scanner {
            at: part.start,
            end: part.end,
            next: Next::Value,
            depth: 0,
            objects: 0,
            stop,
            looked: part.start,
        }
    }

    /// How far it has come.
    pub(in crate::client) fn place(&self) -> usize {
        self.at
    }

    /// The next token; `None` at the end, behind which only white space may come.
    pub(in crate::client) fn next(&mut self, text: &[u8]) -> Result<Option<Token>, JsonError> {
        self.step(&text[..self.end])
    }

    /// As [`Scanner::next`]. It is part of each loop that it serves, which then makes no more of a
    /// token than it needs. `text` ends with the part that is read.
    #[inline(always)]
    fn step(&mut self, text: &[u8]) -> Result<Option<Token>, JsonError> {
        if self.at - self.looked >= BETWEEN_LOOKS {
            self.look()?;
        }
        let byte = self.peek(text);
        let (first, is_key) = match self.next {
            Next::Value => (byte, false),
            Next::FirstElement if byte == Some(b']') => return Ok(Some(self.close())),
            Next::FirstElement => (byte, false),
            Next::FirstKey if byte == Some(b'}') => return Ok(Some(self.close())),
            Next::FirstKey => (byte, true),
            Next::Rest => match (byte, self.is_in_object()) {
                (None, _) if self.depth == 0 => return Ok(None),
                _ if self.depth == 0 => return Err(self.invalid("trailing characters")),
                (Some(b','), is_in_object) => {
                    self.at += 1;
                    (self.peek(text), is_in_object)
                }
                (Some(b'}'), true) | (Some(b']'), false) => return Ok(Some(self.close())),
                (Some(_), true) => return Err(self.invalid("expected `,` or `}`")),
                (Some(_), false) => return Err(self.invalid("expected `,` or `]`")),
                (None, _) => return Err(self.invalid("unexpected end")),
            },
        };
        let token = if is_key { self.key(text, first) } else { self.value(text, first) };
        token.map(Some)
    }

    /// Asks whether to go on.
    fn look(&mut self) -> Result<(), JsonError> {
        self.stop.check(self.at - self.looked)?;
        self.looked = self.at;
        Ok(())
    }

    /// The token that must come next.
    pub(in crate::client) fn expect(&mut self, text: &[u8]) -> Result<Token, JsonError> {
        let place = self.at;
        self.next(text)?.ok_or(JsonError::Invalid("unexpected end", place))
    }

    /// Skips the rest of the value that began with this token; gives where it stands in the text.
    pub(in crate::client) fn skip(
        &mut self,
        text: &[u8],
        first: &Token,
    ) -> Result<Range<usize>, JsonError> {
        let start = match first {
            Token::Array(start) | Token::Object(start) => *start,
            Token::Bool(place) | Token::Number(place) => return Ok(place.clone()),
            Token::String(quoted) | Token::Key(quoted) => {
                return Ok(quoted.content.start - 1..quoted.content.end + 1);
            }
            Token::Null => return Ok(self.at - 4..self.at),
            Token::End(place) => return Ok(*place..*place),
        };
        let outside = self.depth - 1;
        let text = &text[..self.end];
        while self.depth > outside {
            if self.step(text)?.is_none() {
                break;
            }
        }
        Ok(start..self.at)
    }

    fn is_in_object(&self) -> bool {
        self.objects & 1 == 1
    }

    fn invalid(&self, what: &'static str) -> JsonError {
        JsonError::Invalid(what, self.at)
    }

    /// The next byte that is not white space.
    #[inline(always)]
    fn peek(&mut self, text: &[u8]) -> Option<u8> {
        while let Some(byte) = self.byte(text) {
            if !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
                return Some(byte);
            }
            self.at += 1;
        }
        None
    }

    #[inline(always)]
    fn byte(&self, text: &[u8]) -> Option<u8> {
        text.get(self.at).copied()
    }

    #[inline]
    fn open(&mut self, is_object: bool) -> Result<usize, JsonError> {
        if self.depth == DEPTH {
            return Err(JsonError::TooDeep);
        }
        self.depth += 1;
        self.objects = self.objects << 1 | u128::from(is_object);
        self.next = if is_object { Next::FirstKey } else { Next::FirstElement };
        self.at += 1;
        Ok(self.at - 1)
    }

    #[inline]
    fn close(&mut self) -> Token {
        self.at += 1;
        self.depth -= 1;
        self.objects >>= 1;
        self.next = Next::Rest;
        Token::End(self.at)
    }

    #[inline(always)]
    fn key(&mut self, text: &[u8], first: Option<u8>) -> Result<Token, JsonError> {
        if first != Some(b'"') {
            return Err(self.invalid("expected the name of a member"));
        }
        let name = self.string(text)?;
        if self.peek(text) != Some(b':') {
            return Err(self.invalid("expected `:`"));
        }
        self.at += 1;
        self.next = Next::Value;
        Ok(Token::Key(name))
    }

    #[inline(always)]
    fn value(&mut self, text: &[u8], first: Option<u8>) -> Result<Token, JsonError> {
        let token = match first {
            Some(b'"') => Token::String(self.string(text)?),
            Some(b'-' | b'0'..=b'9') => Token::Number(self.number(text)?),
            Some(b'[') => return self.open(false).map(Token::Array),
            Some(b'{') => return self.open(true).map(Token::Object),
            Some(b'n') => self.word(text, b"null").map(|_| Token::Null)?,
            Some(b't') => Token::Bool(self.word(text, b"true")?),
            Some(b'f') => Token::Bool(self.word(text, b"false")?),
            Some(_) => return Err(self.invalid("expected value")),
            None => return Err(self.invalid("unexpected end")),
        };
        self.next = Next::Rest;
        Ok(token)
    }

    fn word(&mut self, text: &[u8], word: &[u8]) -> Result<Range<usize>, JsonError> {
        let place = self.at..self.at + word.len();
        if text.get(place.clone()) != Some(word) {
            return Err(self.invalid("expected value"));
        }
        self.at = place.end;
        Ok(place)
    }

    #[inline(always)]
    fn string(&mut self, text: &[u8]) -> Result<Quoted, JsonError> {
        self.at += 1;
        let start = self.at;
        let mut is_escaped = false;
        loop {
            let piece = &text[self.at..text.len().min(self.at + BETWEEN_LOOKS)];
            self.at += plain_length(piece);
            match self.byte(text) {
                Some(b'"') => break,
                Some(b'\\') => {
                    is_escaped = true;
                    self.escape(text)?;
                }
                Some(0..0x20) => return Err(self.invalid("control character in a string")),
                Some(_) => self.look()?,
                None => return Err(self.invalid("unexpected end of a string")),
            }
        }
        self.at += 1;
        Ok(Quoted { content: start..self.at - 1, is_escaped })
    }

    #[inline(never)]
    fn escape(&mut self, text: &[u8]) -> Result<(), JsonError> {
        self.at += 1;
        let length = match self.byte(text) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => 1,
            Some(b'u') => 5,
            _ => return Err(self.invalid("invalid escape")),
        };
        let after = self.at + length;
        let digits = text.get(self.at + 1..after);
        if !digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) {
            return Err(self.invalid("invalid escape"));
        }
        self.at = after;
        Ok(())
    }

    #[inline(always)]
    fn number(&mut self, text: &[u8]) -> Result<Range<usize>, JsonError> {
        let start = self.at;
        if self.byte(text) == Some(b'-') {
            self.at += 1;
        }
        match self.byte(text) {
            Some(b'0') => self.at += 1,
            _ => self.digits(text)?,
        }
        if self.byte(text) == Some(b'.') {
            self.at += 1;
            self.digits(text)?;
        }
        if let Some(b'e' | b'E') = self.byte(text) {
            self.at += 1;
            if let Some(b'+' | b'-') = self.byte(text) {
                self.at += 1;
            }
            self.digits(text)?;
        }
        Ok(start..self.at)
    }

    /// One digit or more.
    #[inline]
    fn digits(&mut self, text: &[u8]) -> Result<(), JsonError> {
        let first = self.at;
        while self.byte(text).is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at == first { Err(self.invalid("invalid number")) } else { Ok(()) }
    }
}

/// One character of an escaped string's content, or several that need no decoding.
pub(in crate::client) enum Piece {
    Plain(Range<usize>),
    Character(char),
    /// An unpaired surrogate, which is read as U+FFFD.
    Unpaired,
}

/// Takes the first piece from the content of a string that was read before, and so is valid.
pub(in crate::client) fn take_piece(text: &[u8], content: &mut Range<usize>) -> Option<Piece> {
    let rest = text.get(content.clone()).filter(|rest| !rest.is_empty())?;
    let plain = rest.iter().position(|byte| *byte == b'\\').unwrap_or(rest.len());
    if plain > 0 {
        let place = content.start..content.start + plain;
        content.start = place.end;
        return Some(Piece::Plain(place));
    }
    let (piece, length) = match rest.get(1) {
        Some(b'u') => unicode(rest),
        Some(b'b') => (Piece::Character('\u{8}'), 2),
        Some(b'f') => (Piece::Character('\u{c}'), 2),
        Some(b'n') => (Piece::Character('\n'), 2),
        Some(b'r') => (Piece::Character('\r'), 2),
        Some(b't') => (Piece::Character('\t'), 2),
        Some(itself) => (Piece::Character(char::from(*itself)), 2),
        None => (Piece::Unpaired, 1),
    };
    content.start = content.end.min(content.start + length);
    Some(piece)
}

/// What a `\u` stands for, and how long it is.
fn unicode(escaped: &[u8]) -> (Piece, usize) {
    let Some(first) = code_unit(escaped) else { return (Piece::Unpaired, 6) };
    if let Some(character) = char::from_u32(first) {
        return (Piece::Character(character), 6);
    }
    let second =
        escaped.get(6..).and_then(code_unit).filter(|unit| (0xdc00..0xe000).contains(unit));
    match second {
        Some(second) if first < 0xdc00 => {
            let code = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
            (char::from_u32(code).map_or(Piece::Unpaired, Piece::Character), 12)
        }
        _ => (Piece::Unpaired, 6),
    }
}

fn code_unit(escaped: &[u8]) -> Option<u32> {
    let digits = escaped.strip_prefix(b"\\u")?.get(..4)?;
    u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// Spells each unpaired surrogate of a JSON text, which is valid, as `\ufffd`; whether there was
/// one. What then reads the text need not know what to make of half a pair.
pub(in crate::client) fn replace_surrogates(json: &mut [u8]) -> bool {
    let mut at = 0;
    let mut is_replaced = false;
    while let Some(found) = json[at..].iter().position(|byte| *byte == b'\\') {
        at += found;
        if json.get(at + 1) != Some(&b'u') {
            at = json.len().min(at + 2);
            continue;
        }
        let (piece, length) = unicode(&json[at..]);
        if let (Piece::Unpaired, Some(digits)) = (piece, json.get_mut(at + 2..at + 6)) {
            digits.copy_from_slice(b"fffd");
            is_replaced = true;
        }
        at = json.len().min(at + length);
    }
    is_replaced
}

/// The text of a string, for a value of that shape; `None` if it has an unpaired surrogate.
pub(in crate::client) fn strictly_decoded<'a>(
    text: &'a str,
    quoted: &Quoted,
) -> Option<Cow<'a, str>> {
    let content = text.get(quoted.content.clone())?;
    if !quoted.is_escaped {
        return Some(Cow::Borrowed(content));
    }
    let mut decoded = String::with_capacity(content.len());
    let mut rest = quoted.content.clone();
    while let Some(piece) = take_piece(text.as_bytes(), &mut rest) {
        match piece {
            Piece::Plain(place) => decoded.push_str(text.get(place)?),
            Piece::Character(character) => decoded.push(character),
            Piece::Unpaired => return None,
        }
    }
    Some(Cow::Owned(decoded))
}

/// Checks that an argument is one JSON value that can be sent: it nests no deeper than [`DEPTH`],
/// and no text in it has an unpaired surrogate.
pub(in crate::client) fn check(text: &str) -> Result<Shape, String> {
    let bytes = text.as_bytes();
    let never = Stop::never();
    let mut scanner = Scanner::new(0..text.len(), &never);
    let mut shape = None;
    loop {
        match scanner.next(bytes).map_err(|fault| fault.described(bytes))? {
            None => return Ok(shape.unwrap_or(Shape::Null)),
            Some(token) => {
                shape.get_or_insert(token.shape());
                if let Token::String(quoted) | Token::Key(quoted) = &token {
                    if quoted.is_escaped && has_unpaired_surrogate(bytes, quoted.content.clone()) {
                        return Err("an unpaired surrogate is not a character".to_owned());
                    }
                }
            }
        }
    }
}

fn has_unpaired_surrogate(text: &[u8], mut content: Range<usize>) -> bool {
    std::iter::from_fn(|| take_piece(text, &mut content))
        .any(|piece| matches!(piece, Piece::Unpaired))
}

/// `text` as a JSON string, quotes included.
pub(in crate::client) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A whole number, exactly: `5`, `5.0` and `5e0` are 5; `5.5` is none. In one pass, whatever its
/// length.
pub(in crate::client) fn exact_integer(number: &str) -> Result<i64, IntegerError> {
    if let Ok(plain) = number.parse() {
        return Ok(plain);
    }
    let (mantissa, exponent) = match number.find(['e', 'E']) {
        Some(at) => (&number[..at], Some(&number[at + 1..])),
        None => (number, None),
    };
    let (is_negative, mantissa) = match mantissa.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, mantissa),
    };
    let point = mantissa.find('.').unwrap_or(mantissa.len());
    let digits = || mantissa.bytes().filter(u8::is_ascii_digit);
    // Of all digits the significant ones: from the first to the last that is not 0.
    let Some(first) = digits().position(|digit| digit != b'0') else { return Ok(0) };
    let count = if point == mantissa.len() { point } else { mantissa.len() - 1 };
    let trailing = digits().rev().take_while(|digit| *digit == b'0').count();
    let significant = count - trailing - first;
    let exponent = match exponent.map(str::parse::<i64>) {
        None => 0,
        Some(Ok(exponent)) => exponent,
        // An exponent beyond 64 bits: its sign says whether the number is huge or tiny.
        Some(Err(_)) if number.contains("e-") || number.contains("E-") => {
            return Err(IntegerError::Fraction);
        }
        Some(Err(_)) => return Err(IntegerError::OutOfRange),
    };
    // How many zeros follow the last significant digit.
    let zeros = exponent.saturating_sub((count - point) as i64).saturating_add(trailing as i64);
    if zeros < 0 {
        return Err(IntegerError::Fraction);
    }
    // An i64 has 19 digits.
    if zeros.saturating_add(significant as i64) > 19 {
        return Err(IntegerError::OutOfRange);
    }
    let mut value: i128 = 0;
    for digit in digits().skip(first).take(significant) {
        value = value * 10 + i128::from(digit - b'0');
    }
    for _ in 0..zeros {
        value *= 10;
    }
    i64::try_from(if is_negative { -value } else { value }).map_err(|_| IntegerError::OutOfRange)
}

/// Why a number is not a 64-bit integer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::client) enum IntegerError {
    Fraction,
    OutOfRange,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::de::IgnoredAny;

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
            ("0.0012e4", 12),
            ("9223372036854775807", i64::MAX),
            ("-9223372036854775808", i64::MIN),
            ("922337203685477580.7e1", i64::MAX),
            ("9007199254740993.0", 9_007_199_254_740_993),
        ] {
            assert_eq!(exact_integer(text), Ok(value), "{text}");
        }
        for text in ["1.5", "1e-1", "15e-1", "1e-99999999999999999999", "0.1"] {
            assert_eq!(exact_integer(text), Err(IntegerError::Fraction), "{text}");
        }
        for text in
            ["9223372036854775808", "1e19", "1e99999999999999999999", "-9223372036854775809"]
        {
            assert_eq!(exact_integer(text), Err(IntegerError::OutOfRange), "{text}");
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
        let mixed = format!("{}1{}", "{\"a\":[".repeat(64), "]}".repeat(64));
        assert_eq!(check(&mixed), Ok(Shape::Object));
    }

    fn tokens(text: &str) -> Result<Vec<Token>, JsonError> {
        let never = Stop::never();
        let mut scanner = Scanner::new(0..text.len(), &never);
        let mut tokens = Vec::new();
        while let Some(token) = scanner.next(text.as_bytes())? {
            tokens.push(token);
        }
        Ok(tokens)
    }

    #[test]
    fn a_text_is_its_tokens() {
        assert_eq!(
            tokens(r#" {"a" : [1, "\n"], "b":{}, "c": null} "#).unwrap(),
            [
                Token::Object(1),
                Token::Key(Quoted { content: 3..4, is_escaped: false }),
                Token::Array(8),
                Token::Number(9..10),
                Token::String(Quoted { content: 13..15, is_escaped: true }),
                Token::End(17),
                Token::Key(Quoted { content: 20..21, is_escaped: false }),
                Token::Object(23),
                Token::End(25),
                Token::Key(Quoted { content: 28..29, is_escaped: false }),
                Token::Null,
                Token::End(37),
            ]
        );
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        for (text, why) in [
            ("", "unexpected end at line 1 column 1"),
            ("[1,\n 2", "unexpected end at line 2 column 3"),
            ("[1 2]", "expected `,` or `]` at line 1 column 4"),
            ("{\"a\" 1}", "expected `:` at line 1 column 6"),
            ("{1}", "expected the name of a member at line 1 column 2"),
            ("nul", "expected value at line 1 column 1"),
            ("{} {}", "trailing characters at line 1 column 4"),
            ("\"\\x\"", "invalid escape at line 1 column 3"),
            ("\"\t\"", "control character in a string at line 1 column 2"),
            ("-", "invalid number at line 1 column 2"),
            ("1.", "invalid number at line 1 column 3"),
        ] {
            assert_eq!(check(text).unwrap_err(), why, "{text}");
        }
    }

    #[test]
    fn an_unpaired_surrogate_is_not_sent() {
        assert!(check(r#"{"a":"\ud800"}"#).unwrap_err().contains("surrogate"));
        assert!(check(r#"{"\udc00\ud800":1}"#).unwrap_err().contains("surrogate"));
        assert!(check(r#"["\ud83d\ude00", "\\ud800"]"#).is_ok());
    }

    #[test]
    fn unpaired_surrogates_become_another_spelling_in_place() {
        for (json, expected) in [
            (r#"{"a":["\\ud800","\ud83d\ude00","é\n\u0041"]}"#, None),
            (
                r#"["\udc00\ud83d\ude00\ud800","\ud800\ud83d\ude00\\\uD800"]"#,
                Some(r#"["\ufffd\ud83d\ude00\ufffd","\ufffd\ud83d\ude00\\\ufffd"]"#),
            ),
        ] {
            let mut bytes = json.as_bytes().to_vec();
            assert_eq!(replace_surrogates(&mut bytes), expected.is_some());
            assert_eq!(String::from_utf8(bytes).unwrap(), expected.unwrap_or(json));
        }
    }

    /// Any text is JSON here exactly if serde_json takes it for that; both look at the same
    /// hundred thousand mutations of good ones.
    #[test]
    fn it_takes_for_json_what_serde_json_does() {
        let seeds: [&str; 8] = [
            r#"{"a":[1,-0.5e+7,"x\u00e9\n\ud800",true,false,null,{}],"b":{"c":[[]]}}"#,
            r#"[0,01,1.0,1e5,1E-5,-1,-,+1,.5,1.]"#,
            "[\"\u{e9}\u{1f600}\",\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"]",
            " \t\r\n[ 1 , 2 ] ",
            "\"\\u12\"",
            "{\"a\":1,}",
            "[1,]",
            "{\"a\":{\"a\":{\"a\":1}}}",
        ];
        let mut random = fastrand::Rng::with_seed(7);
        let bytes = b"{}[]\",:\\u0019aef.+-ntrl \n\x00\x1f\xc3";
        let mut accepted = 0;
        for round in 0..100_000 {
            let mut text = seeds[round % seeds.len()].as_bytes().to_vec();
            for _ in 0..random.usize(0..4) {
                let at = random.usize(0..text.len());
                match random.u8(0..3) {
                    0 => text[at] = bytes[random.usize(0..bytes.len())],
                    1 => text.insert(at, bytes[random.usize(0..bytes.len())]),
                    _ => drop(text.remove(at)),
                }
                if text.is_empty() {
                    break;
                }
            }
            let Ok(text) = String::from_utf8(text) else { continue };
            let is_json = serde_json::from_str::<IgnoredAny>(&text).is_ok();
            assert_eq!(tokens(&text).is_ok(), is_json, "{text}");
            accepted += usize::from(is_json);
        }
        assert!(accepted > 10_000, "{accepted}");
    }
}

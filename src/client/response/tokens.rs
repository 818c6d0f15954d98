//! The JSON of a response, token by token, from any place on.

use std::mem::MaybeUninit;
use std::ops::Range;

use crate::client::response::json::{self, Piece, Quoted};
use crate::error::{Error, Result};

/// One token of a JSON text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JsonToken<'a> {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool, &'a str),
    /// A number as it is spelled.
    Number(&'a str),
    /// A string.
    String(JsonString<'a>),
    /// The name of a member, whose value comes next.
    Key(JsonString<'a>),
    /// An array begins.
    Array,
    /// An object begins.
    Object,
    /// The array or object that began last ends.
    End,
}

/// A string as it stands in a JSON text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonString<'a> {
    text: &'a str,
    quoted: Quoted,
}

impl<'a> JsonString<'a> {
    /// Its characters, unless something in it is escaped.
    pub fn plain(&self) -> Option<&'a str> {
        (!self.quoted.is_escaped).then(|| self.content())
    }

    /// How many bytes it has at most when it is decoded.
    pub fn most(&self) -> usize {
        self.quoted.content.len()
    }

    fn content(&self) -> &'a str {
        self.text.get(self.quoted.content.clone()).unwrap_or_default()
    }

    /// Decodes it into a buffer: gives how many bytes it has, and whether unpaired surrogates in it
    /// were replaced by U+FFFD; `None` if the buffer is too short.
    pub fn decode(&self, buffer: &mut [MaybeUninit<u8>]) -> Option<(usize, bool)> {
        let mut length = 0;
        let mut is_replaced = false;
        let mut put = |bytes: &[u8]| {
            let room = buffer.get_mut(length..length + bytes.len())?;
            for (place, byte) in room.iter_mut().zip(bytes) {
                place.write(*byte);
            }
            length += bytes.len();
            Some(())
        };
        let bytes = self.text.as_bytes();
        let mut rest = self.quoted.content.clone();
        while let Some(piece) = json::take_piece(bytes, &mut rest) {
            let character = match piece {
                Piece::Plain(place) => {
                    put(&bytes[place])?;
                    continue;
                }
                Piece::Character(character) => character,
                Piece::Unpaired => {
                    is_replaced = true;
                    char::REPLACEMENT_CHARACTER
                }
            };
            put(character.encode_utf8(&mut [0; 4]).as_bytes())?;
        }
        Some((length, is_replaced))
    }
}

/// The tokens of a JSON text that was checked before.
pub struct JsonTokens<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> JsonTokens<'a> {
    /// `position` is 0, or the position of an earlier reader of the same text.
    pub(in crate::client) fn new(text: &'a str, position: u64) -> Result<JsonTokens<'a>> {
        match usize::try_from(position) {
            Ok(at) if text.is_char_boundary(at) => Ok(JsonTokens { text, at }),
            _ => Err(Error::invalid_argument("position", "must be 0, or as the last call left it")),
        }
    }

    /// Where to go on later.
    pub fn position(&self) -> u64 {
        self.at as u64
    }

    /// Back to where a token was taken from.
    pub fn go_back(&mut self, position: u64) {
        self.at = position as usize;
    }

    fn skip(&mut self, is_meant: impl Fn(u8) -> bool) {
        let rest = &self.text.as_bytes()[self.at..];
        self.at += rest.iter().take_while(|byte| is_meant(**byte)).count();
    }

    fn skip_spaces(&mut self) {
        self.skip(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r'));
    }

    /// Where the string ends that begins here.
    fn string(&mut self) -> (Range<usize>, bool) {
        let start = self.at + 1;
        let bytes = self.text.as_bytes();
        let mut is_escaped = false;
        self.at = start;
        loop {
            self.skip(|byte| byte != b'"' && byte != b'\\');
            match bytes.get(self.at) {
                Some(b'\\') => {
                    is_escaped = true;
                    self.at = bytes.len().min(self.at + 2);
                }
                Some(_) => {
                    self.at += 1;
                    return (start..self.at - 1, is_escaped);
                }
                // Not from a position that was given.
                None => return (start.min(self.at)..self.at, is_escaped),
            }
        }
    }
}

impl<'a> Iterator for JsonTokens<'a> {
    type Item = JsonToken<'a>;

    fn next(&mut self) -> Option<JsonToken<'a>> {
        self.skip(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b',' | b':'));
        let bytes = self.text.as_bytes();
        let one = match bytes.get(self.at)? {
            // Of a cell, whose end is not looked for beforehand: a part of it takes no longer than
            // that part.
            0 => return None,
            b'"' => {
                let (content, is_escaped) = self.string();
                let string = JsonString { text: self.text, quoted: Quoted { content, is_escaped } };
                self.skip_spaces();
                return Some(match bytes.get(self.at) {
                    Some(b':') => JsonToken::Key(string),
                    _ => JsonToken::String(string),
                });
            }
            b'[' => JsonToken::Array,
            b'{' => JsonToken::Object,
            b']' | b'}' => JsonToken::End,
            first => {
                let (first, start) = (*first, self.at);
                // One byte at least, whatever it is.
                self.at += 1;
                self.skip(|byte| {
                    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'+' | b'-')
                });
                let text = self.text.get(start..self.at).unwrap_or_default();
                return Some(match first {
                    b'n' => JsonToken::Null,
                    b't' | b'f' => JsonToken::Bool(first == b't', text),
                    _ => JsonToken::Number(text),
                });
            }
        };
        self.at += 1;
        Some(one)
    }
}

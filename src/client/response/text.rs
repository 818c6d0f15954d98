//! Texts packed into the very buffer that a response came in: each decoded, with a NUL after it, so
//! that C can be lent it.
//!
//! A value takes no more room packed than it took as JSON, so what is packed never gets past what
//! was read. It begins with a byte that tells what it is, and is found by the place of that byte.
//!
//! | value | packed as |
//! |---|---|
//! | null | `n`, NUL |
//! | boolean, number, nested JSON | its JSON, NUL |
//! | string | a mark, its characters, NUL |
//! | string that holds NULs | a mark, its length in five bytes of seven bits, its characters, NUL |

use std::fmt;
use std::ops::Range;

use crate::client::response::cell_kind::CellKind;
use crate::client::response::json::{self, Piece, Quoted};
use crate::client::response::segments::OutOfMemoryError;
use crate::client::response::words::length_before_nul;

/// Marks of strings. The first says that nothing special is in it.
const STRING: u8 = b'"';
const REPLACED: u8 = 1;
const WITH_NUL: u8 = 2;
const REPLACED_WITH_NUL: u8 = 3;
/// How many bytes a length takes that is written out: as many of seven bits as 32 bits need.
const LENGTH: usize = 5;
/// A buffer of so many bytes is not worth being copied into a smaller one.
const SMALL: usize = 4096;

/// A value as it is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::client) struct Item<'a> {
    pub(in crate::client) kind: CellKind,
    /// With the NUL after it.
    pub(in crate::client) text: &'a str,
    /// Unpaired surrogates were replaced in it.
    pub(in crate::client) is_replaced: bool,
}

impl<'a> Item<'a> {
    pub(in crate::client) const NULL: Item<'static> =
        Item { kind: CellKind::Null, text: "\0", is_replaced: false };

    /// Without the NUL after it.
    pub(in crate::client) fn plain(&self) -> &'a str {
        &self.text[..self.text.len() - 1]
    }
}

/// Packs values, in the order in which they are read.
pub(in crate::client) struct Packer {
    bytes: Vec<u8>,
    end: usize,
}

impl Packer {
    /// Into the buffer that they are read from, which is UTF-8 and no longer than 4 GiB.
    pub(in crate::client) fn new(bytes: Vec<u8>) -> Packer {
        Packer { bytes, end: 0 }
    }

    /// What has not been read yet stands in there unchanged.
    pub(in crate::client) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn begin(&self, read_from: usize) -> u32 {
        debug_assert!(self.end < read_from, "packed values stay behind what is read");
        self.end as u32
    }

    fn put(&mut self, byte: u8) {
        self.bytes[self.end] = byte;
        self.end += 1;
    }

    fn copy(&mut self, from: Range<usize>) {
        let length = from.len();
        self.bytes.copy_within(from, self.end);
        self.end += length;
    }

    /// A null, that stood before this place.
    pub(in crate::client) fn null(&mut self) -> u32 {
        let start = self.end as u32;
        self.put(b'n');
        self.put(0);
        start
    }

    /// A boolean, a number or nested JSON.
    pub(in crate::client) fn plain(&mut self, from: Range<usize>) -> u32 {
        let start = self.begin(from.start);
        self.copy(from);
        self.put(0);
        start
    }

    pub(in crate::client) fn string(&mut self, from: &Quoted) -> u32 {
        let content = from.content.clone();
        let start = self.begin(content.start - 1);
        self.put(STRING);
        if !from.is_escaped {
            self.copy(content);
        } else {
            let first = self.end;
            let (has_nul, is_replaced) = self.decode(content);
            if has_nul {
                let length = self.end - first;
                self.bytes.copy_within(first..self.end, first + LENGTH);
                for (index, place) in self.bytes[first..first + LENGTH].iter_mut().enumerate() {
                    *place = (length >> (7 * index) & 0x7f) as u8;
                }
                self.end += LENGTH;
            }
            self.bytes[first - 1] = match (is_replaced, has_nul) {
                (false, false) => STRING,
                (true, false) => REPLACED,
                (false, true) => WITH_NUL,
                (true, true) => REPLACED_WITH_NUL,
            };
        }
        self.put(0);
        start
    }

    /// Whether it has NULs, and whether something was replaced.
    fn decode(&mut self, mut content: Range<usize>) -> (bool, bool) {
        let (mut has_nul, mut is_replaced) = (false, false);
        while let Some(piece) = json::take_piece(&self.bytes, &mut content) {
            let character = match piece {
                Piece::Plain(place) => {
                    self.copy(place);
                    continue;
                }
                Piece::Character(character) => character,
                Piece::Unpaired => {
                    is_replaced = true;
                    char::REPLACEMENT_CHARACTER
                }
            };
            has_nul |= character == '\0';
            for byte in character.encode_utf8(&mut [0; 4]).bytes() {
                self.put(byte);
            }
        }
        (has_nul, is_replaced)
    }

    /// Mends nested JSON that is about to be packed; whether it had unpaired surrogates.
    pub(in crate::client) fn replace_surrogates(&mut self, place: Range<usize>) -> bool {
        json::replace_surrogates(&mut self.bytes[place])
    }

    /// The characters of the string that was packed last, at this place.
    pub(in crate::client) fn last(&self, at: u32) -> &[u8] {
        content(&self.bytes[..self.end], at as usize)
    }

    /// Forgets what was packed from this place on.
    pub(in crate::client) fn rewind(&mut self, to: u32) {
        self.end = to as usize;
    }

    /// The characters of a string that was packed.
    pub(in crate::client) fn characters(&self, at: u32) -> &[u8] {
        content(&self.bytes, at as usize)
    }

    /// Whether the string that was packed at this place is this one; takes no longer than that is.
    pub(in crate::client) fn is_string(&self, at: u32, text: &[u8]) -> bool {
        let at = at as usize;
        match self.bytes[at] {
            STRING | REPLACED => {
                let rest = &self.bytes[at + 1..];
                rest.starts_with(text) && rest.get(text.len()) == Some(&0) && !text.contains(&0)
            }
            _ => content(&self.bytes, at) == text,
        }
    }

    /// Gives back the room that nothing was packed into, if it is worth it.
    pub(in crate::client) fn finish(mut self) -> Result<Texts, OutOfMemoryError> {
        self.bytes.truncate(self.end);
        // It is made of whole characters.
        Texts::packed_in(self.bytes).map_err(|_| OutOfMemoryError)
    }
}

/// What stands behind the mark of a packed string, without its NUL.
fn content(bytes: &[u8], at: usize) -> &[u8] {
    let (start, length) = extent(bytes, at);
    &bytes[start..start + length]
}

/// Where the text of a packed value begins, and how long it is without its NUL.
#[inline]
fn extent(bytes: &[u8], at: usize) -> (usize, usize) {
    let start = match bytes[at] {
        STRING | REPLACED => at + 1,
        WITH_NUL | REPLACED_WITH_NUL => {
            let digits = &bytes[at + 1..at + 1 + LENGTH];
            let length =
                digits.iter().rev().fold(0, |length, digit| length << 7 | usize::from(*digit));
            return (at + 1 + LENGTH, length);
        }
        _ => at,
    };
    (start, length_before_nul(&bytes[start..]))
}

/// The bytes in a buffer that is not much too large for them.
fn without_room(bytes: Vec<u8>) -> Vec<u8> {
    if bytes.len() < bytes.capacity() / 2 && bytes.capacity() > SMALL {
        // Not in place: an allocator that can't do even that would end the program.
        let mut smaller = Vec::new();
        if smaller.try_reserve_exact(bytes.len()).is_ok() {
            smaller.extend_from_slice(&bytes);
            return smaller;
        }
    }
    bytes
}

/// Packed values.
#[derive(Default)]
pub(in crate::client) struct Texts(String);

/// They are data of the program, which have no place in a log.
impl fmt::Debug for Texts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Texts").field("length", &self.0.len()).finish_non_exhaustive()
    }
}

impl Texts {
    /// Of a buffer that values are packed into; gives it back if it is not UTF-8.
    pub(in crate::client) fn packed_in(bytes: Vec<u8>) -> Result<Texts, Vec<u8>> {
        match String::from_utf8(without_room(bytes)) {
            Ok(text) => Ok(Texts(text)),
            Err(error) => Err(error.into_bytes()),
        }
    }

    /// The value that was packed at this place.
    pub(in crate::client) fn item(&self, at: u32) -> Item<'_> {
        let at = at as usize;
        let bytes = self.0.as_bytes();
        let (kind, is_replaced) = match bytes[at] {
            b'n' => return Item::NULL,
            b't' | b'f' => (CellKind::Bool, false),
            b'[' | b'{' => (CellKind::Json, false),
            STRING | WITH_NUL => (CellKind::String, false),
            REPLACED | REPLACED_WITH_NUL => (CellKind::String, true),
            _ => (CellKind::Number, false),
        };
        let (start, length) = extent(bytes, at);
        Item { kind, text: &self.0[start..=start + length], is_replaced }
    }

    /// Whether unpaired surrogates were replaced in the string that was packed at this place.
    pub(in crate::client) fn is_replaced(&self, at: u32) -> bool {
        matches!(self.0.as_bytes()[at as usize], REPLACED | REPLACED_WITH_NUL)
    }

    /// From an array or object that was packed at this place on, to the end of all; its own end is
    /// a NUL.
    pub(in crate::client) fn json(&self, at: u32) -> Option<&str> {
        let rest = &self.0[at as usize..];
        rest.starts_with(['[', '{']).then_some(rest)
    }

    /// How many bytes they have.
    #[cfg(test)]
    pub(in crate::client) fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::response::json::{Scanner, Token};
    use crate::client::response::stop::Stop;

    /// Packs the elements of an array.
    fn packed(json: &str) -> (Texts, Vec<u32>) {
        let never = Stop::never();
        let mut scanner = Scanner::new(0..json.len(), &never);
        let mut packer = Packer::new(json.as_bytes().to_vec());
        let mut places = Vec::new();
        assert_eq!(scanner.next(packer.bytes()), Ok(Some(Token::Array(0))));
        loop {
            let token = scanner.expect(packer.bytes()).unwrap();
            places.push(match &token {
                Token::End(_) => return (packer.finish().unwrap(), places),
                Token::Null => packer.null(),
                Token::String(string) => packer.string(string),
                other => {
                    let place = scanner.skip(packer.bytes(), other).unwrap();
                    packer.plain(place)
                }
            });
        }
    }

    #[test]
    fn values_are_packed_without_room_and_found_again() {
        let json = concat!(
            r#"[1,"a","",null,"\u0000","b\u0000c\ud800d\n",true,[1,{"x":"\n"}],-1.5e3,"\ud83d\ude00","#,
            r#""\udc00","\u0000\ud800",{},0,false]"#
        );
        let (texts, places) = packed(json);
        assert!(texts.len() < json.len());
        let items: Vec<_> = places.iter().map(|at| texts.item(*at)).collect();
        let item = |kind, text, is_replaced| Item { kind, text, is_replaced };
        assert_eq!(
            items,
            [
                item(CellKind::Number, "1\0", false),
                item(CellKind::String, "a\0", false),
                item(CellKind::String, "\0", false),
                Item::NULL,
                item(CellKind::String, "\0\0", false),
                item(CellKind::String, "b\0c\u{fffd}d\n\0", true),
                item(CellKind::Bool, "true\0", false),
                item(CellKind::Json, "[1,{\"x\":\"\\n\"}]\0", false),
                item(CellKind::Number, "-1.5e3\0", false),
                item(CellKind::String, "\u{1f600}\0", false),
                item(CellKind::String, "\u{fffd}\0", true),
                item(CellKind::String, "\0\u{fffd}\0", true),
                item(CellKind::Json, "{}\0", false),
                item(CellKind::Number, "0\0", false),
                item(CellKind::Bool, "false\0", false),
            ]
        );
    }

    #[test]
    fn a_long_text_with_nuls_keeps_its_length() {
        let long = "é\\u0000".repeat(100_000);
        let (texts, places) = packed(&format!("[\"{long}\"]"));
        assert_eq!(texts.item(places[0]).text, format!("{}\0", "é\0".repeat(100_000)));
    }
}

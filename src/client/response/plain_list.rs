//! The common list of names, read in one pass: it holds nothing but names, and none has an escape.
//!
//! The names stay where they came. The quote before one is the mark of a packed string (see
//! `text`), and the quote after it becomes the NUL.

use crate::client::response::list::Names;
use crate::client::response::member::Member;
use crate::client::response::reading::{MAX_LENGTH, ReadError};
use crate::client::response::segments::{OutOfMemoryError, Segments};
use crate::client::response::stop::{Stop, StoppedError};
use crate::client::response::text::Texts;
use crate::client::response::words::plain_length;

/// What a list is read in at a time, between two looks whether to go on.
const PIECE: usize = 4096;

/// What became of a body that may be such a list.
pub(in crate::client) enum Tried {
    Read(Names),
    /// It is something else, unchanged, to be read in the general way.
    Other(Vec<u8>),
}

/// Why the reading ended early.
enum Fault {
    /// It is not such a list.
    Other,
    OutOfMemory,
    Stopped,
}

impl From<OutOfMemoryError> for Fault {
    fn from(_: OutOfMemoryError) -> Fault {
        Fault::OutOfMemory
    }
}

impl From<StoppedError> for Fault {
    fn from(_: StoppedError) -> Fault {
        Fault::Stopped
    }
}

/// Reads a body that is an array of names, or an object with that as its only `member`.
pub(in crate::client) fn read(
    mut bytes: Vec<u8>,
    member: Member,
    stop: &Stop<'_>,
) -> Result<Tried, ReadError> {
    if bytes.len() > MAX_LENGTH {
        return Ok(Tried::Other(bytes));
    }
    let mut scan = Scan { bytes: &mut bytes, at: 0, places: Segments::default(), end: 0, stop };
    let outcome = scan.body(member.name());
    let Scan { places, end, .. } = scan;
    match outcome {
        Ok(()) => match Texts::packed_in(bytes) {
            Ok(texts) => return Ok(Tried::Read(Names::new(texts, places))),
            // It is not UTF-8.
            Err(unchanged) => bytes = unchanged,
        },
        Err(Fault::Other) => {}
        Err(Fault::OutOfMemory) => return Err(ReadError::OutOfMemory),
        Err(Fault::Stopped) => return Err(ReadError::Stopped),
    }
    restore(&mut bytes[..end]);
    Ok(Tried::Other(bytes))
}

/// Puts the quotes back, up to the last that was replaced. What stands there has no NULs of its own,
/// which JSON does not allow.
#[cold]
fn restore(bytes: &mut [u8]) {
    for byte in bytes {
        if *byte == 0 {
            *byte = b'"';
        }
    }
}

struct Scan<'a> {
    bytes: &'a mut [u8],
    /// How far it has come.
    at: usize,
    /// Where the quotes before the names are.
    places: Segments<u32>,
    /// Behind the last name's NUL.
    end: usize,
    stop: &'a Stop<'a>,
}

impl Scan<'_> {
    fn body(&mut self, member: &str) -> Result<(), Fault> {
        match self.next() {
            Some(b'[') => self.names()?,
            Some(b'{') => {
                self.expect(b'"')?;
                let name = self.bytes.get(self.at..self.at + member.len());
                if name != Some(member.as_bytes()) {
                    return Err(Fault::Other);
                }
                self.at += member.len();
                // No space may come between a name and its quote.
                if self.bytes.get(self.at) != Some(&b'"') {
                    return Err(Fault::Other);
                }
                self.at += 1;
                self.expect(b':')?;
                self.expect(b'[')?;
                self.names()?;
                self.expect(b'}')?;
            }
            _ => return Err(Fault::Other),
        }
        if self.next().is_none() { Ok(()) } else { Err(Fault::Other) }
    }

    /// What follows the `[`.
    fn names(&mut self) -> Result<(), Fault> {
        match self.next() {
            Some(b']') => return Ok(()),
            Some(b'"') => {}
            _ => return Err(Fault::Other),
        }
        loop {
            self.name()?;
            match self.next() {
                Some(b',') => self.expect(b'"')?,
                Some(b']') => return Ok(()),
                _ => return Err(Fault::Other),
            }
        }
    }

    /// What follows the quote before a name.
    fn name(&mut self) -> Result<(), Fault> {
        self.places.push((self.at - 1) as u32)?;
        loop {
            let piece = &self.bytes[self.at..self.bytes.len().min(self.at + PIECE)];
            let length = plain_length(piece);
            self.at += length;
            self.stop.check(length + 1)?;
            if length < PIECE {
                break;
            }
        }
        match self.bytes.get_mut(self.at) {
            Some(quote @ b'"') => *quote = 0,
            _ => return Err(Fault::Other),
        }
        self.at += 1;
        self.end = self.at;
        Ok(())
    }

    fn expect(&mut self, byte: u8) -> Result<(), Fault> {
        if self.next() == Some(byte) { Ok(()) } else { Err(Fault::Other) }
    }

    /// Takes the next byte that is not white space.
    fn next(&mut self) -> Option<u8> {
        loop {
            let byte = *self.bytes.get(self.at)?;
            self.at += 1;
            if !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
                return Some(byte);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names of a body, or the body.
    fn tried(body: &[u8]) -> Result<Vec<String>, Vec<u8>> {
        match read(body.to_vec(), Member::TABLES, &Stop::never()).unwrap() {
            Tried::Read(names) => Ok(names.iter().map(str::to_owned).collect()),
            Tried::Other(bytes) => Err(bytes),
        }
    }

    #[test]
    fn names_without_escapes_are_read_where_they_came() {
        for body in [
            r#"{"tables":["a","","two words","é"]}"#,
            "\t{ \"tables\" :\r\n[ \"a\" , \"\",\"two words\" ,\"é\" ] } \n",
            r#"["a","","two words","é"]"#,
        ] {
            assert_eq!(tried(body.as_bytes()).unwrap(), ["a", "", "two words", "é"], "{body}");
        }
        assert!(tried(br#"{"tables":[]}"#).unwrap().is_empty());
        let long = format!("[\"{}\",\"b\"]", "x".repeat(3 * PIECE));
        assert_eq!(tried(long.as_bytes()).unwrap(), ["x".repeat(3 * PIECE), "b".to_owned()]);
        let many: Vec<String> = (0..30_000).map(|number| format!("\"name {number}\"")).collect();
        let names = tried(format!("[{}]", many.join(",")).as_bytes()).unwrap();
        assert!(names.iter().zip(&many).all(|(name, quoted)| format!("\"{name}\"") == *quoted));
        assert_eq!(names.len(), many.len());
    }

    /// The model checker allows no such state outside its runs.
    #[cfg(not(shuttle))]
    #[test]
    fn reading_stops_when_the_request_is_cancelled() {
        use crate::client::cancel::CancelState;
        use std::time::{Duration, Instant};

        let cancel = CancelState::default();
        cancel.begin();
        cancel.cancel();
        for body in [
            format!("[{}\"\"]", "\"a\",".repeat(100_000)),
            format!("[\"{}\"]", "a".repeat(100_000)),
        ] {
            let stop = Stop::at(Instant::now() + Duration::from_secs(60), &cancel);
            let outcome = read(body.into_bytes(), Member::TABLES, &stop);
            assert!(matches!(outcome, Err(ReadError::Stopped)));
        }
    }

    #[test]
    fn whatever_else_there_is_stays_as_it_came() {
        for body in [
            &b"[\"a\",\"b\""[..],
            b"[\"a\",\"\xff\"]",
            b"[\"a\",\"b\0\"]",
            b"[\"a\",\0b\"]",
            b"{\0tables\":[]}",
            b"[\0a\"]",
            b"",
            b"{}",
            b"[\"a\",]",
            b"[\"a\"] 1",
            b"[\"a\"]]",
            b"[\"a\",1]",
            b"[\"a\",\"\\n\"]",
            b"[\"a\",{\"name\":\"b\"}]",
            br#"{"tables":["a"],"error":"no"}"#,
            br#"{"tables":["a"],"tables":[]}"#,
            br#"{"count":1,"tables":["a"]}"#,
            br#"{"table":["a"]}"#,
            br#"{"tables" ["a"]}"#,
            br#"{"tables ":["a"]}"#,
            b"\xef\xbb\xbf[\"a\"]",
        ] {
            assert_eq!(tried(body).unwrap_err(), body);
        }
    }
}

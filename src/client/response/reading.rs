//! What the readers of tables and of lists share: they scan a response and pack its values, in one
//! go.

use std::ops::Range;

use crate::client::response::json::{JsonError, Quoted, Scanner, Token};
use crate::client::response::segments::{OutOfMemoryError, Segments};
use crate::client::response::stop::Stop;
use crate::client::response::text::{Packer, Texts};

/// The longest response that is read as a table or a list: places in it have 32 bits.
pub(in crate::client) const MAX_LENGTH: usize = u32::MAX as usize;

/// Why a response could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::client) enum ReadError {
    /// It is not what it should be; the text says why.
    Malformed(String),
    OutOfMemory,
    /// It is longer than [`MAX_LENGTH`].
    TooLong,
    Stopped,
}

impl From<OutOfMemoryError> for ReadError {
    fn from(_: OutOfMemoryError) -> ReadError {
        ReadError::OutOfMemory
    }
}

/// Reads parts of a response, packing what it keeps into the buffer that it reads from.
pub(in crate::client) struct Reader<'s> {
    pub(in crate::client) packer: Packer,
    scanner: Scanner<'s>,
    /// Where nested values are that had unpaired surrogates, in order.
    pub(in crate::client) replaced: Segments<u32>,
    stop: &'s Stop<'s>,
}

impl<'s> Reader<'s> {
    /// Of this part of a response, which is UTF-8.
    pub(in crate::client) fn new(
        bytes: Vec<u8>,
        part: Range<usize>,
        stop: &'s Stop<'s>,
    ) -> Result<Reader<'s>, ReadError> {
        if bytes.len() > MAX_LENGTH {
            return Err(ReadError::TooLong);
        }
        let (packer, scanner) = (Packer::new(bytes), Scanner::new(part, stop));
        Ok(Reader { packer, scanner, replaced: Segments::default(), stop })
    }

    /// Goes on with a part that comes after the one before.
    pub(in crate::client) fn go_on(&mut self, part: Range<usize>) {
        self.scanner = Scanner::new(part, self.stop);
    }

    pub(in crate::client) fn next(&mut self) -> Result<Token, ReadError> {
        self.scanner.expect(self.packer.bytes()).map_err(|fault| self.unread(&fault))
    }

    fn unread(&self, fault: &JsonError) -> ReadError {
        match fault {
            JsonError::Stopped => ReadError::Stopped,
            other => ReadError::Malformed(other.described(self.packer.bytes())),
        }
    }

    /// Skips the rest of the value that began with this token.
    pub(in crate::client) fn skip(&mut self, first: &Token) -> Result<Range<usize>, ReadError> {
        let skipped = self.scanner.skip(self.packer.bytes(), first);
        skipped.map_err(|fault| self.unread(&fault))
    }

    /// Packs the value that begins with this token.
    pub(in crate::client) fn value(&mut self, first: &Token) -> Result<u32, ReadError> {
        Ok(match first {
            Token::Null => self.packer.null(),
            Token::String(string) => self.packer.string(string),
            Token::Array(_) | Token::Object(_) => {
                let place = self.skip(first)?;
                let is_replaced = self.packer.replace_surrogates(place.clone());
                let at = self.packer.plain(place);
                if is_replaced {
                    self.replaced.push(at)?;
                }
                at
            }
            other => {
                let place = self.skip(other)?;
                self.packer.plain(place)
            }
        })
    }

    /// Packs a name as servers list them: a string, or an object with a `name`.
    pub(in crate::client) fn name(&mut self, first: &Token) -> Result<u32, ReadError> {
        match first {
            Token::String(string) => return Ok(self.packer.string(string)),
            Token::Object(_) => {}
            other => return Err(no_name(&other.shape().to_string())),
        }
        let mut found = None;
        while let Token::Key(key) = self.next()? {
            let is_name = self.is(&key, "name");
            let value = self.next()?;
            match &value {
                Token::String(string) if is_name => {
                    // Of two with the same name the last one counts.
                    if let Some(before) = found {
                        self.packer.rewind(before);
                    }
                    found = Some(self.packer.string(string));
                }
                other => {
                    self.skip(other)?;
                }
            }
        }
        found.ok_or_else(|| no_name("an object without one"))
    }

    fn is(&mut self, key: &Quoted, name: &str) -> bool {
        if !key.is_escaped {
            return &self.packer.bytes()[key.content.clone()] == name.as_bytes();
        }
        let at = self.packer.string(key);
        let is_same = self.packer.last(at) == name.as_bytes();
        self.packer.rewind(at);
        is_same
    }

    pub(in crate::client) fn finish(self) -> Result<Texts, ReadError> {
        Ok(self.packer.finish()?)
    }
}

fn no_name(got: &str) -> ReadError {
    ReadError::Malformed(format!("expected a name or an object with a name, got {got}"))
}

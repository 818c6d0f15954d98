//! The names of a list of databases or tables.

use std::ops::Range;

use crate::client::response::json::Token;
use crate::client::response::reading::{ReadError, Reader};
use crate::client::response::segments::Segments;
use crate::client::response::stop::Stop;
use crate::client::response::text::{Item, Texts};

/// The names of a list, in the server's order. Immutable; any thread may read it.
#[derive(Debug, Default)]
pub struct Names {
    texts: Texts,
    places: Segments<u32>,
}

impl Names {
    /// Names that are packed at these places.
    pub(in crate::client) fn new(texts: Texts, places: Segments<u32>) -> Names {
        Names { texts, places }
    }

    /// Reads an array of names, or of objects with a `name`.
    pub(in crate::client) fn read(
        bytes: Vec<u8>,
        list: Range<usize>,
        stop: &Stop,
    ) -> Result<Names, ReadError> {
        let mut reader = Reader::new(bytes, list, stop)?;
        let mut places = Segments::default();
        match reader.next()? {
            Token::Array(_) => {}
            other => {
                return Err(ReadError::Malformed(format!(
                    "expected an array, got {}",
                    other.shape()
                )));
            }
        }
        loop {
            match reader.next()? {
                Token::End(_) => break,
                name => places.push(reader.name(&name)?)?,
            }
        }
        Ok(Names { texts: reader.finish()?, places })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// One name, counted from 0.
    pub fn get(&self, index: usize) -> Option<&str> {
        self.item(index).map(|item| item.plain())
    }

    /// [`Names::get`] with one NUL byte after it.
    pub fn get_with_nul(&self, index: usize) -> Option<&str> {
        self.item(index).map(|item| item.text)
    }

    /// Whether the server's spelling of a name has unpaired surrogates, which are U+FFFD in it.
    pub fn is_replaced(&self, index: usize) -> bool {
        self.places.get(index).is_some_and(|place| self.texts.is_replaced(place))
    }

    fn item(&self, index: usize) -> Option<Item<'_>> {
        self.places.get(index).map(|place| self.texts.item(place))
    }

    /// All names.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.len()).filter_map(|index| self.get(index))
    }
}

//! The columns of a table: their names, and how they are found by these.

use std::collections::hash_map::RandomState;
use std::fmt::Display;
use std::hash::BuildHasher;
use std::sync::OnceLock;

use crate::client::response::mask::Mask;
use crate::client::response::segments::{OutOfMemoryError, Segments};
use crate::client::response::text::{Item, Texts};

/// No column is there.
const EMPTY: u32 = u32::MAX;
/// The least number of slots.
const SLOTS: usize = 16;

/// The columns of a table. Its cells are packed in the same buffer as their names, and share what
/// messages about them need.
#[derive(Default)]
pub(in crate::client) struct Columns {
    texts: Texts,
    /// Where the names are.
    names: Segments<u32>,
    /// Made at the first search.
    index: OnceLock<Index>,
    /// For errors that quote names and values.
    mask: Mask,
}

impl Columns {
    pub(in crate::client) fn new(texts: Texts, names: Segments<u32>, mask: Mask) -> Columns {
        Columns { texts, names, index: OnceLock::new(), mask }
    }

    /// The names of the columns and the values of the cells.
    pub(in crate::client) fn texts(&self) -> &Texts {
        &self.texts
    }

    /// How many there are.
    pub(in crate::client) fn count(&self) -> usize {
        self.names.len()
    }

    /// The name of a column.
    pub(in crate::client) fn name(&self, column: usize) -> Option<Item<'_>> {
        self.names.get(column).map(|place| self.texts.item(place))
    }

    /// Whether unpaired surrogates were replaced in the name of a column.
    pub(in crate::client) fn is_name_replaced(&self, column: usize) -> Option<bool> {
        self.names.get(column).map(|place| self.texts.is_replaced(place))
    }

    /// Part of the server's text, for a message.
    pub(in crate::client) fn excerpt(&self, text: &str) -> String {
        self.mask.excerpt(text.as_bytes())
    }

    /// The name of a column, for a message.
    pub(in crate::client) fn described(&self, column: usize) -> impl Display {
        self.excerpt(self.text_of(column)).escape_debug().to_string()
    }

    /// The first column of this name.
    pub(in crate::client) fn find(&self, name: &str) -> Result<Option<usize>, OutOfMemoryError> {
        let is_same = |column: u32| self.text_of(column as usize) == name;
        let found = self.index()?.find(name.as_bytes(), is_same);
        Ok(found.map(|column| column as usize))
    }

    fn index(&self) -> Result<&Index, OutOfMemoryError> {
        if let Some(index) = self.index.get() {
            return Ok(index);
        }
        let mut index = Index::default();
        for column in 0..self.count() {
            let name = self.text_of(column);
            index.add(name.as_bytes(), |other| self.text_of(other as usize) == name)?;
        }
        // Of two threads that make it at once, one is first.
        Ok(self.index.get_or_init(|| index))
    }

    fn text_of(&self, column: usize) -> &str {
        self.name(column).map_or("", |name| name.plain())
    }
}

/// Finds columns by their names: an open hash table. Its hashes are keyed, so that no server can
/// choose names that meet in one slot; it grows by a quarter, and holds no more than one copy of
/// itself while it does.
#[derive(Debug, Default)]
pub(in crate::client) struct Index {
    keys: RandomState,
    /// Numbers of columns.
    slots: Vec<u32>,
    /// Of each column: the hash of its name, or 0 if an earlier one has the same name.
    hashes: Segments<u32>,
    names: usize,
}

impl Index {
    /// How many columns it knows.
    pub(in crate::client) fn len(&self) -> usize {
        self.hashes.len()
    }

    /// The first column of this name. `is_same` compares a column's name with it.
    pub(in crate::client) fn find(
        &self,
        name: &[u8],
        is_same: impl Fn(u32) -> bool,
    ) -> Option<u32> {
        self.look(self.hash(name), is_same)
    }

    /// Adds the next column; `is_same` compares an earlier one's name with this.
    pub(in crate::client) fn add(
        &mut self,
        name: &[u8],
        is_same: impl Fn(u32) -> bool,
    ) -> Result<(), OutOfMemoryError> {
        let hash = self.hash(name);
        if self.look(hash, is_same).is_some() {
            return self.hashes.push(0);
        }
        if (self.names + 1) * 4 > self.slots.len() * 3 {
            self.grow()?;
        }
        let column = self.hashes.len() as u32;
        self.hashes.push(hash)?;
        self.put(hash, column);
        self.names += 1;
        Ok(())
    }

    fn hash(&self, name: &[u8]) -> u32 {
        ((self.keys.hash_one(name) >> 32) as u32).max(1)
    }

    /// Where to look first for a name of this hash.
    fn slot(&self, hash: u32) -> usize {
        ((u64::from(hash) * self.slots.len() as u64) >> 32) as usize
    }

    fn look(&self, hash: u32, is_same: impl Fn(u32) -> bool) -> Option<u32> {
        let (before, after) = self.slots.split_at(self.slot(hash));
        after
            .iter()
            .chain(before)
            .copied()
            .take_while(|column| *column != EMPTY)
            .find(|column| self.hashes.get(*column as usize) == Some(hash) && is_same(*column))
    }

    fn put(&mut self, hash: u32, column: u32) {
        let mut slot = self.slot(hash);
        while self.slots[slot] != EMPTY {
            slot = (slot + 1) % self.slots.len();
        }
        self.slots[slot] = column;
    }

    fn grow(&mut self) -> Result<(), OutOfMemoryError> {
        let wanted = (self.slots.len() + self.slots.len() / 4).max(SLOTS);
        // The old slots are not needed: the hashes say all that they do.
        self.slots = Vec::new();
        self.slots.try_reserve_exact(wanted)?;
        self.slots.resize(wanted, EMPTY);
        for column in 0..self.hashes.len() {
            match self.hashes.get(column) {
                None | Some(0) => {}
                Some(hash) => self.put(hash, column as u32),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_is_found_and_of_equal_ones_the_first() {
        let mut index = Index::default();
        let names: Vec<String> = (0..20_000).map(|i| format!("c{}", i % 15_000)).collect();
        for name in &names {
            index.add(name.as_bytes(), |column| names[column as usize] == *name).unwrap();
        }
        assert_eq!(index.len(), 20_000);
        for (at, name) in names.iter().enumerate().take(15_000) {
            let found = index.find(name.as_bytes(), |column| names[column as usize] == *name);
            assert_eq!(found, Some(at as u32));
        }
        assert_eq!(index.find(b"c15000", |column| names[column as usize] == "c15000"), None);
        assert!(index.slots.len() <= 2 * 15_000);
    }
}

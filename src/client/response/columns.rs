//! The columns of a table, found by their names.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

use crate::client::response::segments::{OutOfMemoryError, Segments};

/// No column is there.
const EMPTY: u32 = u32::MAX;
/// The least number of slots.
const SLOTS: usize = 16;

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

    /// The first column of this name. `is_it` compares a column's name with it.
    pub(in crate::client) fn find(
        &self,
        name: &[u8],
        is_same: impl Fn(u32) -> bool,
    ) -> Option<u32> {
        self.look(self.hash(name), is_same)
    }

    /// Adds the next column; `is_it` compares an earlier one's name with this.
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

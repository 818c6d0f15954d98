//! Numbers by chance, to begin with.

use std::hash::{BuildHasher, Hasher, RandomState};

/// Another number at every call. The model checker's are always the same.
///
/// Not from fastrand's own generator: it asks std for the name of the thread, and what std keeps of
/// a thread that it did not start looks to valgrind as if the program had lost it.
pub fn number() -> u64 {
    if cfg!(shuttle) { fastrand::u64(..) } else { RandomState::new().build_hasher().finish() }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    #[test]
    fn they_all_differ() {
        let numbers: HashSet<u64> = (0..100).map(|_| super::number()).collect();
        assert_eq!(numbers.len(), 100);
    }
}

//! A socket of the model checker: nothing but what a cut can wake.

use std::time::Instant;

use crate::sync::{Condvar, Mutex};

#[derive(Debug, Default)]
pub(super) struct Socket {
    is_cut: Mutex<bool>,
    cut: Condvar,
}

impl Socket {
    pub(super) fn cut(&self) {
        *self.is_cut.lock() = true;
        self.cut.notify_all();
    }

    pub(super) fn is_cut(&self) -> bool {
        *self.is_cut.lock()
    }

    /// Waits for bytes that never come; true if it was cut, false if the deadline passed.
    pub(super) fn hang(&self, until: Instant) -> bool {
        let mut is_cut = self.is_cut.lock();
        let mut is_over = false;
        while !*is_cut && !is_over {
            (is_cut, is_over) = self.cut.wait_until(is_cut, until);
        }
        *is_cut
    }
}

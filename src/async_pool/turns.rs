//! Taking turns: one goes on, and the others wait in the order in which they came.

use std::collections::VecDeque;
use std::mem;

use crate::os::locks::Mutex;

/// Whose turn it is.
pub struct Turns<T>(Mutex<Queue<T>>);

struct Queue<T> {
    waiting: VecDeque<T>,
    /// One is being carried out, or its callback runs.
    is_busy: bool,
}

impl<T> Turns<T> {
    /// Returns it if its turn has come; otherwise it waits for that.
    pub fn enter(&self, task: T) -> Option<T> {
        let mut queue = self.0.lock();
        if !mem::replace(&mut queue.is_busy, true) {
            return Some(task);
        }
        queue.waiting.push_back(task);
        None
    }

    /// Takes the one that `is_wanted` names out of the queue, if its turn has not come.
    pub fn withdraw(&self, is_wanted: impl Fn(&T) -> bool) -> Option<T> {
        let mut queue = self.0.lock();
        let at = queue.waiting.iter().position(is_wanted)?;
        queue.waiting.remove(at)
    }

    /// The next one, now that the one before it is over.
    pub fn next(&self) -> Option<T> {
        let mut queue = self.0.lock();
        let next = queue.waiting.pop_front();
        queue.is_busy = next.is_some();
        next
    }
}

impl<T> Default for Turns<T> {
    fn default() -> Self {
        Turns(Mutex::new(Queue { waiting: VecDeque::new(), is_busy: false }))
    }
}

//! Something that each process has its own of: a forked child leaves its parent's alone.

use std::fmt;
use std::mem;
use std::sync::OnceLock;

use crate::os::fork;
use crate::os::locks::StaticMutex;

/// Held while a child makes its own, so that no fork catches it half made.
static MAKING: StaticMutex<()> = StaticMutex::new(());

/// A value of one process, and of each child that asks for its own.
pub struct PerProcess<T> {
    generation: u64,
    /// Always there; taken out to be leaked by a child, because its locks may be held for ever by
    /// threads that the child does not have.
    value: Option<T>,
    in_child: OnceLock<Box<PerProcess<T>>>,
}

impl<T> PerProcess<T> {
    pub fn new(value: T) -> Self {
        fork::hold_during_fork(&MAKING, || {
            let making = MAKING.lock();
            Box::new(move |_| drop(making))
        });
        PerProcess::of_this_process(value)
    }

    fn of_this_process(value: T) -> Self {
        PerProcess { generation: fork::generation(), value: Some(value), in_child: OnceLock::new() }
    }

    /// The value of the process that made this, maybe a parent of this one. Only what never
    /// changes in it may be looked at.
    pub fn first(&self) -> &T {
        self.value()
    }

    /// This process's own; `make` makes it from the parent's.
    pub fn own(&self, make: impl Fn(&T) -> T) -> &T {
        let mut found = self;
        while found.is_inherited() {
            found = match found.in_child.get() {
                Some(child) => child,
                None => found.make_child(&make),
            };
        }
        found.value()
    }

    fn value(&self) -> &T {
        self.value.as_ref().expect("it is there until the drop")
    }

    fn is_inherited(&self) -> bool {
        self.generation != fork::generation()
    }

    fn make_child(&self, make: impl Fn(&T) -> T) -> &PerProcess<T> {
        let _making = MAKING.lock();
        self.in_child.get_or_init(|| {
            // Not `new`, which takes a lock that a fork takes before this one.
            Box::new(PerProcess::of_this_process(make(self.value())))
        })
    }
}

impl<T> Drop for PerProcess<T> {
    fn drop(&mut self) {
        if self.is_inherited() {
            mem::forget(self.value.take());
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for PerProcess<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PerProcess").field("value", self.value()).finish_non_exhaustive()
    }
}

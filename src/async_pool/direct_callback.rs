//! Callbacks that run on the thread that brings their outcome, one after the other.

use std::cell::RefCell;
use std::collections::VecDeque;

#[cfg(shuttle)]
use shuttle::thread_local;

type Callback = Box<dyn FnOnce()>;

thread_local! {
    /// What is to run after the callback that runs now; `None` if none does.
    static NEXT: RefCell<Option<VecDeque<Callback>>> = RefCell::default();
}

/// Runs a callback now, or after the one that runs on this thread already. A callback that
/// releases the connection it gets, and so serves the next caller, would otherwise run within the one
/// before, and so on, until the stack is full.
pub fn run(callback: impl FnOnce() + 'static) {
    let mut current: Option<Callback> = Some(Box::new(callback));
    let is_first = NEXT.with(|next| {
        let mut next = next.borrow_mut();
        if let Some(next) = next.as_mut() {
            next.extend(current.take());
            return false;
        }
        *next = Some(VecDeque::new());
        true
    });
    while let Some(callback) = current.take() {
        callback();
        current = NEXT.with(|next| next.borrow_mut().as_mut().and_then(VecDeque::pop_front));
    }
    if is_first {
        NEXT.with(|next| next.take());
    }
}

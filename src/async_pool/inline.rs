//! Callbacks on the thread that brings their outcome about.

use std::cell::RefCell;
use std::collections::VecDeque;

#[cfg(shuttle)]
use shuttle::thread_local;

type Run = Box<dyn FnOnce()>;

thread_local! {
    /// What is to run after what runs now; `None` if nothing does.
    static BACKLOG: RefCell<Option<VecDeque<Run>>> = RefCell::default();
}

/// Runs it now; or, if this thread is in here already, after that. A callback that releases the
/// connection it gets, and so serves the next, would otherwise run within the one before, and so
/// on, until the stack is full.
pub fn run(run: impl FnOnce() + 'static) {
    let mut next: Option<Run> = Some(Box::new(run));
    let is_first = BACKLOG.with(|backlog| {
        let mut backlog = backlog.borrow_mut();
        if let Some(backlog) = backlog.as_mut() {
            backlog.extend(next.take());
            return false;
        }
        *backlog = Some(VecDeque::new());
        true
    });
    while let Some(run) = next.take() {
        run();
        next = BACKLOG.with(|backlog| backlog.borrow_mut().as_mut().and_then(VecDeque::pop_front));
    }
    if is_first {
        BACKLOG.with(|backlog| backlog.take());
    }
}

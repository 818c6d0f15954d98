//! The pool's threads under the model checker.

use std::cell::{Cell, RefCell};
use std::io;
use std::sync::Arc;

use super::locks::{Condvar, Mutex};

thread_local! {
    static RUNNING: Cell<usize> = const { Cell::new(0) };
    static REFUSED: Cell<usize> = const { Cell::new(0) };
    static ALL: RefCell<Vec<shuttle::thread::JoinHandle<()>>> = const { RefCell::new(Vec::new()) };
}

/// A thread of the pool. Unlike shuttle's own, it can be asked whether it has ended.
#[derive(Debug)]
pub struct JoinHandle(Arc<End>);

#[derive(Debug, Default)]
struct End {
    is_reached: Mutex<bool>,
    reached: Condvar,
}

impl JoinHandle {
    pub fn is_finished(&self) -> bool {
        *self.0.is_reached.lock()
    }

    pub fn join(self) -> std::thread::Result<()> {
        let mut is_reached = self.0.is_reached.lock();
        while !*is_reached {
            is_reached = self.0.reached.wait(is_reached);
        }
        Ok(())
    }
}

/// Lets the system have no thread for the next so many that are asked for.
pub fn refuse(threads: usize) {
    REFUSED.set(threads);
}

pub fn is_refusing() -> bool {
    REFUSED.get() > 0
}

pub fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle> {
    if REFUSED.get() > 0 {
        REFUSED.set(REFUSED.get() - 1);
        return Err(io::ErrorKind::WouldBlock.into());
    }
    let end = Arc::new(End::default());
    let its_end = end.clone();
    RUNNING.set(RUNNING.get() + 1);
    let thread = shuttle::thread::Builder::new().name(name.to_owned()).spawn(move || {
        run();
        // The system's threads are not gone either as soon as they have nothing left to do.
        for _ in 0..3 {
            shuttle::thread::yield_now();
        }
        RUNNING.set(RUNNING.get() - 1);
        *its_end.is_reached.lock() = true;
        its_end.reached.notify_all();
    })?;
    ALL.with_borrow_mut(|all| all.push(thread));
    Ok(JoinHandle(end))
}

/// Nobody cancels threads here.
pub struct Uncancelled;

impl Uncancelled {
    pub fn begin() -> Uncancelled {
        Uncancelled
    }
}

/// How many threads of the pool have not ended.
pub fn running() -> usize {
    RUNNING.get()
}

/// Forgets the threads of the scenario before this one.
pub fn reset() {
    RUNNING.set(0);
    REFUSED.set(0);
    ALL.take();
}

/// Waits until every thread of the pool has ended.
pub fn join_all() {
    while let Some(thread) = ALL.with_borrow_mut(Vec::pop) {
        thread.join().expect("no thread of the pool panics");
    }
}

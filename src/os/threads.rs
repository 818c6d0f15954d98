//! The library's own threads, and the program's callbacks.
//!
//! Under the model checker (`--cfg shuttle`) the threads are its own; see `model`.

mod group;
#[cfg(not(shuttle))]
mod plain;

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};

#[cfg(shuttle)]
use shuttle::thread_local;

#[cfg(shuttle)]
pub use crate::model::threads::{JoinHandle, Uncancelled, spawn};
#[cfg(all(test, not(shuttle)))]
pub use plain::cancel_this_thread;
#[cfg(not(shuttle))]
pub use plain::{JoinHandle, Uncancelled, spawn};

pub use group::{Busy, IDLE_TIME, Next, ThreadCount, ThreadGroup, Work};

use crate::error::{Code, Error, Result};

/// How many callbacks run at all: where none does, no thread needs to look for its own.
static RUNNING: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// How many callbacks of the program this thread is in.
    static CALLBACKS: Cell<usize> = const { Cell::new(0) };
}

/// Runs a callback of the program. What it calls must not wait for the library meanwhile: see
/// [`refuse_in_callback`].
pub fn call_back<R>(callback: impl FnOnce() -> R) -> R {
    struct Within;
    impl Drop for Within {
        fn drop(&mut self) {
            CALLBACKS.with(|callbacks| callbacks.set(callbacks.get() - 1));
            RUNNING.fetch_sub(1, Ordering::Relaxed);
        }
    }
    RUNNING.fetch_add(1, Ordering::Relaxed);
    CALLBACKS.with(|callbacks| callbacks.set(callbacks.get() + 1));
    let _within = Within;
    callback()
}

/// Lets other threads run.
pub fn yield_now() {
    #[cfg(shuttle)]
    shuttle::thread::yield_now();
    #[cfg(not(shuttle))]
    std::thread::yield_now();
}

/// Whether this thread is in a callback of the program.
pub fn is_in_callback() -> bool {
    // A thread that is in one has counted it itself.
    RUNNING.load(Ordering::Relaxed) != 0 && is_this_one_in_callback()
}

#[cold]
#[inline(never)]
fn is_this_one_in_callback() -> bool {
    CALLBACKS.with(Cell::get) != 0
}

/// For calls that wait.
///
/// # Errors
/// `WouldDeadlock` from within a callback: it might wait for itself, and it would hold up
/// others that need the thread.
pub fn refuse_in_callback(what: &str) -> Result<()> {
    if !is_in_callback() {
        return Ok(());
    }
    Err(Error::new(
        Code::WouldDeadlock,
        format!(
            "{what} was called from within a callback of the library, where nothing may wait; \
             use the asynchronous form, or another thread"
        ),
    ))
}

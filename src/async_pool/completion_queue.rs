//! What asynchronous calls have completed, for a loop of the program to take.

use std::collections::VecDeque;
use std::fmt;
use std::mem;
use std::os::fd::RawFd;
use std::time::Instant;

use crate::error::{Code, Error, Result};
use crate::os::eventfd::EventFd;
use crate::os::fork;
use crate::os::locks::{Condvar, Mutex};
use crate::os::threads::{self, Uncancelled};

/// Wakes the loop.
type Wake = Box<dyn Fn() + Send + Sync>;

/// Completions in the order in which they came, and what wakes the loop that takes them.
///
/// A wake-up is *armed* when a take gets fewer completions than it asked for: it has emptied the queue
/// then. The next completion uses the wake-up up, and those that follow wake nobody: the loop takes
/// until it gets fewer than it asks for, so it finds them too. No wake-up is lost, and what completes
/// while a full take is not the last one costs none.
pub struct CompletionQueue<T> {
    /// The process that made it.
    generation: u64,
    wake: Option<Wake>,
    state: Mutex<State<T>>,
    /// Signals a take that waits, or a close that waits for wake-ups.
    changed: Condvar,
}

struct State<T> {
    completions: VecDeque<T>,
    is_armed: bool,
    descriptor: Option<EventFd>,
    is_signalled: bool,
    /// Takes that wait.
    waiting: usize,
    /// Threads that are in the wake function.
    waking: usize,
    is_closed: bool,
}

impl<T> CompletionQueue<T> {
    /// An empty queue. `wake` is called to wake the loop, with no lock held.
    pub fn new(wake: Option<Wake>) -> CompletionQueue<T> {
        CompletionQueue {
            generation: fork::generation(),
            wake,
            state: Mutex::new(State {
                completions: VecDeque::new(),
                is_armed: true,
                descriptor: None,
                is_signalled: false,
                waiting: 0,
                waking: 0,
                is_closed: false,
            }),
            changed: Condvar::default(),
        }
    }

    /// For every function here, before it touches a lock: threads that a child does not have may hold
    /// those of its parent, and their descriptor is shared with it.
    ///
    /// # Errors
    /// `InvalidHandle` in a forked child, if the parent made the queue.
    pub fn check_process(&self) -> Result<()> {
        if self.generation == fork::generation() {
            return Ok(());
        }
        Err(Error::new(
            Code::InvalidHandle,
            "queue: the handle belongs to the parent process; create a queue after the fork",
        ))
    }

    /// Adds a completion; drops it if the queue is closed.
    pub fn post(&self, completion: T) {
        let mut state = self.state.lock();
        if state.is_closed {
            drop(state);
            // What it holds may take locks of its own.
            drop(completion);
            return;
        }
        state.completions.push_back(completion);
        if state.waiting > 0 {
            self.changed.notify_all();
        }
        if !mem::take(&mut state.is_armed) {
            return;
        }
        let _uncancelled = Uncancelled::begin();
        state.signal();
        let Some(wake) = &self.wake else { return };
        state.waking += 1;
        drop(state);
        threads::call_back(wake);
        let mut state = self.state.lock();
        state.waking -= 1;
        if state.is_closed {
            self.changed.notify_all();
        }
    }

    /// Takes the oldest completions, `most` of them at most, and says how many. If there are none, waits
    /// for one until `deadline`; with no deadline, or once it has passed, there are none. `receive` is
    /// handed each with the lock held, and must only put it where it belongs.
    ///
    /// # Errors
    /// `InvalidHandle` once the queue is closed; `WouldDeadlock` for a wait within a callback.
    pub fn take(
        &self,
        most: usize,
        deadline: Option<Instant>,
        receive: impl FnMut(T),
    ) -> Result<usize> {
        let mut state = self.state.lock();
        let mut is_over = deadline.is_none();
        loop {
            if state.is_closed {
                return Err(freed());
            }
            let count = state.completions.len().min(most);
            if count < most {
                state.arm();
            }
            if count > 0 {
                state.completions.drain(..count).for_each(receive);
                return Ok(count);
            }
            let Some(deadline) = deadline.filter(|_| !is_over) else { return Ok(0) };
            threads::refuse_in_callback("phantomdb_completion_queue_take with a timeout")?;
            state.waiting += 1;
            (state, is_over) = self.changed.wait_until(state, deadline);
            state.waiting -= 1;
        }
    }

    /// Lets nothing wake the loop until a take gets fewer completions than it asks for.
    pub fn defer_wake(&self) {
        self.state.lock().is_armed = false;
    }

    /// The descriptor that is readable from a wake-up on, until a take gets fewer completions than it asks for.
    ///
    /// # Errors
    /// `Overloaded` if the system refuses one; `InvalidHandle` once the queue is closed.
    pub fn descriptor(&self) -> Result<RawFd> {
        let mut state = self.state.lock();
        if state.is_closed {
            return Err(freed());
        }
        if let Some(descriptor) = &state.descriptor {
            return Ok(descriptor.descriptor());
        }
        let made = EventFd::new().map_err(|error| {
            Error::of_system("Could not open a descriptor (of eventfd) for the queue", &error)
        })?;
        let number = made.descriptor();
        state.descriptor = Some(made);
        if !state.completions.is_empty() {
            // Their wake-up came before there was a descriptor.
            state.signal();
        }
        Ok(number)
    }

    /// Drops what nobody has taken, and what is posted from now on. When it has returned, the wake
    /// function does not run, and will not.
    ///
    /// # Errors
    /// `WouldDeadlock` within a callback while the wake function runs, and nothing is closed then;
    /// `InvalidHandle` if it is closed already.
    pub fn close(&self) -> Result<()> {
        let mut state = self.state.lock();
        if state.is_closed {
            return Err(freed());
        }
        if state.waking > 0 {
            threads::refuse_in_callback("phantomdb_completion_queue_free")?;
        }
        state.is_closed = true;
        let left = (mem::take(&mut state.completions), state.descriptor.take());
        self.changed.notify_all();
        while state.waking > 0 {
            state = self.changed.wait(state);
        }
        drop(state);
        // What they hold may take locks of its own.
        drop(left);
        Ok(())
    }
}

impl<T> State<T> {
    fn arm(&mut self) {
        self.is_armed = true;
        if !mem::take(&mut self.is_signalled) {
            return;
        }
        if let Some(descriptor) = &self.descriptor {
            descriptor.reset();
        }
    }

    fn signal(&mut self) {
        if let Some(descriptor) = &self.descriptor {
            descriptor.signal();
            self.is_signalled = true;
        }
    }
}

fn freed() -> Error {
    Error::new(Code::InvalidHandle, "queue: the handle was freed meanwhile")
}

impl<T> fmt::Debug for CompletionQueue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CompletionQueue").finish_non_exhaustive()
    }
}

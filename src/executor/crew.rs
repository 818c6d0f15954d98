//! The threads that carry requests out and run callbacks.
//!
//! A request in flight has a thread to itself, so there are never more of them than connections;
//! for what needs no connection (a refusal, a cancelled call) there is one more.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::call::Call;
use crate::clock;
use crate::error::{Code, Error, Result};
use crate::sync::{Condvar, Mutex, MutexGuard};
use crate::threads;

/// How long a thread with nothing to do stays.
const LINGER: Duration = Duration::from_secs(10);

/// The threads of one pool's asynchronous calls.
#[derive(Default)]
pub struct Crew {
    state: Mutex<State>,
    task_ready: Condvar,
    /// Signals a close that a thread ended, or that no callback is owed any more.
    thread_ended: Condvar,
    threads: Mutex<Vec<threads::JoinHandle>>,
}

#[derive(Default)]
struct State {
    requests: VecDeque<Box<dyn FnOnce(InRequest) + Send>>,
    completions: VecDeque<Box<dyn FnOnce() + Send>>,
    running: usize,
    /// Threads that wait for a task.
    idle: usize,
    /// Threads that carry out a request.
    in_request: usize,
    /// Threads that run a callback which needs no connection.
    completing: usize,
    /// Calls whose callback has not run yet.
    owed: usize,
    is_closed: bool,
}

/// A callback that is owed. A close waits until none is.
pub struct Owed(Arc<Crew>);

/// A thread that has a connection, until that is given back.
pub struct InRequest(Arc<Crew>);

enum Task {
    Request(Box<dyn FnOnce(InRequest) + Send>),
    Completion(Box<dyn FnOnce() + Send>),
}

impl Crew {
    /// One callback more is owed.
    pub fn owe(self: &Arc<Self>) -> Owed {
        self.state.lock().owed += 1;
        Owed(self.clone())
    }

    /// One callback more is owed, and there is a thread that will run it.
    pub fn owe_with_thread(self: &Arc<Self>) -> Result<Owed> {
        let mut state = self.state.lock();
        if state.is_closed {
            return Err(Error::closed());
        }
        state.owed += 1;
        let owed = Owed(self.clone());
        if state.running > 0 {
            return Ok(owed);
        }
        state.running = 1;
        drop(state);
        if self.spawn() { Ok(owed) } else { Err(no_thread()) }
    }

    /// Has a thread carry out a request, for which there is a connection.
    pub fn request(self: &Arc<Self>, request: impl FnOnce(InRequest) + Send + 'static) {
        let mut state = self.state.lock();
        state.requests.push_back(Box::new(request));
        self.call_for_help(state);
    }

    /// Has a thread run the callback.
    pub fn complete<T: Send + 'static>(self: &Arc<Self>, call: Call<T>, outcome: Result<T>) {
        let mut state = self.state.lock();
        state.completions.push_back(Box::new(move || call.complete(outcome)));
        self.call_for_help(state);
    }

    /// Waits until every callback that is owed has run, and the threads are gone.
    pub fn close(&self) {
        self.dismiss();
        let mut state = self.state.lock();
        while state.running > 0 || state.owed > 0 {
            state = self.thread_ended.wait(state);
        }
        drop(state);
        // Under the lock, so that of two closes neither returns while the other still joins.
        for thread in self.threads.lock().drain(..) {
            let _ = thread.join();
        }
    }

    /// Lets the threads go when every callback that is owed has run.
    pub fn dismiss(&self) {
        self.state.lock().is_closed = true;
        self.task_ready.notify_all();
    }

    /// Somebody has to do what was just queued.
    fn call_for_help(self: &Arc<Self>, mut state: MutexGuard<'_, State>) {
        let has_idle = state.idle > 0;
        let is_short = state.running < state.wanted();
        state.running += usize::from(is_short);
        drop(state);
        if has_idle {
            self.task_ready.notify_one();
        }
        if is_short {
            self.spawn();
        }
    }

    /// Starts a thread that was counted in. If there is none to be had, the others do its work.
    fn spawn(self: &Arc<Self>) -> bool {
        let crew = self.clone();
        // From before the start, so that a thread that ends at once is joined by a close too.
        let mut threads = self.threads.lock();
        match threads::spawn("phantomdb-call", move || crew.work()) {
            Ok(thread) => {
                threads.retain(|thread| !thread.is_finished());
                threads.push(thread);
                true
            }
            Err(_) => {
                drop(threads);
                self.state.lock().running -= 1;
                self.thread_ended.notify_all();
                false
            }
        }
    }

    fn work(self: &Arc<Self>) {
        let mut state = self.state.lock();
        loop {
            if let Some(task) = state.next_task() {
                drop(state);
                self.carry_out(task);
                state = self.state.lock();
                continue;
            }
            if state.is_closed && state.owed == 0 {
                break;
            }
            state.idle += 1;
            let (guard, is_over) = self.task_ready.wait_until(state, clock::now() + LINGER);
            state = guard;
            state.idle -= 1;
            // While a callback is owed one thread stays, so that nothing depends on a new one.
            let is_needed = state.owed > 0 && state.running == 1;
            if is_over && state.has_no_task() && !is_needed {
                break;
            }
        }
        state.running -= 1;
        drop(state);
        self.thread_ended.notify_all();
    }

    fn carry_out(self: &Arc<Self>, task: Task) {
        match task {
            Task::Request(request) => request(InRequest(self.clone())),
            Task::Completion(completion) => {
                completion();
                self.state.lock().completing -= 1;
            }
        }
    }
}

impl State {
    fn next_task(&mut self) -> Option<Task> {
        if let Some(completion) = self.completions.pop_front() {
            self.completing += 1;
            return Some(Task::Completion(completion));
        }
        let request = self.requests.pop_front()?;
        self.in_request += 1;
        Some(Task::Request(request))
    }

    fn has_no_task(&self) -> bool {
        self.completions.is_empty() && self.requests.is_empty()
    }

    /// How many threads there is something to do for.
    fn wanted(&self) -> usize {
        let completes = self.completing > 0 || !self.completions.is_empty();
        self.in_request + self.requests.len() + usize::from(completes)
    }
}

impl Drop for InRequest {
    fn drop(&mut self) {
        self.0.state.lock().in_request -= 1;
    }
}

impl Drop for Owed {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.owed -= 1;
        let is_last = state.is_closed && state.owed == 0;
        drop(state);
        if is_last {
            self.0.task_ready.notify_all();
            self.0.thread_ended.notify_all();
        }
    }
}

impl fmt::Debug for Crew {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Crew").finish_non_exhaustive()
    }
}

fn no_thread() -> Error {
    Error::new(Code::Overloaded, "The system has no thread to be had for an asynchronous call")
}

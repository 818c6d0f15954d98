//! The threads that carry requests out and run callbacks.
//!
//! One of them, the reactor (see there), serves every request that has a socket, and runs whatever
//! callback needs no connection. A request that has none yet needs a thread that may wait, for the
//! dial, and a large response one that may take its time, to read it: a helper. There are never more
//! of them than connections.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use super::call::Call;
use super::reactor::{self, Reactor};
use super::request_task::{Job, RequestTask};
use crate::client::{Poller, Waker};
use crate::error::{Error, Result};
use crate::os::clock;
use crate::os::locks::{Condvar, Mutex, MutexGuard};
use crate::os::threads;

/// How long a thread with nothing to do stays.
pub const LINGER: Duration = Duration::from_secs(10);

/// The threads of one pool's asynchronous calls.
#[derive(Default)]
pub struct ThreadGroup {
    state: Mutex<State>,
    errand_ready: Condvar,
    /// Signals a close that a thread ended, or that no callback is owed any more.
    thread_ended: Condvar,
    threads: Mutex<Vec<threads::JoinHandle>>,
}

#[derive(Default)]
struct State {
    /// What the reactor is to do.
    inbox: VecDeque<Task>,
    /// How to wake the reactor; `None` if there is none.
    waker: Option<Arc<Waker>>,
    /// The reactor sleeps, or is about to, and has not been told of what is in its inbox.
    is_asleep: bool,
    /// What needs a helper.
    errands: VecDeque<(Box<RequestTask>, Job)>,
    helpers: usize,
    /// Helpers that wait for an errand.
    idle: usize,
    /// Helpers that have a connection.
    in_request: usize,
    /// Calls whose callback has not run yet.
    owed: usize,
    is_closed: bool,
}

/// Something for the reactor to do.
pub enum Task {
    Complete(Box<dyn FnOnce() + Send>),
    Begin(Box<RequestTask>),
    /// What no helper is there for, because the system has no thread to be had.
    Finish(Box<RequestTask>, Job),
}

/// A callback that is owed. A close waits until none is.
pub struct Owed(Arc<ThreadGroup>);

/// A helper that has a connection, until that is given back.
pub struct InRequest(Arc<ThreadGroup>);

/// What the reactor is to do next.
pub enum Next {
    Do(VecDeque<Task>),
    /// To wait for sockets, or the waker, at most so long.
    Wait(Option<Duration>),
    Leave,
}

impl ThreadGroup {
    /// One callback more is owed.
    pub fn owe(self: &Arc<Self>) -> Owed {
        self.state.lock().owed += 1;
        Owed(self.clone())
    }

    /// One callback more is owed, and there is a reactor that will run it: it stays as long as any
    /// is, so that nothing depends on a thread that the system may refuse.
    pub fn owe_with_reactor(self: &Arc<Self>) -> Result<Owed> {
        let mut state = self.state.lock();
        if state.is_closed {
            return Err(Error::closed());
        }
        if state.waker.is_none() {
            // Under the lock, so that nobody else counts on a reactor that does not come.
            state.waker = Some(self.start_reactor()?);
            state.is_asleep = false;
        }
        state.owed += 1;
        Ok(Owed(self.clone()))
    }

    fn start_reactor(self: &Arc<Self>) -> Result<Arc<Waker>> {
        let poller = Poller::new().map_err(|error| {
            let what = "Could not open a descriptor (of epoll, eventfd) for asynchronous calls";
            Error::of_system(what, &error)
        })?;
        let waker = poller.waker().clone();
        let reactor = Reactor::new(self.clone(), poller);
        self.spawn(reactor::THREAD, move || reactor.run())
            .map_err(|error| Error::of_system("Could not start a thread", &error))?;
        Ok(waker)
    }

    /// Has the callback run.
    pub fn complete<T: Send + 'static>(&self, call: Call<T>, outcome: Result<T>) {
        self.give(Task::Complete(Box::new(move || call.complete(outcome))));
    }

    /// Has a request carried out, for which there is a connection.
    pub fn carry_out(&self, errand: Box<RequestTask>) {
        self.give(Task::Begin(errand));
    }

    fn give(&self, task: Task) {
        let mut state = self.state.lock();
        state.inbox.push_back(task);
        let waker = state.wake_reactor();
        drop(state);
        wake(waker);
    }

    /// Has a helper finish an errand.
    pub fn help(self: &Arc<Self>, errand: Box<RequestTask>, job: Job) {
        let mut state = self.state.lock();
        state.errands.push_back((errand, job));
        let has_idle = state.idle > 0;
        let is_short = state.helpers < state.in_request + state.errands.len();
        state.helpers += usize::from(is_short);
        drop(state);
        if has_idle {
            self.errand_ready.notify_one();
        }
        let crew = self.clone();
        if is_short && self.spawn("phantomdb-call", move || crew.help_out()).is_err() {
            self.do_without();
        }
    }

    /// There is one helper fewer than there should be, because the system has no thread to be had.
    fn do_without(&self) {
        let mut state = self.state.lock();
        state.helpers -= 1;
        let mut waker = None;
        if state.helpers == 0 {
            // The reactor does it, though everything else waits meanwhile.
            let orphans = mem::take(&mut state.errands).into_iter();
            state.inbox.extend(orphans.map(|(errand, job)| Task::Finish(errand, job)));
            waker = state.wake_reactor();
        }
        drop(state);
        self.thread_ended.notify_all();
        wake(waker);
    }

    /// Waits until every callback that is owed has run, and the threads are gone.
    pub fn close(&self) {
        self.dismiss();
        let mut state = self.state.lock();
        while state.waker.is_some() || state.helpers > 0 || state.owed > 0 {
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
        let mut state = self.state.lock();
        state.is_closed = true;
        let waker = state.wake_reactor();
        drop(state);
        wake(waker);
        self.errand_ready.notify_all();
    }

    /// What the reactor is to do, which has `underway` requests under way.
    pub fn next(&self, underway: usize) -> Next {
        let mut state = self.state.lock();
        state.is_asleep = false;
        if !state.inbox.is_empty() {
            return Next::Do(mem::take(&mut state.inbox));
        }
        if state.is_closed && state.owed == 0 {
            return self.let_go(state);
        }
        state.is_asleep = true;
        Next::Wait((state.owed == 0 && underway == 0).then_some(LINGER))
    }

    /// The reactor has had nothing to do for so long that it would leave.
    pub fn may_leave(&self) -> bool {
        let state = self.state.lock();
        // What is in its inbox is owed too.
        state.owed == 0 && matches!(self.let_go(state), Next::Leave)
    }

    fn let_go(&self, mut state: MutexGuard<'_, State>) -> Next {
        state.waker = None;
        drop(state);
        self.thread_ended.notify_all();
        Next::Leave
    }

    /// Starts a thread, if there is one to be had.
    fn spawn(&self, name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<()> {
        // From before the start, so that a thread that ends at once is joined by a close too.
        let mut threads = self.threads.lock();
        let thread = threads::spawn(name, run)?;
        threads::join_finished(&mut threads);
        threads.push(thread);
        Ok(())
    }

    fn help_out(self: &Arc<Self>) {
        let mut state = self.state.lock();
        loop {
            if let Some((errand, job)) = state.errands.pop_front() {
                state.in_request += 1;
                drop(state);
                errand.finish(self, job, Some(InRequest(self.clone())));
                state = self.state.lock();
                continue;
            }
            if state.is_closed && state.owed == 0 {
                break;
            }
            state.idle += 1;
            let (guard, is_over) = self.errand_ready.wait_until(state, clock::now() + LINGER);
            state = guard;
            state.idle -= 1;
            if is_over && state.errands.is_empty() {
                break;
            }
        }
        state.helpers -= 1;
        drop(state);
        self.thread_ended.notify_all();
    }
}

impl State {
    /// The waker that is to be called once the lock is released, if the reactor sleeps.
    fn wake_reactor(&mut self) -> Option<Arc<Waker>> {
        mem::take(&mut self.is_asleep).then(|| self.waker.clone()).flatten()
    }
}

fn wake(waker: Option<Arc<Waker>>) {
    if let Some(waker) = waker {
        waker.wake();
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
        if !state.is_closed || state.owed > 0 {
            return;
        }
        let waker = state.wake_reactor();
        drop(state);
        wake(waker);
        self.0.errand_ready.notify_all();
        self.0.thread_ended.notify_all();
    }
}

impl fmt::Debug for ThreadGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Crew").finish_non_exhaustive()
    }
}

//! Hands requests to the threads that carry them out, and counts the callbacks that have not run.
//!
//! One thread, the reactor (see there), serves every request that has a socket, and runs every
//! callback that needs no connection. A request without a socket needs a thread that may wait for the
//! dial, and a large response one that may take its time to read it: a helper. There are never more
//! helpers than connections.

use std::collections::VecDeque;
use std::fmt;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use super::request_task::RequestTask;
use crate::client::{Poller, Progress, Response, Waker};
use crate::error::{Error, Result};
use crate::os::locks::{Condvar, Mutex, MutexGuard};
use crate::os::threads::{self, Busy, IDLE_TIME, ThreadCount, ThreadGroup, Work};

/// The name of the reactor's thread.
const REACTOR: &str = "phantomdb-loop";

/// What the asynchronous calls of one pool are handed to.
pub struct Dispatcher {
    /// What the reactor's thread runs.
    run_reactor: fn(Arc<Dispatcher>, Poller),
    state: Mutex<State>,
    /// Signals helpers that there is a request for them.
    helper_wanted: Condvar,
    /// Signals a close that a thread ended, or that the last pending callback has run.
    thread_ended: Condvar,
    threads: ThreadGroup,
}

#[derive(Default)]
struct State {
    for_reactor: VecDeque<ReactorTask>,
    /// How to wake the reactor; `None` if there is none.
    waker: Option<Arc<Waker>>,
    /// The reactor sleeps, or is about to, and has not been woken for what is there for it.
    is_asleep: bool,
    for_helpers: VecDeque<(Box<RequestTask>, Progress)>,
    helpers: ThreadCount,
    /// Calls whose callback has not run yet.
    pending_callbacks: usize,
    is_closed: bool,
}

/// Something for the reactor to do.
pub enum ReactorTask {
    Run(Box<dyn FnOnce() + Send>),
    Start(Box<RequestTask>),
}

/// A callback that has not run. A close waits until there is none.
pub struct PendingCallback(Arc<Dispatcher>);

/// A thread for what may wait, or takes its time.
#[derive(Clone)]
struct Helper(Arc<Dispatcher>);

/// What the reactor is to do next.
pub enum Next {
    Do(VecDeque<ReactorTask>),
    /// To wait for sockets, or the waker, for this time at most.
    Wait(Option<Duration>),
    End,
}

impl Dispatcher {
    /// Starts no thread yet. `run_reactor` is what the reactor's thread runs.
    pub fn new(run_reactor: fn(Arc<Dispatcher>, Poller)) -> Arc<Dispatcher> {
        Arc::new(Dispatcher {
            run_reactor,
            state: Mutex::default(),
            helper_wanted: Condvar::new(),
            thread_ended: Condvar::new(),
            threads: ThreadGroup::default(),
        })
    }

    /// One that shares nothing with this one, for a forked child.
    pub fn for_child(&self) -> Arc<Dispatcher> {
        Dispatcher::new(self.run_reactor)
    }

    /// Counts a callback that is going to run.
    pub fn expect_callback(self: &Arc<Self>) -> PendingCallback {
        self.state.lock().pending_callbacks += 1;
        PendingCallback(self.clone())
    }

    /// Counts a callback that is going to run, and makes sure of a reactor to run it: that stays
    /// as long as a callback is pending, so that nothing depends on a thread that the system may
    /// refuse.
    pub fn expect_callback_of_reactor(self: &Arc<Self>) -> Result<PendingCallback> {
        let mut state = self.state.lock();
        if state.is_closed {
            return Err(Error::closed());
        }
        if state.waker.is_none() {
            // Under the lock, so that nobody else counts on a reactor that does not come.
            state.waker = Some(self.start_reactor()?);
            state.is_asleep = false;
        }
        state.pending_callbacks += 1;
        Ok(PendingCallback(self.clone()))
    }

    fn start_reactor(self: &Arc<Self>) -> Result<Arc<Waker>> {
        let poller = Poller::new().map_err(|error| {
            let what = "Could not open a descriptor (of epoll, eventfd) for asynchronous calls";
            Error::of_system(what, &error)
        })?;
        let waker = poller.waker().clone();
        let (run, dispatcher) = (self.run_reactor, self.clone());
        self.threads
            .spawn(REACTOR, move || run(dispatcher, poller))
            .map_err(|error| Error::of_system("Could not start a thread", &error))?;
        Ok(waker)
    }

    /// Has the reactor run a callback.
    pub fn run_callback(&self, callback: impl FnOnce() + Send + 'static) {
        self.give_reactor(ReactorTask::Run(Box::new(callback)));
    }

    /// Has the reactor begin a request, whose turn on its connection has come.
    pub fn start(&self, task: Box<RequestTask>) {
        self.give_reactor(ReactorTask::Start(task));
    }

    /// Does what is left of a request, on this thread.
    fn finish(&self, task: Box<RequestTask>, progress: Progress) {
        let outcome = task.finish(progress);
        self.end(task, outcome);
    }

    /// Ends a request, and begins the next on its connection.
    pub fn end(&self, task: Box<RequestTask>, outcome: Result<Response>) {
        if let Some(next) = task.end(outcome) {
            self.start(next);
        }
    }

    fn give_reactor(&self, task: ReactorTask) {
        let mut state = self.state.lock();
        state.for_reactor.push_back(task);
        let waker = state.wake_reactor();
        drop(state);
        wake(waker);
    }

    /// Has a helper finish a request.
    pub fn help(self: &Arc<Self>, task: Box<RequestTask>, progress: Progress) {
        let mut state = self.state.lock();
        state.for_helpers.push_back((task, progress));
        let has_idle = state.helpers.has_idle();
        let waiting = state.for_helpers.len();
        let missing = state.helpers.reserve(waiting, usize::MAX);
        drop(state);
        if has_idle {
            self.helper_wanted.notify_one();
        }
        if missing > 0 {
            self.threads.start(&Helper(self.clone()), missing);
        }
    }

    /// Waits until every pending callback has run, and the threads are gone.
    pub fn close(&self) {
        self.begin_close();
        let mut state = self.state.lock();
        while state.waker.is_some() || !state.helpers.is_zero() || state.pending_callbacks > 0 {
            state = self.thread_ended.wait(state);
        }
        drop(state);
        self.threads.join();
    }

    /// Lets the threads end when every pending callback has run.
    pub fn begin_close(&self) {
        let mut state = self.state.lock();
        state.is_closed = true;
        let waker = state.wake_reactor();
        drop(state);
        wake(waker);
        self.helper_wanted.notify_all();
    }

    /// What the reactor is to do, which has `in_flight` requests.
    pub fn next(&self, in_flight: usize) -> Next {
        let mut state = self.state.lock();
        state.is_asleep = false;
        if !state.for_reactor.is_empty() {
            return Next::Do(mem::take(&mut state.for_reactor));
        }
        if state.is_over() {
            return self.end_reactor(state);
        }
        state.is_asleep = true;
        Next::Wait((state.pending_callbacks == 0 && in_flight == 0).then_some(IDLE_TIME))
    }

    /// Whether the reactor, which has had nothing to do for [`IDLE_TIME`], ends.
    pub fn may_end(&self) -> bool {
        let state = self.state.lock();
        // What is there for it to do has a pending callback too.
        state.pending_callbacks == 0 && matches!(self.end_reactor(state), Next::End)
    }

    fn end_reactor(&self, mut state: MutexGuard<'_, State>) -> Next {
        state.waker = None;
        drop(state);
        self.thread_ended.notify_all();
        Next::End
    }
}

impl State {
    /// The waker that is to be called once the lock is released, if the reactor sleeps.
    fn wake_reactor(&mut self) -> Option<Arc<Waker>> {
        mem::take(&mut self.is_asleep).then(|| self.waker.clone()).flatten()
    }

    fn is_over(&self) -> bool {
        self.is_closed && self.pending_callbacks == 0
    }
}

fn wake(waker: Option<Arc<Waker>>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

impl Work for Helper {
    const NAME: &'static str = "phantomdb-call";
    type State = State;
    type Job = (Box<RequestTask>, Progress);

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock()
    }

    fn signal(&self) -> &Condvar {
        &self.0.helper_wanted
    }

    fn count(state: &mut State) -> &mut ThreadCount {
        &mut state.helpers
    }

    fn next(state: &mut State) -> threads::Next<Self::Job> {
        match state.for_helpers.pop_front() {
            Some(task) => threads::Next::Do(task),
            None if state.is_over() => threads::Next::End,
            None => threads::Next::Idle,
        }
    }

    fn run(&self, (task, progress): Self::Job, busy: &mut Busy<'_, Self>) {
        let outcome = task.finish(progress);
        // The callback may take its time, and needs no connection.
        busy.end();
        self.0.end(task, outcome);
    }

    fn refused(&self, mut state: MutexGuard<'_, State>) {
        let mut waker = None;
        if state.helpers.is_zero() {
            // The reactor does it, though everything else waits meanwhile.
            let left = mem::take(&mut state.for_helpers).into_iter();
            state.for_reactor.extend(left.map(|(task, progress)| {
                let dispatcher = self.0.clone();
                ReactorTask::Run(Box::new(move || dispatcher.finish(task, progress)))
            }));
            waker = state.wake_reactor();
        }
        drop(state);
        self.ended();
        wake(waker);
    }

    fn ended(&self) {
        self.0.thread_ended.notify_all();
    }
}

impl Drop for PendingCallback {
    fn drop(&mut self) {
        let Self(dispatcher) = self;
        let mut state = dispatcher.state.lock();
        state.pending_callbacks -= 1;
        if !state.is_over() {
            return;
        }
        let waker = state.wake_reactor();
        drop(state);
        wake(waker);
        dispatcher.helper_wanted.notify_all();
        dispatcher.thread_ended.notify_all();
    }
}

impl fmt::Debug for Dispatcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dispatcher").finish_non_exhaustive()
    }
}

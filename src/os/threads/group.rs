//! A group of threads: it starts them when there is work, lets them end after a while without any,
//! and joins them. What they work on, and how many they are, its owner guards by one lock.

use std::io;
use std::mem;
use std::time::{Duration, Instant};

use super::{JoinHandle, spawn};
use crate::os::clock;
use crate::os::locks::{Condvar, Mutex, MutexGuard};

/// How long a thread without work stays.
pub const IDLE_TIME: Duration = Duration::from_secs(10);

/// The threads of one owner, of all kinds.
#[derive(Debug, Default)]
pub struct ThreadGroup {
    handles: Mutex<Vec<JoinHandle>>,
}

/// How many threads of one kind there are.
#[derive(Debug, Default)]
pub struct ThreadCount {
    /// Those that are about to start included.
    running: usize,
    /// Of them, those that have work.
    busy: usize,
    /// Of them, those that wait for work.
    idle: usize,
}

/// What threads of one kind do.
pub trait Work: Clone + Send + 'static {
    /// The name of each thread.
    const NAME: &'static str;
    /// What the lock guards.
    type State;
    /// A piece of work.
    type Job;

    /// Takes the lock.
    fn lock(&self) -> MutexGuard<'_, Self::State>;

    /// Signals the threads that there is something new for them.
    fn signal(&self) -> &Condvar;

    /// How many threads do this work.
    fn count(state: &mut Self::State) -> &mut ThreadCount;

    /// What one of them is to do next.
    fn next(state: &mut Self::State) -> Next<Self::Job>;

    /// Does a piece of work, without the lock.
    fn run(&self, job: Self::Job, busy: &mut Busy<'_, Self>);

    /// The system refused a thread, which is not counted any more.
    fn refused(&self, state: MutexGuard<'_, Self::State>);

    /// A thread ended, which is not counted any more.
    fn ended(&self);
}

/// What a thread of a group is to do next.
pub enum Next<J> {
    Do(J),
    /// Nothing before this time.
    WaitUntil(Instant),
    /// Nothing that anybody knows of.
    Idle,
    End,
}

/// A thread that counts as having work.
pub struct Busy<'a, W: Work> {
    work: &'a W,
    is_over: bool,
}

impl ThreadGroup {
    /// Starts so many threads, which [`ThreadCount::reserve`] counted.
    pub fn start<W: Work>(&self, work: &W, threads: usize) {
        for _ in 0..threads {
            let its_work = work.clone();
            if self.spawn(W::NAME, move || serve(&its_work)).is_err() {
                let mut state = work.lock();
                W::count(&mut state).running -= 1;
                work.refused(state);
            }
        }
    }

    /// Starts a thread that its owner counts.
    ///
    /// # Errors
    /// The system's, if it refuses a thread.
    pub fn spawn(&self, name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<()> {
        // From before the start, so that a thread that ends at once is joined by a close too.
        let mut handles = self.handles.lock();
        let handle = spawn(name, run)?;
        // Only who has joined a thread knows that it is gone.
        let (ended, mut rest): (Vec<_>, _) =
            mem::take(&mut *handles).into_iter().partition(JoinHandle::is_finished);
        rest.push(handle);
        *handles = rest;
        join(ended);
        Ok(())
    }

    /// Joins all threads; their owner has seen to it that they end.
    pub fn join(&self) {
        // Under the lock, so that of two closes neither returns while the other still joins.
        join(self.handles.lock().drain(..));
    }
}

fn join(handles: impl IntoIterator<Item = JoinHandle>) {
    for handle in handles {
        // A panic of the thread was reported where it happened.
        let _ = handle.join();
    }
}

impl ThreadCount {
    /// Counts in the threads that are missing for so many pieces of work, up to `most` threads in
    /// all; returns how many to start.
    pub fn reserve(&mut self, pieces: usize, most: usize) -> usize {
        let free = self.running - self.busy;
        let missing = pieces.saturating_sub(free).min(most.saturating_sub(self.running));
        self.running += missing;
        missing
    }

    /// Whether no thread is left.
    pub fn is_zero(&self) -> bool {
        self.running == 0
    }

    /// Whether a thread waits for work.
    pub fn has_idle(&self) -> bool {
        self.idle > 0
    }
}

impl<W: Work> Busy<'_, W> {
    /// Counts the thread as free from now on, though it is not done with its piece of work.
    pub fn end(&mut self) {
        if !mem::replace(&mut self.is_over, true) {
            W::count(&mut self.work.lock()).busy -= 1;
        }
    }
}

/// The life of a thread.
fn serve<W: Work>(work: &W) {
    let mut state = work.lock();
    let mut was_idle = false;
    loop {
        match W::next(&mut state) {
            Next::Do(job) => {
                W::count(&mut state).busy += 1;
                drop(state);
                let mut busy = Busy { work, is_over: false };
                work.run(job, &mut busy);
                let is_over = busy.is_over;
                state = work.lock();
                W::count(&mut state).busy -= usize::from(!is_over);
                was_idle = false;
            }
            Next::WaitUntil(at) => {
                state = work.signal().wait_until(state, at).0;
                was_idle = false;
            }
            Next::Idle if was_idle => break,
            Next::Idle => {
                W::count(&mut state).idle += 1;
                (state, was_idle) = work.signal().wait_until(state, clock::now() + IDLE_TIME);
                W::count(&mut state).idle -= 1;
            }
            Next::End => break,
        }
    }
    W::count(&mut state).running -= 1;
    drop(state);
    work.ended();
}

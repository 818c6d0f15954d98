//! The thread that serves every asynchronous request of a pool that has a socket.
//!
//! It sends what it is given, waits for all sockets at once, and runs the callbacks. Under load it
//! is never woken and never waits: there is always something to do. Nothing that it does takes long: it
//! sends and receives in slices, and leaves large responses to be read by helpers.

use std::collections::{HashMap, VecDeque};
use std::mem;
use std::sync::Arc;
use std::time::Instant;

use super::dispatcher::{Dispatcher, Next, ReactorTask};
use super::request_task::{RequestTask, Step};
use crate::client::Poller;
use crate::os::clock;
use crate::pool::UnderwayRequest;

/// The name of its thread.
pub const THREAD: &str = "phantomdb-loop";

/// How many deadlines of what is done are kept before somebody tidies up.
const SPARE_DEADLINES: usize = 64;

/// By the numbers of their sockets.
type Requests = HashMap<usize, (Box<RequestTask>, UnderwayRequest)>;

/// When the request is over that goes over the socket with this number.
type Deadline = (Instant, usize);

pub struct Reactor {
    dispatcher: Arc<Dispatcher>,
    poller: Poller,
    underway: Requests,
    /// Of each that is under way. In their order, because all last as long (`request_timeout`);
    /// those that are done leave theirs behind.
    deadlines: VecDeque<Deadline>,
    /// Sockets that are ready.
    ready: Vec<usize>,
    /// Sockets that have more for their request, which others had to wait for.
    unfinished: Vec<usize>,
}

impl Reactor {
    pub fn new(dispatcher: Arc<Dispatcher>, poller: Poller) -> Reactor {
        Reactor {
            dispatcher,
            poller,
            underway: HashMap::new(),
            deadlines: VecDeque::new(),
            ready: Vec::new(),
            unfinished: Vec::new(),
        }
    }

    pub fn run(mut self) {
        let mut was_busy = false;
        loop {
            match self.dispatcher.next(self.underway.len()) {
                Next::End => return,
                Next::Do(tasks) => {
                    if mem::replace(&mut was_busy, true) {
                        // Tasks that never end are not to keep sockets waiting.
                        self.serve(Some(clock::now()));
                    }
                    tasks.into_iter().for_each(|task| self.do_task(task));
                }
                Next::Wait(linger) => {
                    was_busy = false;
                    let leaves_at = linger.map(|linger| clock::now() + linger);
                    self.serve(leaves_at);
                    if leaves_at.is_some_and(|at| at <= clock::now()) && self.dispatcher.may_end() {
                        return;
                    }
                }
            }
        }
    }

    fn do_task(&mut self, task: ReactorTask) {
        match task {
            ReactorTask::Complete(complete) => complete(),
            ReactorTask::Start(task) => {
                let step = task.start(&self.dispatcher, &self.poller);
                if let Some(begun) = self.note(step) {
                    self.forget_deadlines();
                    self.deadlines.push_back(begun);
                }
            }
            ReactorTask::Finish(task, job) => task.finish(&self.dispatcher, job, || ()),
        }
    }

    /// Waits for sockets, until `until` at most, and goes on with their requests.
    fn serve(&mut self, until: Option<Instant>) {
        self.ready.append(&mut self.unfinished);
        let until = if self.ready.is_empty() {
            [until, self.next_deadline().map(|it| it.0)].into_iter().flatten().min()
        } else {
            Some(clock::now())
        };
        self.poller.wait(until, &mut self.ready);
        self.ready.sort_unstable();
        self.ready.dedup();
        let mut ready = mem::take(&mut self.ready);
        for socket in ready.drain(..) {
            self.resume(socket);
        }
        self.ready = ready;
        while let Some((_, socket)) = self.next_deadline().filter(|it| it.0 <= clock::now()) {
            self.deadlines.pop_front();
            self.resume(socket);
        }
    }

    /// When the first of those under way is over, and on which socket that is.
    fn next_deadline(&mut self) -> Option<Deadline> {
        while let Some(deadline) = self.deadlines.front() {
            if is_of_request(&self.underway, deadline) {
                return Some(*deadline);
            }
            self.deadlines.pop_front();
        }
        None
    }

    /// Forgets the deadlines of what is done, before they are many.
    fn forget_deadlines(&mut self) {
        if self.deadlines.len() > 2 * self.underway.len() + SPARE_DEADLINES {
            self.deadlines.retain(|deadline| is_of_request(&self.underway, deadline));
        }
    }

    fn resume(&mut self, socket: usize) {
        // Of a socket without a request the poller may tell too: the server has closed it, say.
        if let Some((task, request)) = self.underway.remove(&socket) {
            let step = task.resume(&self.dispatcher, request);
            self.note(step);
        }
    }

    fn note(&mut self, step: Step) -> Option<Deadline> {
        match step {
            Step::Underway(task, request) => {
                let (until, socket) = (request.request().until(), request.request().socket());
                if request.request().is_ready() {
                    self.unfinished.push(socket);
                }
                self.underway.insert(socket, (task, request));
                Some((until, socket))
            }
            Step::NeedsThread(task, job) => {
                self.dispatcher.help(task, job);
                None
            }
            Step::Over => None,
        }
    }
}

fn is_of_request(requests: &Requests, (until, socket): &Deadline) -> bool {
    requests.get(socket).is_some_and(|(_, it)| it.request().until() == *until)
}

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
use super::request_task::RequestTask;
use crate::client::{InFlight, Poller, Progress};
use crate::os::clock;

/// How many deadlines of what is done are kept before somebody tidies up.
const SPARE_DEADLINES: usize = 64;

/// By the numbers of their sockets.
type Requests = HashMap<usize, (Box<RequestTask>, Box<InFlight>)>;

/// When the request is over that goes over the socket with this number.
type Deadline = (Instant, usize);

struct Reactor {
    dispatcher: Arc<Dispatcher>,
    poller: Poller,
    in_flight: Requests,
    /// Of each that is in flight. In their order, because all last as long (`request_timeout`);
    /// those that are done leave theirs behind.
    deadlines: VecDeque<Deadline>,
    /// Sockets that are ready.
    ready: Vec<usize>,
    /// Sockets that have more for their request, which others had to wait for.
    unfinished: Vec<usize>,
}

/// The life of the reactor's thread.
pub fn run(dispatcher: Arc<Dispatcher>, poller: Poller) {
    let reactor = Reactor {
        dispatcher,
        poller,
        in_flight: HashMap::new(),
        deadlines: VecDeque::new(),
        ready: Vec::new(),
        unfinished: Vec::new(),
    };
    reactor.run();
}

impl Reactor {
    fn run(mut self) {
        let mut was_busy = false;
        loop {
            match self.dispatcher.next(self.in_flight.len()) {
                Next::End => return,
                Next::Do(tasks) => {
                    if mem::replace(&mut was_busy, true) {
                        // Tasks that never end are not to keep sockets waiting.
                        self.serve(Some(clock::now()));
                    }
                    tasks.into_iter().for_each(|task| self.do_task(task));
                }
                Next::Wait(idle_time) => {
                    was_busy = false;
                    let ends_at = idle_time.map(|idle_time| clock::now() + idle_time);
                    self.serve(ends_at);
                    if ends_at.is_some_and(|at| at <= clock::now()) && self.dispatcher.may_end() {
                        return;
                    }
                }
            }
        }
    }

    fn do_task(&mut self, task: ReactorTask) {
        match task {
            ReactorTask::Run(run) => run(),
            ReactorTask::Start(mut task) => {
                if let Some(progress) = task.take_begun() {
                    return self.dispatcher.help(task, progress);
                }
                let progress = task.start(&self.poller);
                if let Some(begun) = self.go_on(task, progress) {
                    self.forget_deadlines();
                    self.deadlines.push_back(begun);
                }
            }
        }
    }

    /// Waits for sockets, until `until` at most, and goes on with their requests.
    fn serve(&mut self, until: Option<Instant>) {
        self.ready.append(&mut self.unfinished);
        let until = if self.ready.is_empty() {
            [until, self.next_deadline().map(|deadline| deadline.0)].into_iter().flatten().min()
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
        while let Some((_, socket)) =
            self.next_deadline().filter(|(until, _)| *until <= clock::now())
        {
            self.deadlines.pop_front();
            self.resume(socket);
        }
    }

    /// When the first of those in flight is over, and on which socket that is.
    fn next_deadline(&mut self) -> Option<Deadline> {
        while let Some(deadline) = self.deadlines.front() {
            if is_of_request(&self.in_flight, deadline) {
                return Some(*deadline);
            }
            self.deadlines.pop_front();
        }
        None
    }

    /// Forgets the deadlines of what is done, before they are many.
    fn forget_deadlines(&mut self) {
        if self.deadlines.len() > 2 * self.in_flight.len() + SPARE_DEADLINES {
            self.deadlines.retain(|deadline| is_of_request(&self.in_flight, deadline));
        }
    }

    fn resume(&mut self, socket: usize) {
        // Of a socket without a request the poller may tell too: the server has closed it, say.
        if let Some((task, in_flight)) = self.in_flight.remove(&socket) {
            let progress = task.resume(in_flight);
            self.go_on(task, progress);
        }
    }

    /// Sees to what comes next; returns the deadline if the request is in flight.
    fn go_on(&mut self, task: Box<RequestTask>, progress: Progress) -> Option<Deadline> {
        match progress {
            Progress::InFlight(in_flight) => {
                let (until, socket) = (in_flight.until(), in_flight.socket());
                if in_flight.is_ready() {
                    self.unfinished.push(socket);
                }
                self.in_flight.insert(socket, (task, in_flight));
                return Some((until, socket));
            }
            Progress::Done(outcome) => self.dispatcher.end(task, outcome),
            needs_helper => self.dispatcher.help(task, needs_helper),
        }
        None
    }
}

fn is_of_request(requests: &Requests, (until, socket): &Deadline) -> bool {
    requests.get(socket).is_some_and(|(_, in_flight)| in_flight.until() == *until)
}
